#include "cli/package_options.hpp"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>

#include "cli/server_options.hpp"
#include "support/archive_fixture.hpp"

using namespace mlferry::cli;

namespace {

// The refusal's text, or "" when the words are taken.
std::string parse(CLI::App& app, std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
    return {};
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("package options: a switch takes the words that the package takes") {
    for (auto const* yes : {"true", "True", "TRUE", "1", "yes", "on", "t", "Y"}) CHECK(parse_bool(yes) == true);
    for (auto const* no : {"false", "False", "0", "No", "off", "F", "n"}) CHECK(parse_bool(no) == false);
    for (auto const* other : {"", "2", "tru", "maybe", " true"}) CHECK_FALSE(parse_bool(other).has_value());
  }

  TEST_CASE("package options: another word than true or false is refused with the option named") {
    CLI::App app;
    bool value = true;
    add_bool_value(app, "--mlmodel-fix", value, "");
    CHECK(parse(app, {"--mlmodel-fix", "no"}).empty());
    CHECK_FALSE(value);
    auto const refusal = parse(app, {"--mlmodel-fix", "perhaps"});
    CHECK(refusal.find("--mlmodel-fix") != refusal.npos);
    CHECK(refusal.find("perhaps") != refusal.npos);
    CHECK_FALSE(parse(app, {"--mlmodel-fix"}).empty());
  }

  TEST_CASE("package options: --use-threads says how many jobs, and not together with --jobs") {
    auto const jobs_after = [](ThreadsForm form, std::vector<std::string> words) -> std::string {
      CLI::App app;
      GlobalOptions global;
      global.jobs = "7";
      add_global_options(app, global);
      add_use_threads(app, global, form);
      auto const refusal = parse(app, std::move(words));
      return refusal.empty() ? global.jobs : "refused";
    };
    CHECK(jobs_after(ThreadsForm::value, {}) == "7");
    CHECK(jobs_after(ThreadsForm::value, {"--use-threads", "True"}) == "auto");
    CHECK(jobs_after(ThreadsForm::value, {"--use-threads", "false"}) == "1");
    CHECK(jobs_after(ThreadsForm::value, {"--use-threads", "x"}) == "refused");
    CHECK(jobs_after(ThreadsForm::value, {"--use-threads", "true", "--jobs", "3"}) == "refused");
    CHECK(jobs_after(ThreadsForm::flag, {"--use-threads"}) == "auto");
  }

  TEST_CASE("package options: lists are trimmed, and name each thing once") {
    using List = std::vector<std::string>;
    CHECK(split_list("a,b,c") == List{"a", "b", "c"});
    CHECK(split_list(" a , b c ,,a,") == List{"a", "b c"});
    CHECK(split_list("").empty());
    CHECK_THROWS_AS(list_or_file("--models", " , "), UsageError);
  }

  TEST_CASE("package options: a list from a file has one item a line") {
    mlferry::test::ScratchFolder folder;
    auto const file = (folder.path() / "names.txt").string();
    std::ofstream(file) << "one\r\n\n  two, with a comma \none\n";
    CHECK(list_or_file("--models", file) == std::vector<std::string>{"one", "two, with a comma"});
    CHECK_THROWS_AS(list_or_file("--models", file + ".none.txt"), UsageError);
  }
}
