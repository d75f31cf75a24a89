#include "protocol/mlflow/artifact_path.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/mlflow/client.hpp"

using namespace mlferry::mlflow;

TEST_SUITE("protocol") {
  TEST_CASE("artifact paths: what a server keeps as it is") {
    // Each was written and read back under its own name on a running server.
    for (std::string_view path : {"",        "a.txt",  "dir/sub/c.bin",
                                  "sp ace",  "+plus",  "a&b",
                                  "x=y",     "a;b",    ";a",
                                  "d;p/f;q", "e;;",    "g?;",
                                  "h?x;",    "?start", "mid?dle",
                                  "~",       "'",      "\"",
                                  "a:b",     "c:/x",   "[x]",
                                  "{y}",     "*",      "back\\slash",
                                  "é☃",      "日本/é", ".hidden",
                                  "-dash",   "trail.", "trail ",
                                  " lead",   "100%",   "%zz",
                                  "%2",      "a%",     "a..b",
                                  "...",     "&copy",  "http:x",
                                  "\xc2\xa0"}) {
      CAPTURE(path);
      CHECK(unservable_reason(path) == "");
    }
  }

  TEST_CASE("artifact paths: what a server refuses or rewrites") {
    struct Case {
      std::string_view path;
      std::string_view reason;
    };
    for (const auto& [path, reason] : std::vector<Case>{
             {"a#b", "'#' is refused"},
             {"d#/f", "'#' is refused"},
             {"z#", "'#' is refused"},
             {"p%25.txt", "'%25' is decoded again"},
             {"a%41b", "'%41' is decoded again"},
             {"x%2fy", "'%2f' is decoded again"},
             {"a%%41", "'%41' is decoded again"},
             {"zq?", "a '?' at the end of a name is dropped"},
             {"d?/f", "a '?' at the end of a name is dropped"},
             {"g;?", "a '?' at the end of a name is dropped"},
             {"z;", "a ';' at the end of a name is dropped"},
             {"&amp;", "a ';' at the end of a name is dropped"},
             {"k2/;", "a ';' at the end of a name is dropped"},
             {"d;/f", "a ';' at the end of a name is dropped"},
             {"h;?x", "a ';' at the end of a name is dropped"},
             {"tab\tx", "a control character is dropped or escaped"},
             {"\x7f", "a control character is dropped or escaped"},
             {"a\rb", "a control character is dropped or escaped"},
             {"new\nline", "a line feed is refused or escaped"},
             {"/abs", "an absolute path is refused"},
             {"a//b", "an empty name between slashes disappears"},
             {"a/", "an empty name between slashes disappears"},
             {"./a", "the name '.' disappears"},
             {"a/./b", "the name '.' disappears"},
             {"..", "the name '..' is refused"},
             {"a/../b", "the name '..' is refused"},
             {"\xff", "the name is not valid UTF-8"},
         }) {
      CAPTURE(path);
      CHECK(unservable_reason(path) == reason);
      CHECK(unlistable_reason(path) == reason);
    }
  }

  TEST_CASE("artifact paths: what matters where a path begins at the root of a run") {
    for (std::string_view path : {" lead", "http:x", "c:/x", "file:x", "a+b-c.d:e"}) {
      CAPTURE(path);
      CHECK(unservable_reason(path) == "");
      CHECK(unlistable_reason(path) != "");
    }
    for (std::string_view path : {"", "a", "d/ lead", "d/http:x", ":x", "1a:b", "é:x", "a b:c"}) {
      CAPTURE(path);
      CHECK(unlistable_reason(path) == "");
    }
  }

  TEST_CASE("artifact paths: what a listing may hold") {
    struct Case {
      std::string_view asked;
      std::string_view listed;
      Listed result;
    };
    for (const auto& [asked, listed, result] : std::vector<Case>{
             {"", "a", Listed::inside},
             {"", "a/b", Listed::inside},
             {"d", "d/a", Listed::inside},
             {"d/e", "d/e/f.txt", Listed::inside},
             {"d", "d", Listed::itself},
             {"d", "d/", Listed::itself},
             {"d", "da", Listed::elsewhere},
             {"d", "e/a", Listed::elsewhere},
             {"d", "a", Listed::elsewhere},
             {"d", "d/../x", Listed::elsewhere},
             {"d", "d//x", Listed::elsewhere},
             {"", "../x", Listed::elsewhere},
             {"", "/etc", Listed::elsewhere},
             {"", "a/./b", Listed::elsewhere},
             {"", "a/", Listed::elsewhere},
             {"a%41", "aA/x", Listed::elsewhere},
         }) {
      CAPTURE(asked);
      CAPTURE(listed);
      CHECK(classify_listed(asked, listed) == result);
    }
  }

  TEST_CASE("filter literals") {
    CHECK(filter_literal("x") == "'x'");
    CHECK(filter_literal("") == "''");
    CHECK(filter_literal("say \"hi\"") == "'say \"hi\"'");
    CHECK(filter_literal("it's") == "\"it's\"");
    CHECK(filter_literal("a\\") == "'a\\'");
    CHECK(!filter_literal("both'\""));
  }
}
