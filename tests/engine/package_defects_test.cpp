// Defects of mlflow-export-import that no other test shows to be none of ours
// (docs/coming-from-mlflow-export-import.md).

#include <doctest/doctest.h>

#include "engine/transfer.hpp"
#include "support/archive_fixture.hpp"
#include "support/run.hpp"
#include "support/tree_jobs.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;

namespace {

struct Two {
  std::string at(const std::string& name) const { return (scratch.path() / name).string(); }
  Report through_a_tree() {
    auto exported = test::exported_tree(loop, from, at("tree"));
    CHECK(test::findings(exported, Severity::failed).empty());
    return test::imported_tree(loop, at("tree"), to, at("state"));
  }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from{loop, {}}, to{loop, test::destination({})};
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE(
      "package defects: a logged model whose run was purged arrives, through a directory and straight (L3)") {
    Two servers;
    auto const experiment = test::make_experiment(servers.from, "alone");
    auto const run = test::make_run(servers.from, experiment, "purged");
    servers.from.call(
        "POST", "/api/2.0/mlflow/logged-models",
        {{"experiment_id", experiment}, {"name", "orphan"}, {"source_run_id", std::string(32, 'f')}});
    servers.from.call("POST", "/api/2.0/mlflow/logged-models",
                      {{"experiment_id", experiment}, {"name", "other"}, {"source_run_id", run}});
    auto const report = servers.through_a_tree();
    CHECK(test::findings(report, Severity::failed).empty());
    CHECK_FALSE(test::logged_model_id(servers.to, "orphan").empty());
    Two straight;
    auto const there = test::make_experiment(straight.from, "alone");
    straight.from.call(
        "POST", "/api/2.0/mlflow/logged-models",
        {{"experiment_id", there}, {"name", "orphan"}, {"source_run_id", std::string(32, 'f')}});
    auto const copied = test::copied(straight.loop, straight.from, straight.to, straight.at("state"));
    CHECK(test::findings(copied, Severity::failed).empty());
    CHECK_FALSE(test::logged_model_id(straight.to, "orphan").empty());
    CHECK(straight.to.counts().runs == 0);  // and no run is made up for it
  }

  TEST_CASE("package defects: versions of one run share its one copy (M7)") {
    Two servers;
    auto const experiment = test::make_experiment(servers.from, "shared");
    auto const run = test::make_run(servers.from, experiment, "of three versions");
    test::finish_run(servers.from, run);
    servers.from.put_file(test::run_files(servers.from, run) + "/model/MLmodel", "run_id: " + run + "\n");
    servers.from.post("registered-models/create", {{"name", "wine"}});
    for (int i = 0; i < 3; ++i) {
      servers.from.post("model-versions/create",
                        {{"name", "wine"},
                         {"source", "mlflow-artifacts:/" + test::run_files(servers.from, run) + "/model"},
                         {"run_id", run}});
    }
    auto const report = servers.through_a_tree();
    CHECK(test::findings(report, Severity::failed).empty());
    CHECK(servers.to.counts().runs == 1);
    CHECK(servers.to.counts().model_versions == 3);
  }

  TEST_CASE("package defects: an import writes nothing into the directory that it reads (P7)") {
    Two servers;
    test::fill_workload(servers.from);
    test::add_prompt_and_traces(servers.from);
    test::exported_tree(servers.loop, servers.from, servers.at("tree"));
    auto const before = test::tree_contents(servers.at("tree"));
    auto const report =
        test::imported_tree(servers.loop, servers.at("tree"), servers.to, servers.at("state"));
    CHECK(report.counts(Kind::prompt_version).copied > 0);
    CHECK(before.size() > 10);
    CHECK(test::tree_difference(before, test::tree_contents(servers.at("tree"))) == "");
  }
}
