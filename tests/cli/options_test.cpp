#include "cli/options.hpp"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <functional>

using mlferry::cli::add_global_options;
using mlferry::cli::GlobalOptions;
using mlferry::cli::parse_jobs;
using mlferry::cli::parse_size;
using mlferry::cli::state_folder;

namespace {

// An environment variable for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (auto const* old = std::getenv(name)) old_ = old;
    if (value == nullptr) {
      ::unsetenv(name);
    } else {
      ::setenv(name, value, 1);
    }
  }
  ~Variable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

// Nothing when the command line is refused.
std::optional<GlobalOptions> parsed(std::vector<std::string> words) {
  CLI::App app;
  GlobalOptions options;
  add_global_options(app, options);
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return std::nullopt;
  }
  return options;
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("options: sizes") {
    struct Row {
      const char* text;
      std::optional<std::uint64_t> bytes;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"0", 0},
             {"65536", 65536},
             {"5B", 5},
             {"64K", 64 << 10},
             {"64k", 64 << 10},
             {"64KiB", 64 << 10},
             {"256M", 256 << 20},
             {"256mib", 256 << 20},
             {"1G", 1 << 30},
             {"1GIB", 1 << 30},
             {"1048576G", 1ull << 50},
             {"1048577G", std::nullopt},
             {"18446744073709551615", std::nullopt},
             {"99999999999999999999", std::nullopt},
             {"", std::nullopt},
             {"M", std::nullopt},
             {"-1", std::nullopt},
             {"+1", std::nullopt},
             {" 1", std::nullopt},
             {"1 M", std::nullopt},
             {"1.5G", std::nullopt},
             {"1T", std::nullopt},
             {"1MB", std::nullopt},
             {"0x10", std::nullopt},
         }) {
      CAPTURE(std::string(row.text));
      CHECK(parse_size(row.text) == row.bytes);
    }
  }

  TEST_CASE("options: jobs") {
    struct Row {
      const char* text;
      std::optional<std::uint64_t> jobs;
    };
    for (auto const& row : std::initializer_list<Row>{{"auto", 0},
                                                      {"1", 1},
                                                      {"1024", 1024},
                                                      {"0", std::nullopt},
                                                      {"1025", std::nullopt},
                                                      {"", std::nullopt},
                                                      {"Auto", std::nullopt},
                                                      {"-1", std::nullopt},
                                                      {"8 ", std::nullopt},
                                                      {"8x", std::nullopt}}) {
      CAPTURE(std::string(row.text));
      CHECK(parse_jobs(row.text) == row.jobs);
    }
  }

  TEST_CASE("options: the defaults are accepted, wrong values are refused") {
    auto const options = parsed({});
    REQUIRE(options);
    CHECK(parse_jobs(options->jobs) == 0u);
    CHECK(parse_size(options->max_memory) == 256u << 20);
    for (auto const& words : std::vector<std::vector<std::string>>{{"--jobs", "0"},
                                                                   {"-j", "many"},
                                                                   {"--transfers", "0"},
                                                                   {"--transfers", "257"},
                                                                   {"--max-memory", "1M"},
                                                                   {"--max-memory", "x"},
                                                                   {"--tpslimit", "-1"},
                                                                   {"--retries", "0"},
                                                                   {"--retries", "101"},
                                                                   {"--timeout", "0"},
                                                                   {"--log-level", "loud"},
                                                                   {"--unknown"},
                                                                   {"--jobs"}}) {
      CAPTURE(words[0]);
      CHECK_FALSE(parsed(words));
    }
  }

  TEST_CASE("options: every one has its variable, and the command line wins over it") {
    struct Row {
      const char* variable;
      const char* value;
      std::function<bool(const GlobalOptions&)> holds;
    };
    std::vector<Row> const rows{
        {"MLFERRY_JOBS", "3", [](auto& o) { return o.jobs == "3"; }},
        {"MLFERRY_TRANSFERS", "4", [](auto& o) { return o.transfers == 4; }},
        {"MLFERRY_MAX_MEMORY", "1G", [](auto& o) { return o.max_memory == "1G"; }},
        {"MLFERRY_TPSLIMIT", "2.5", [](auto& o) { return o.tpslimit == 2.5; }},
        {"MLFERRY_RETRIES", "2", [](auto& o) { return o.retries == 2; }},
        {"MLFERRY_TIMEOUT", "7", [](auto& o) { return o.timeout_seconds == 7; }},
        {"MLFERRY_DRY_RUN", "true", [](auto& o) { return o.dry_run; }},
        {"MLFERRY_JSON", "true", [](auto& o) { return o.json; }},
        {"MLFERRY_REPORT", "r.json", [](auto& o) { return o.report_file == "r.json"; }},
        {"MLFERRY_NO_PROGRESS", "true", [](auto& o) { return o.no_progress; }},
        {"MLFERRY_FAIL_FAST", "true", [](auto& o) { return o.fail_fast; }},
        {"MLFERRY_FULL", "true", [](auto& o) { return o.full; }},
        {"MLFERRY_NO_MARKER_TAGS", "true", [](auto& o) { return o.no_marker_tags; }},
        {"MLFERRY_LOG_LEVEL", "debug", [](auto& o) { return o.log_level == "debug"; }},
        {"MLFERRY_LOG_FILE", "l", [](auto& o) { return o.log_file == "l"; }},
        {"MLFERRY_STATE_DIR", "s", [](auto& o) { return o.state_dir == "s"; }},
    };
    for (auto const& row : rows) {
      CAPTURE(std::string(row.variable));
      auto const without = parsed({});
      REQUIRE(without);
      CHECK_FALSE(row.holds(*without));
      Variable const variable(row.variable, row.value);
      auto const with = parsed({});
      REQUIRE(with);
      CHECK(row.holds(*with));
    }
    Variable const variable("MLFERRY_JOBS", "3");
    CHECK(parsed({"--jobs", "5"})->jobs == "5");
    Variable const wrong("MLFERRY_RETRIES", "none");
    CHECK_FALSE(parsed({}));
  }

  TEST_CASE("options: where the state is kept") {
    GlobalOptions options;
    Variable const home("HOME", "/h");
    {
      Variable const state("XDG_STATE_HOME", "/x");
      CHECK(state_folder(options) == "/x/mlferry");
      options.state_dir = "given";
      CHECK(state_folder(options) == "given");
      options.state_dir.clear();
    }
    Variable const empty("XDG_STATE_HOME", "");
    CHECK(state_folder(options) == "/h/.local/state/mlferry");
    Variable const unset("XDG_STATE_HOME", nullptr);
    CHECK(state_folder(options) == "/h/.local/state/mlferry");
    Variable const homeless("HOME", nullptr);
    CHECK(state_folder(options) == ".mlferry-state");
  }
}
