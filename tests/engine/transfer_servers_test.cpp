// Jobs on servers that are old, big, slow, or being written to.

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/transfer.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
using mlferry::test::Faults;

namespace {

struct Here {
  std::string state() const { return (scratch.path() / "state").string(); }
  std::string archive() const { return (scratch.path() / "archive").string(); }
  test::ScratchFolder scratch;
  boost::asio::io_context loop;
};

std::string problems(const Report& report) {
  return test::findings(report, Severity::failed) + test::wrong_sums(report);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("old servers: the copy is the same whatever the source's server lacks") {
    struct Row {
      const char* what;
      bool no_graphql, no_bulk, close_each;
    };
    for (auto const& row : {Row{"graphql", true, false, false}, Row{"bulk", false, true, false},
                            Row{"both", true, true, false}, Row{"keep-alive", false, false, true}}) {
      CAPTURE(std::string(row.what));
      Here place;
      FakeOptions options;
      options.faults.no_graphql = row.no_graphql;
      options.faults.no_history_bulk = row.no_bulk;
      options.faults.close_each = row.close_each;
      FakeMlflow from(place.loop, options), to(place.loop, test::destination(options));
      test::fill_workload(from);
      CHECK(problems(test::copied(place.loop, from, to, place.state())) == "");
      CHECK(test::difference(from, to) == "");
      auto const compared = test::compared(place.loop, from, to);
      CHECK(test::findings(compared, Severity::difference) == "");
    }
  }

  TEST_CASE("old servers: without logged models on both sides everything else is the same") {
    Here place;
    FakeOptions options;
    options.faults.no_logged_models = true;
    FakeMlflow from(place.loop, options), to(place.loop, test::destination(options));
    auto const experiment = test::make_experiment(from, "e");
    auto const run = test::make_run(from, experiment, "r");
    test::log_metric(from, run, "m", 0.1, 1);
    from.put_file(test::run_files(from, run) + "/model/MLmodel", "run_id: " + run + "\n");
    test::finish_run(from, run);
    from.post("registered-models/create", {{"name", "M"}});
    from.post("model-versions/create",
              {{"name", "M"},
               {"source", "mlflow-artifacts:/" + test::run_files(from, run) + "/model"},
               {"run_id", run}});
    CHECK(problems(test::copied(place.loop, from, to, place.state())) == "");
    CHECK(test::difference(from, to) == "");
    CHECK(problems(test::exported(place.loop, from, place.archive())) == "");
  }

  TEST_CASE("long histories: beyond the bulk answer's 25000 rows, alone and together") {
    for (bool const bulk : {true, false}) {
      CAPTURE(bulk);
      Here place;
      FakeOptions options;
      // Two runs that fill an answer each, and forty that do so together.
      options.generated = {.runs = 2, .metrics = 1, .points = 25'500};
      options.faults.no_history_bulk = !bulk;
      FakeMlflow long_runs(place.loop, options), to(place.loop, test::destination());
      CHECK(problems(test::copied(place.loop, long_runs, to, place.state())) == "");
      CHECK(to.counts().metric_points == 2 * 25'500);
      CHECK(test::difference(test::contents(long_runs), test::contents(to)) == "");
      options.generated = {.seed = 2, .runs = 40, .metrics = 1, .points = 1000};
      FakeMlflow many_runs(place.loop, options), there(place.loop, test::destination());
      CHECK(problems(test::copied(place.loop, many_runs, there, place.state())) == "");
      CHECK(there.counts().metric_points == 40 * 1000);
      CHECK(test::difference(test::contents(many_runs), test::contents(there)) == "");
    }
  }

  TEST_CASE("long histories: exactly the bulk answer's limit") {
    Here place;
    FakeOptions options;
    options.generated = {.runs = 3, .metrics = 1, .points = 12'500};
    FakeMlflow from(place.loop, options), to(place.loop, test::destination());
    CHECK(problems(test::copied(place.loop, from, to, place.state())) == "");
    CHECK(to.counts().metric_points == 3 * 12'500);
  }

  TEST_CASE("written to: every run that was there at the start is exported, once and whole") {
    Here place;
    FakeMlflow from(place.loop), to(place.loop, test::destination());
    auto const experiment = test::make_experiment(from, "busy");
    for (int i = 0; i < 1250; ++i) {
      auto const run = test::make_run(from, experiment, "run " + std::to_string(i), 10'000 + i);
      if (i % 50 == 0) test::log_metric(from, run, "m", i, 0);
    }
    auto const before = test::contents(from);
    int pages = 0, added = 0;
    from.faults().applies = [&](std::string_view, std::string_view path) {
      if (!path.ends_with("runs/search")) return false;
      ++pages;
      // Some before all others, some in the middle of what was read, some at the end.
      for (auto const start : {1, 10'500, 20'000}) {
        test::make_run(from, experiment, "added " + std::to_string(added++), start);
      }
      return false;
    };
    CHECK(problems(test::exported(place.loop, from, place.archive())) == "");
    CHECK(pages >= 2);
    CHECK(added >= 6);
    from.faults().applies = {};
    CHECK(problems(test::imported(place.loop, place.archive(), to, place.state())) == "");
    auto const copy = test::contents(to);
    std::size_t missing = 0, twice = 0;
    for (auto const& [key, value] : before) {
      auto const found = copy.find(key);
      if (found == copy.end() || found->second != value) ++missing;
    }
    for (auto const& [key, value] : copy) twice += key.ends_with(" (again)") ? 1 : 0;
    CHECK(missing == 0);
    CHECK(twice == 0);
  }

  TEST_CASE("written to: a run that changes while it is read never makes an archive that lies") {
    Here place;
    FakeMlflow from(place.loop), to(place.loop, test::destination());
    auto const experiment = test::make_experiment(from, "busy");
    std::vector<std::string> runs;
    for (int i = 0; i < 30; ++i) {
      runs.push_back(test::make_run(from, experiment, "run " + std::to_string(i), 10'000 + i));
      test::log_metric(from, runs.back(), "m", i, 0);
    }
    int step = 0;
    from.faults().applies = [&](std::string_view, std::string_view path) {
      if (path.find("get-history") != path.npos || path.ends_with("runs/search")) {
        ++step;
        for (auto const& run : runs) test::log_metric(from, run, "m", step, step, 6000 + step);
      }
      return false;
    };
    auto const first = test::exported(place.loop, from, place.archive());
    CHECK(test::wrong_sums(first) == "");
    from.faults().applies = {};
    for (auto const& run : runs) test::finish_run(from, run);
    // The next export brings what the first could not have.
    CHECK(problems(test::exported(place.loop, from, place.archive())) == "");
    CHECK(problems(test::imported(place.loop, place.archive(), to, place.state())) == "");
    CHECK(test::difference(from, to) == "");
  }

  TEST_CASE("wide: many params, tags and files of one run") {
    Here place;
    FakeMlflow from(place.loop), to(place.loop, test::destination());
    auto const run = test::make_run(from, "0", "wide");
    for (int part = 0; part < 5; ++part) {
      boost::json::array params, tags;
      for (int i = 0; i < 100; ++i) {
        auto const n = std::to_string(part * 100 + i);
        params.push_back(boost::json::object{{"key", "p" + n}, {"value", n}});
        tags.push_back(boost::json::object{{"key", "t" + n}, {"value", n}});
      }
      from.post("runs/log-batch",
                {{"run_id", run}, {"params", std::move(params)}, {"tags", std::move(tags)}});
    }
    auto const files = test::run_files(from, run);
    for (int i = 0; i < 300; ++i)
      from.put_file(files + "/d" + std::to_string(i % 30) + "/e/f" + std::to_string(i), std::to_string(i));
    from.put_file(files + "/big", test::random_bytes(9u << 20, 4));
    test::finish_run(from, run);
    CHECK(problems(test::exported(place.loop, from, place.archive())) == "");
    CHECK(problems(test::imported(place.loop, place.archive(), to, place.state())) == "");
    CHECK(test::difference(from, to) == "");
  }
}
