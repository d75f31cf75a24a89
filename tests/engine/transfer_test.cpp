// The promises of the architecture, each on whole jobs between fake servers and archives. What arrived is
// judged by reading the servers, not by the job's own report.

#include "engine/transfer.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "engine/failure.hpp"
#include "engine/ledger.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
using mlferry::test::Fault;
namespace fs = std::filesystem;

namespace {

struct Two {
  explicit Two(FakeOptions from_options = {}, FakeOptions to_options = {})
      : from(loop, std::move(from_options)), to(loop, test::destination(std::move(to_options))) {}
  std::string state() const { return (scratch.path() / "state").string(); }
  std::string archive() const { return (scratch.path() / "archive").string(); }
  void lose_ledger() { fs::remove_all(state()); }

  Report copy(JobOptions options = {}) { return test::copied(loop, from, to, state(), options); }
  Report export_it(JobOptions options = {}) { return test::exported(loop, from, archive(), options); }
  Report import_it(JobOptions options = {}) { return test::imported(loop, archive(), to, state(), options); }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from, to;
};

std::size_t requests_to(const FakeMlflow& server, std::string_view part) {
  std::size_t n = 0;
  for (auto const& request : server.log()) n += request.path.find(part) != std::string::npos ? 1 : 0;
  return n;
}

std::string failures(const Report& report) {
  return test::findings(report, Severity::failed);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("promise complete: every object of the source is in the report, and the numbers add up") {
    Two servers;
    test::fill_workload(servers.from);
    auto const there = servers.from.counts();
    auto const exported = servers.export_it();
    auto const imported = servers.import_it();
    Two direct;
    test::fill_workload(direct.from);
    auto const copied = direct.copy();
    for (auto const* report : {&exported, &imported, &copied}) {
      CHECK(failures(*report).empty());
      CHECK(test::wrong_sums(*report).empty());
      CHECK(report->counts(Kind::experiment).found == there.experiments + there.deleted_experiments + 1);
      CHECK(report->counts(Kind::run).found == there.runs + there.deleted_runs);
      CHECK(report->counts(Kind::logged_model).found == there.logged_models + there.deleted_logged_models);
      CHECK(report->counts(Kind::registered_model).found == there.registered_models);
      CHECK(report->counts(Kind::model_version).found == there.model_versions);
      CHECK(report->counts(Kind::artifact).found == there.files);
      CHECK(report->bytes() == there.file_bytes);
      for (auto const kind : {Kind::run, Kind::logged_model, Kind::registered_model, Kind::model_version})
        CHECK(report->counts(kind).created == report->counts(kind).found);
    }
  }

  TEST_CASE("promise complete: files with names that no server can serve are failures, not silence") {
    Two servers;
    auto const run = test::make_run(servers.from, "0", "r");
    auto const files = test::run_files(servers.from, run);
    servers.from.put_file(files + "/good", "1");
    servers.from.put_file(files + "/bad#name", "2");
    servers.from.put_file(files + "/bad%41", "3");
    for (auto const& report : {servers.copy(), servers.export_it()}) {
      CHECK(report.counts(Kind::artifact).found == 3);
      CHECK(report.counts(Kind::artifact).copied == 1);
      CHECK(report.counts(Kind::artifact).failed == 2);
      CHECK(failures(report).find("bad#name") != std::string::npos);
      CHECK(report.counts(Kind::run).copied == 1);
      CHECK(test::wrong_sums(report).empty());
    }
  }

  TEST_CASE("promise complete: a link or a delete that fails later makes its object a failed one, once") {
    Two servers;
    test::fill_workload(servers.from);
    servers.to.faults().set(Fault::throttle, 1);
    servers.to.faults().applies = [](std::string_view, std::string_view path) {
      return path.ends_with("runs/delete") || path.ends_with("runs/outputs") ||
             path.ends_with("experiments/delete");
    };
    auto const report = servers.copy();
    CHECK(report.counts(Kind::run).failed == 3);  // the deleted one, and the two with outputs
    CHECK(report.counts(Kind::experiment).failed == 1);
    CHECK(test::wrong_sums(report) == "");
    servers.to.faults().applies = {};
    servers.to.faults().set(Fault::throttle, 0);
    auto const again = servers.copy();
    CHECK(failures(again).empty());
    CHECK(test::wrong_sums(again) == "");
    CHECK(again.total_created() == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE(
      "promise complete: a listing that breaks is a failure of its experiment, and the numbers add up") {
    Two servers;
    test::fill_workload(servers.from);
    servers.from.faults().set(Fault::throttle, 1);
    servers.from.faults().applies = [](std::string_view, std::string_view path) {
      return path.ends_with("runs/search");
    };
    auto const report = servers.copy();
    CHECK(report.counts(Kind::run).found == 0);
    CHECK(report.counts(Kind::experiment).failed == report.counts(Kind::experiment).found);
    CHECK(test::wrong_sums(report) == "");
  }

  TEST_CASE("promise complete: a listing that breaks in its middle stops nothing that was listed before") {
    Two servers;
    auto const experiment = test::make_experiment(servers.from, "big");
    for (int i = 0; i < 1500; ++i) test::make_run(servers.from, experiment, std::to_string(i), i);
    int searches = 0;
    servers.from.faults().set(Fault::throttle, 1);
    servers.from.faults().applies = [&](std::string_view, std::string_view path) {
      return path.ends_with("runs/search") && ++searches > 2;  // one of them of the default experiment
    };
    auto const report = servers.copy();
    CHECK(report.counts(Kind::run).found == 1000);
    CHECK(report.counts(Kind::run).copied == 1000);
    CHECK(report.counts(Kind::experiment).failed == 1);
    CHECK(failures(report).find("could not be read to the end") != std::string::npos);
    CHECK(test::wrong_sums(report) == "");
    CHECK(servers.to.counts().runs == 1000);
  }

  TEST_CASE("promise faithful: server to server") {
    for (std::uint64_t const jobs : {1u, 4u, 48u}) {
      CAPTURE(jobs);
      Two servers;
      test::fill_workload(servers.from);
      auto const before = test::contents(servers.from);
      auto const report = servers.copy({.jobs = jobs, .transfers = jobs});
      CHECK(failures(report).empty());
      CHECK(test::difference(servers.from, servers.to) == "");
      CHECK(test::difference(before, test::contents(servers.from)) == "");
      CHECK(servers.to.protocol_errors().empty());
      CHECK(servers.from.protocol_errors().empty());
      CHECK(servers.from.write_count() == 0);
    }
  }

  TEST_CASE("promise faithful: server to archive to server") {
    Two servers;
    test::fill_workload(servers.from);
    servers.export_it();
    CHECK(servers.from.write_count() == 0);
    auto const report = servers.import_it();
    CHECK(failures(report).empty());
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("promise faithful: what the destination cannot hold is named") {
    FakeOptions old;
    old.faults.no_logged_models = true;
    Two servers({}, old);
    test::fill_workload(servers.from);
    auto const report = servers.copy();
    CHECK(failures(report).empty());
    CHECK(report.counts(Kind::run).created == report.counts(Kind::run).found);
    CHECK(test::wrong_sums(report) == "");
    auto const lost = test::findings(report, Severity::loss);
    CHECK(lost.find("has no logged models: run ") != std::string::npos);
    CHECK(lost.find("logged models are left out") != std::string::npos);
  }

  TEST_CASE("promise idempotent: the same command again copies nothing, with or without the ledger") {
    Two servers;
    test::fill_workload(servers.from);
    servers.copy();
    for (bool const lost : {false, true, true}) {
      CAPTURE(lost);
      if (lost) servers.lose_ledger();
      servers.to.clear_log();
      auto const report = servers.copy();
      CHECK(failures(report).empty());
      CHECK(report.total_created() == 0);
      CHECK(test::wrong_sums(report) == "");
      if (!lost) {
        CHECK(report.counts(Kind::run).copied == 2);  // those that still run are always looked at
        CHECK(report.counts(Kind::artifact).copied == 0);
      }
      CHECK(requests_to(servers.to, "/create") == 0);
      CHECK(test::difference(servers.from, servers.to) == "");
    }
  }

  TEST_CASE("promise idempotent: importing again, and copying after importing, makes nothing twice") {
    Two servers;
    test::fill_workload(servers.from);
    servers.export_it();
    servers.import_it();
    auto const again = servers.import_it();
    CHECK(again.total_created() == 0);
    auto const copied = servers.copy();  // another job, the same source: known by the markers
    CHECK(copied.total_created() == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("promise idempotent: what is new or changed since arrives, and nothing else is made") {
    Two servers;
    auto& from = servers.from;
    test::fill_workload(from);
    servers.copy();
    auto const first = test::run_id(from, "first");
    auto const running = test::run_id(from, "still running");
    test::set_run_tag(from, first, "note", "changed");
    test::set_run_tag(from, first, "new", "tag");
    test::log_metric(from, first, "late", 5, 1);
    from.put_file(test::run_files(from, first) + "/late.txt", "late");
    test::log_metric(from, running, "m", 4, 2);
    test::finish_run(from, running);
    test::make_run(from, test::experiment_id(from, "beta"), "new run", 100);
    auto const gamma = test::make_experiment(from, "gamma");
    test::make_run(from, gamma, "in gamma");
    from.post("experiments/set-experiment-tag",
              {{"experiment_id", test::experiment_id(from, "beta")}, {"key", "kind"}, {"value", "other"}});
    from.post("model-versions/create", {{"name", "Net"}, {"source", "s3://bucket/new"}});
    from.post("registered-models/alias", {{"name", "Net"}, {"alias", "best"}, {"version", "5"}});
    from.call("PATCH", "/api/2.0/mlflow/registered-models/update", {{"name", "Net"}, {"description", "new"}});
    auto const report = servers.copy();
    CHECK(failures(report).empty());
    CHECK(test::wrong_sums(report) == "");
    CHECK(report.counts(Kind::run).created == 2);
    CHECK(report.counts(Kind::experiment).created == 1);
    CHECK(report.counts(Kind::model_version).created == 1);
    CHECK(report.counts(Kind::registered_model).created == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("promise idempotent: a second export of an unchanged server costs its listing") {
    Two servers;
    test::fill_workload(servers.from);
    for (auto const* name : {"still running", "in default"})
      test::finish_run(servers.from, test::run_id(servers.from, name));
    servers.export_it();
    servers.from.clear_log();
    auto const report = servers.export_it();
    CHECK(report.counts(Kind::run).copied == 0);
    CHECK(report.unchanged_count(Kind::artifact) == servers.from.counts().files);
    CHECK(requests_to(servers.from, "get-history") == 0);
    CHECK(requests_to(servers.from, "mlflow-artifacts/artifacts/") == 0);
    servers.import_it();
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("promise idempotent: without marker tags the ledger alone protects, and no tag is left") {
    Two servers;
    test::fill_workload(servers.from);
    JobOptions const options{.marker_tags = false};
    auto const first = servers.copy(options);
    CHECK(failures(first).empty());
    bool told = false;
    for (auto const& note : first.notes) told = told || note.find("marker") != std::string::npos;
    CHECK(told);
    CHECK(test::difference(servers.from, servers.to) == "");
    for (auto const& request : servers.to.write_requests())
      REQUIRE(request.body.find("mlferry.") == std::string::npos);
    auto const again = servers.copy(options);
    CHECK(failures(again).empty());
    CHECK(again.total_created() == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("promise idempotent: links to what failed are written by the job that copies it, with its id") {
    struct Row {
      std::string path;
      int calls_that_work;
    };
    // Creating models, listing them (the job looks first whether there are some), creating runs.
    for (auto const& row :
         {Row{"/logged-models", 0}, Row{"logged-models/search", 1}, Row{"runs/create", 3}}) {
      CAPTURE(row.path);
      Two servers;
      test::fill_workload(servers.from);
      int calls = 0;
      for (auto* server : {&servers.from, &servers.to}) {
        server->faults().set(Fault::throttle, 1);
        server->faults().applies = [&](std::string_view, std::string_view path) {
          return path.ends_with(row.path) && ++calls > row.calls_that_work;
        };
      }
      auto const report = servers.copy();
      CHECK(report.total_failed() > 0);
      CHECK(test::wrong_sums(report) == "");
      for (auto* server : {&servers.from, &servers.to}) server->faults().set(Fault::throttle, 0);
      auto const again = servers.copy();
      CHECK(test::wrong_sums(again) == "");
      CHECK(failures(again) == "");
      CHECK(test::difference(servers.from, servers.to) == "");
    }
  }

  TEST_CASE("promise exact version numbers: gaps included, at any concurrency") {
    for (std::uint64_t const jobs : {1u, 3u, 48u}) {
      CAPTURE(jobs);
      Two servers;
      auto& from = servers.from;
      for (int model = 0; model < 12; ++model) {
        auto const name = "model " + std::to_string(model);
        from.post("registered-models/create", {{"name", name}});
        for (int version = 1; version <= 9; ++version) {
          from.post("model-versions/create",
                    {{"name", name}, {"source", "s3://b/" + std::to_string(version)}});
        }
        for (int version = 1; version <= 8; ++version) {
          if ((version * 7 + model * 3) % 4 == 0)
            from.call("DELETE", "/api/2.0/mlflow/model-versions/delete",
                      {{"name", name}, {"version", std::to_string(version)}});
        }
      }
      auto const report = servers.copy({.jobs = jobs});
      CHECK(failures(report).empty());
      CHECK(test::difference(servers.from, servers.to) == "");
    }
  }

  TEST_CASE("versions whose run is gone keep number and files: a run of ours carries them") {
    Two servers;
    auto const run = test::make_run(servers.from, "0", "soon gone");
    auto const files = test::run_files(servers.from, run);
    servers.from.put_file(files + "/model/MLmodel", "run_id: " + run + "\n");
    servers.from.put_file(files + "/model/data.bin", "12345");
    servers.from.post("registered-models/create", {{"name", "m"}});
    for (int i = 0; i < 3; ++i) {
      servers.from.post("model-versions/create", {{"name", "m"},
                                                  {"source", "mlflow-artifacts:/" + files + "/model"},
                                                  {"run_id", run}});
    }
    servers.from.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "m"}, {"version", "2"}});
    servers.from.forget_run(run);
    auto const exported = servers.export_it();
    CHECK(exported.counts(Kind::artifact).created == 4);  // two of each version
    auto const report = servers.import_it();
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::model_version).created == 2);
    CHECK(report.counts(Kind::artifact).created == 4);
    CHECK(test::findings(report, Severity::loss).find("carries them") != std::string::npos);
    auto const copy = servers.to.call("GET", "/api/2.0/mlflow/model-versions/get?name=m&version=3");
    std::string const source(copy.at("model_version").at("source").as_string());
    std::string const carrier(copy.at("model_version").at("run_id").as_string());
    CHECK(source.find(carrier) != std::string::npos);
    CHECK(servers.to.file(source.substr(std::string("mlflow-artifacts:/").size()) + "/data.bin") == "12345");
    auto const verified = test::compared(servers.loop, servers.from, servers.to);
    CHECK(verified.total_different() == 0);
    CHECK(verified.counts(Kind::model_version).verified == 2);
    CHECK(verified.counts(Kind::artifact).verified == 4);
    // Again, also without the ledger: nothing new, also from the server itself.
    CHECK(servers.import_it().total_created() == 0);
    servers.lose_ledger();
    CHECK(servers.import_it().total_created() == 0);
    CHECK(servers.to.counts().runs == 2);
  }

  TEST_CASE("promise dry run: no request writes, nothing is made on disk, and it says what would be made") {
    Two servers;
    test::fill_workload(servers.from);
    JobOptions const dry{.dry_run = true};
    auto const exported = servers.export_it(dry);
    CHECK_FALSE(fs::exists(servers.archive()));
    auto const copied = servers.copy(dry);
    CHECK(servers.from.write_count() == 0);
    CHECK(servers.to.write_count() == 0);
    for (auto const* report : {&exported, &copied}) {
      CHECK(report->dry_run);
      CHECK(test::wrong_sums(*report) == "");
      CHECK(report->counts(Kind::run).created == report->counts(Kind::run).found);
      CHECK(report->counts(Kind::model_version).created == report->counts(Kind::model_version).found);
    }
    servers.export_it();
    servers.import_it(dry);
    CHECK(servers.to.write_count() == 0);
    // And over what is there already.
    servers.copy();
    auto const writes = servers.to.write_count();
    test::make_run(servers.from, "0", "one more");
    auto const again = servers.copy(dry);
    CHECK(servers.to.write_count() == writes);
    CHECK(again.counts(Kind::run).created == 1);
    CHECK(again.total_created() == 1);
  }

  TEST_CASE("promise server-bound: a thousand runs are read with few requests, in bounded memory") {
    FakeOptions options;
    options.generated = {.runs = 1000, .metrics = 2, .points = 5, .params = 3, .tags = 2};
    Two servers(options);
    test::Ferry ferry(servers.loop);
    test::run(servers.loop, test::export_server(ferry, servers.from, servers.archive()));
    CHECK(ferry.report.counts(Kind::run).copied == 1000);
    // Two histories of 1000 runs by 100, the pages, and the census with its dozen of questions.
    CHECK(servers.from.request_count() <= 20 + 60);
    CHECK(ferry.memory.peak() <= ferry.memory.capacity());
    CHECK(ferry.memory.used() == 0);
  }

  TEST_CASE("promise server-bound: into an archive the next kinds are read while files still load") {
    constexpr int files = 400;
    Two servers;
    auto const run = test::make_run(servers.from, "0", "r");
    auto const folder = test::run_files(servers.from, run);
    for (int i = 0; i < files; ++i) servers.from.put_file(folder + "/f" + std::to_string(i), std::string(10'000, 'x'));
    // How many files had been asked for when the models were.
    auto const files_before_models = [&]() -> int {
      int n = 0;
      for (auto const& request : servers.from.log()) {
        if (request.path.ends_with("registered-models/search")) return n;
        if (request.path.find("/mlflow-artifacts/artifacts/") != std::string::npos) ++n;
      }
      return -1;
    };
    auto const exported = servers.export_it();
    CHECK(exported.counts(Kind::artifact).copied == files);
    CHECK(files_before_models() >= 0);
    CHECK(files_before_models() < files);
    servers.from.clear_log();
    // A server wants the files of a version's run first.
    auto const copied = servers.copy();
    CHECK(copied.counts(Kind::artifact).copied == files);
    CHECK(files_before_models() == files);
  }

  TEST_CASE("promise server-bound: what a server has none of is asked for once, not for each experiment") {
    Two servers;
    for (auto const* name : {"a", "b", "c"}) test::make_run(servers.from, test::make_experiment(servers.from, name), "r");
    CHECK(servers.export_it().counts(Kind::run).copied == 3);
    CHECK(requests_to(servers.from, "logged-models/search") == 1);
    CHECK(requests_to(servers.from, "traces/search") == 1);
    CHECK(requests_to(servers.from, "experiments/search") == 1);
    CHECK(requests_to(servers.from, "runs/search") == 1);
  }

  TEST_CASE("siblings: objects of a container that cannot be written fail, all others arrive") {
    Two servers;
    test::fill_workload(servers.from);
    // The user deleted an experiment of that name in the destination.
    auto const mine = test::make_experiment(servers.to, "beta");
    servers.to.post("experiments/delete", {{"experiment_id", mine}});
    auto const report = servers.copy();
    auto const text = failures(report);
    CHECK(text.find("is deleted in the destination") != std::string::npos);
    CHECK(test::wrong_sums(report) == "");
    auto const arrived = test::contents(servers.to);
    CHECK(arrived.contains("run alpha / \"quoted\"/first"));
    CHECK(arrived.contains("run alpha / \"quoted\"/child"));
    CHECK(arrived.contains("run gone/in gone"));
    CHECK_FALSE(arrived.contains("run beta/parent"));
    CHECK(arrived.contains("model version Net/1"));
    // Its logged model was not copied; its number stays free, and with it that of the next one.
    CHECK_FALSE(arrived.contains("model version Net/3"));
    CHECK_FALSE(arrived.contains("model version Net/4"));
    CHECK(text.find("so that its number stays free") != std::string::npos);
    // The user does what the report says, and runs the same command again.
    servers.to.post("experiments/restore", {{"experiment_id", mine}});
    auto const again = servers.copy();
    CHECK(failures(again) == "");
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("siblings: what is not in the source at all blocks nothing, also when something else fails") {
    Two servers;
    auto& from = servers.from;
    test::fill_workload(from);
    auto const experiment = test::experiment_id(from, "beta");
    auto const orphan = test::make_run(from, experiment, "orphan");
    test::set_run_tag(from, orphan, "mlflow.parentRunId", std::string(32, 'a'));
    from.post(
        "runs/log-inputs",
        {{"run_id", orphan},
         {"models", boost::json::array{boost::json::object{{"model_id", "m-" + std::string(32, 'b')}}}}});
    test::finish_run(from, orphan);
    from.post("registered-models/create", {{"name", "Orphan"}});
    for (int i = 0; i < 2; ++i)
      from.post("model-versions/create",
                {{"name", "Orphan"}, {"source", "s3://b/x"}, {"run_id", std::string(32, 'c')}});
    // One run fails for good.
    auto const failing = test::make_run(from, experiment, "failing");
    for (int i = 0; i < 3; ++i) test::log_metric(from, failing, "m", i, i);
    from.faults().set(Fault::throttle, 1);
    from.faults().applies = [](std::string_view, std::string_view path) {
      return path.find("get-history") != path.npos;
    };
    auto const report = servers.copy();
    from.faults().applies = {};
    from.faults().set(Fault::throttle, 0);
    CHECK(report.counts(Kind::run).failed > 0);
    auto const arrived = test::contents(servers.to);
    CHECK(arrived.contains("model version Orphan/1"));
    CHECK(arrived.contains("model version Orphan/2"));
    auto const of_orphan = arrived.at("run beta/orphan");
    CHECK(of_orphan.find("input m-" + std::string(32, 'b')) != std::string::npos);
    CHECK(of_orphan.find("mlflow.parentRunId = " + std::string(32, 'a')) != std::string::npos);
    auto const again = servers.copy();
    CHECK(failures(again) == "");
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("siblings: --fail-fast ends the job at the first failure") {
    Two servers;
    test::fill_workload(servers.from);
    auto const mine = test::make_experiment(servers.to, "beta");
    servers.to.post("experiments/delete", {{"experiment_id", mine}});
    CHECK_THROWS_AS(servers.copy({.jobs = 1, .fail_fast = true}), JobEnded);
    CHECK(servers.to.counts().registered_models == 0);
    // Without it, the same job goes on where this one stopped.
    auto const report = servers.copy();
    CHECK(servers.to.counts().registered_models == servers.from.counts().registered_models);
    CHECK(test::wrong_sums(report) == "");
  }

  TEST_CASE("locked: a job that runs already is refused, and the running one is not disturbed") {
    Two servers;
    test::fill_workload(servers.from);
    auto const job = servers.from.url() + " -> " + servers.to.url();
    {
      auto const held = servers.state() + "/" + "held";
      Ledger ledger(held, job);
      CHECK_THROWS_AS(Ledger(held, job), LedgerLocked);
    }
    test::Ferry a(servers.loop), b(servers.loop);
    auto both = [&]() -> async::Task<> {
      async::TaskGroup first(servers.loop.get_executor());
      first.spawn(test::copy_servers(a, servers.from, servers.to, servers.state()));
      // Until the first job has its ledger.
      while (a.report.counts(Kind::experiment).found == 0)
        co_await async::sleep_for(std::chrono::milliseconds(1));
      std::exception_ptr refused;
      try {
        co_await test::copy_servers(b, servers.from, servers.to, servers.state());
      } catch (...) {
        refused = std::current_exception();
      }
      co_await first.join();
      if (refused) std::rethrow_exception(refused);
    };
    CHECK_THROWS_AS(test::run(servers.loop, both()), LedgerLocked);
    CHECK(failures(a.report).empty());
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("unreachable: a server that is gone ends the job with an error, not with an empty success") {
    Two servers;
    test::fill_workload(servers.from);
    boost::asio::io_context& loop = servers.loop;
    auto gone = std::make_unique<FakeMlflow>(loop);
    auto const port = gone->port();
    gone.reset();
    FakeOptions options;
    options.port = port;
    test::Ferry ferry(loop);
    auto link_to_nobody = [&]() -> async::Task<> {
      http::Client http(loop.get_executor(), test::impatient("http://127.0.0.1:" + std::to_string(port)),
                        nullptr);
      mlflow::Client client(http);
      ServerSource source(ferry.context, client, {});
      auto archive = test::open_archive(ferry, servers.archive());
      ArchiveTarget target(ferry.context, *archive, servers.archive());
      co_await transfer(ferry.context, source, target);
    };
    CHECK_THROWS_AS(test::run(loop, link_to_nobody()), http::TransportError);
    CHECK_FALSE(fs::exists(servers.archive()));
  }
}
