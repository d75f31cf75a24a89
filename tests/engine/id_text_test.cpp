#include "engine/id_text.hpp"

#include <doctest/doctest.h>

using mlferry::engine::find_ids;
using mlferry::engine::move_uri;
using mlferry::engine::replace_all;
using mlferry::engine::split_list;
using mlferry::engine::Replacements;

namespace {

const std::string a(32, 'a');
const std::string b = "0123456789abcdef0123456789abcdef";
using Ids = std::vector<std::string>;

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("id text: which tokens are ids") {
    struct Row {
      std::string text;
      Ids runs, models;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"", {}, {}},
             {a, {a}, {}},
             {"run_id: " + a + "\n", {a}, {}},
             {"mlflow-artifacts:/1/" + b + "/artifacts/model", {b}, {}},
             {R"([{"run_id": ")" + a + R"(", "x": ")" + b + "\"}]", {a, b}, {}},
             {a + " " + a + " " + b + " " + a, {a, b}, {}},
             {"models:/m-" + b, {}, {"m-" + b}},
             {"1/models/m-" + a + "/artifacts", {}, {"m-" + a}},
             {"m-" + a + " and " + a, {a}, {"m-" + a}},
             {"xm-" + a, {a}, {}},  // part of another word: the hex digits stand alone
             {"_m-" + a, {a}, {}},
             {"-" + a, {a}, {}},
             {a.substr(1), {}, {}},
             {a + "a", {}, {}},
             {a + "0", {}, {}},
             {a + "z", {}, {}},
             {"z" + a, {}, {}},
             {"_" + a, {}, {}},
             {a + "_", {}, {}},
             {std::string(32, 'A'), {}, {}},
             {a + "-" + b, {a, b}, {}},
             {"sha256:" + a + b, {}, {}},
             {"\xc3\xa4" + a, {a}, {}},
         }) {
      CAPTURE(std::string(row.text));
      auto const found = find_ids(row.text);
      CHECK(found.runs == row.runs);
      CHECK(found.logged_models == row.models);
    }
  }

  TEST_CASE("id text: replacing") {
    struct Row {
      std::string text;
      Replacements replacements;
      std::string result;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"", {{"a", "b"}}, ""},
             {"aaa", {{"a", "b"}}, "bbb"},
             {"abc", {}, "abc"},
             {"abc", {{"", "x"}}, "abc"},
             {"a b", {{"a", "b"}, {"b", "a"}}, "b a"},  // what was put in is not looked at again
             {"abcd", {{"ab", "1"}, {"abc", "2"}}, "2d"},
             {"abcd", {{"abc", "2"}, {"ab", "1"}}, "2d"},
             {"xay", {{"a", ""}}, "xy"},
             {"aXa", {{"a", "aa"}}, "aaXaa"},
             {std::string("a\0a", 3), {{"a", "b"}}, std::string("b\0b", 3)},
         }) {
      CAPTURE(std::string(row.text));
      CHECK(replace_all(row.text, row.replacements) == row.result);
    }
  }

  TEST_CASE("id text: lists between commas") {
    using List = std::vector<std::string>;
    CHECK(split_list("") == List{});
    CHECK(split_list(",") == List{});
    CHECK(split_list(",1,22,") == List{"1", "22"});
    CHECK(split_list("1,,2") == List{"1", "2"});
    CHECK(split_list("1") == List{"1"});
  }

  TEST_CASE("id text: moving URIs") {
    struct Row {
      std::string uri, from, to;
      bool below;
      std::string result;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"s:/1/r/artifacts/model", "s:/1/r/artifacts", "X", true, "X/model"},
             {"s:/1/r/artifacts", "s:/1/r/artifacts", "X", true, "X"},
             {"s:/1/r/artifacts2/model", "s:/1/r/artifacts", "X", false, ""},
             {"s:/1/r", "s:/1/r/artifacts", "X", false, ""},
             {"s:/1/r", "", "X", false, ""},
             {"", "", "X", false, ""},
             {"t:/1/r/artifacts/model", "s:/1/r/artifacts", "X", false, ""},
         }) {
      CAPTURE(std::string(row.uri));
      auto const [below, result] = move_uri(row.uri, row.from, row.to);
      CHECK(below == row.below);
      CHECK(result == row.result);
    }
  }
}
