// Directories of single objects, and of several of one kind, made of the parts of tests/format/tree/v1; imported into a
// fake server by the mappings of the import commands.

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/endpoints/mapped_source.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
namespace fs = std::filesystem;

namespace {

const std::string calm = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const std::string net = "m-00aa11bb22cc33dd44ee55ff66007788";
const std::string trace = "tr-5d5f9c0e6b7a4a0f8c1d2e3f40516273";
const fs::path v1 = fs::path(MLFERRY_SOURCE_DIR) / "tests/format/tree/v1";
const fs::path wine = v1 / "experiments/7";

void put(const fs::path& from, const fs::path& to) {
  fs::create_directories(to.parent_path());
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

void put(const json::object& object, const fs::path& to) {
  fs::create_directories(to.parent_path());
  test::write_file(to, mlflow::to_json(object));
}

struct Job {
  Mapping mapping;
  ServerTargetOptions target;
  std::set<TreeForm> accepts;
};

Job into(const std::string& experiment, TreeForm form) {
  Job job;
  job.mapping.into_experiment = experiment;
  job.mapping.experiment_metadata = false;
  job.target.keep_experiments = true;
  job.target.links_stay_open = true;
  job.accepts = {form};
  return job;
}

async::Task<> import_tree(test::Ferry& ferry, std::string folder, const FakeMlflow& to, std::string state, Job job) {
  test::Link link(ferry, to);
  TreeSource tree(ferry.context, std::move(folder), {.accepts = job.accepts, .kinds = job.mapping.kinds});
  MappedSource source(tree, job.mapping);
  ServerTarget target(ferry.context, link.client, std::move(state), false, {}, job.target);
  co_await transfer(ferry.context, source, target);
}

struct Fixture {
  Report import(const Job& job) {
    test::Ferry ferry(loop);
    test::run(loop, import_tree(ferry, tree.string(), to, (scratch.path() / "state").string(), job));
    CHECK(test::wrong_sums(ferry.report) == "");
    return std::move(ferry.report);
  }
  // Imports once more: nothing is made.
  void again(const Job& job) {
    auto const before = test::snapshot(to);
    auto const report = import(job);
    CHECK(report.total_created() == 0);
    CHECK(report.total_failed() == 0);
    CHECK(test::difference(before, test::snapshot(to)) == "");
  }
  bool has(const std::string& key, const std::string& line) {
    auto const all = test::contents(to);
    auto const found = all.find(key);
    if (found != all.end() && found->second.find(line) != std::string::npos) return true;
    std::string text = found == all.end() ? "no '" + key + "' among:" : found->second;
    if (found == all.end()) {
      for (auto const& [name, value] : all) text += "\n" + name;
    }
    MESSAGE(text);
    return false;
  }

  test::ScratchFolder scratch;
  fs::path tree = scratch.path() / "tree";
  boost::asio::io_context loop;
  FakeMlflow to{loop, test::FakeOptions{}};
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("tree of one run: with its logged model, into an experiment of that name") {
    Fixture t;
    put(wine / "runs" / calm, t.tree);
    put(wine / "logged_models" / net, t.tree / net);
    auto const job = into("dest", TreeForm::run);
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::run).created == 1);
    CHECK(report.counts(Kind::logged_model).created == 1);
    CHECK(report.counts(Kind::artifact).failed == 0);
    CHECK(t.has("run dest/calm", "start_time 1760000000123"));
    CHECK(t.has("run dest/calm", "output <logged model dest/net> at 3"));
    t.again(job);
    // Into another one: a copy of its own.
    CHECK(t.import(into("elsewhere", TreeForm::run)).counts(Kind::run).created == 1);
    CHECK(t.has("run elsewhere/calm", "tag team = blue"));
  }

  TEST_CASE("tree of one run: what is there already is added to, a deleted experiment refused") {
    Fixture t;
    put(wine / "runs" / calm, t.tree);
    Job job = into("dest", TreeForm::run);
    {
      test::Ferry ferry(t.loop);
      test::Link link(ferry, t.to);
      auto make = [&]() -> async::Task<> {
        auto const id = co_await link.client.create_experiment("dest", "", {{"mine", "1"}});
        auto const gone = co_await link.client.create_experiment("gone", "", {});
        co_await link.client.delete_experiment(gone);
        CHECK_FALSE(id.empty());
      };
      test::run(t.loop, make());
    }
    CHECK(t.import(job).total_failed() == 0);
    t.again(job);
    CHECK(t.has("experiment dest", "tag mine = 1"));
    auto const refused = t.import(into("gone", TreeForm::run));
    CHECK(refused.counts(Kind::experiment).failed == 1);
    CHECK(refused.counts(Kind::run).created == 0);
    CHECK(test::findings(refused, Severity::failed).find("deleted experiment of that name") != std::string::npos);
  }

  TEST_CASE("tree of one logged model: a run stands in for its own, until that comes") {
    Fixture t;
    put(wine / "logged_models" / net, t.tree);
    auto const job = into("dest", TreeForm::logged_model);
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::logged_model).created == 1);
    CHECK(report.counts(Kind::run).created == 1);
    CHECK(t.has("logged model dest/net", "0.75"));
    CHECK(t.has("run dest/run of logged model net", "9f0c11ab"));
    CHECK(t.has("run dest/run of logged model net", "output <logged model dest/net>"));
    t.again(job);
    // The run itself takes its place, and stays when the model is imported again.
    fs::remove_all(t.tree);
    put(wine / "runs" / calm, t.tree);
    CHECK(t.import(into("dest", TreeForm::run)).counts(Kind::run).created == 0);
    auto const team = [&] {
      bool found = false;
      for (auto const& [key, value] : test::contents(t.to)) found = found || value.find("tag team = blue") != std::string::npos;
      return found;
    };
    CHECK(team());
    fs::remove_all(t.tree);
    put(wine / "logged_models" / net, t.tree);
    t.again(job);
    CHECK(team());
  }

  TEST_CASE("tree of one trace") {
    Fixture t;
    put(wine / "traces" / trace, t.tree);
    auto const job = into("dest", TreeForm::trace);
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::trace).created == 1);
    CHECK(t.import(job).total_created() == 0);
    // Its id is taken: refused, or another.
    auto other = into("other", TreeForm::trace);
    CHECK(t.import(other).counts(Kind::trace).failed == 1);
    other.target.new_trace_ids = true;
    CHECK(t.import(other).counts(Kind::trace).created == 1);
    CHECK(t.import(other).total_created() == 0);
  }

  TEST_CASE("trees of several logged models and traces: experiments by the names in the list") {
    Fixture t;
    put(wine / "logged_models", t.tree);
    Job job;
    job.accepts = {TreeForm::logged_models};
    job.target.links_stay_open = true;
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(t.has("logged model wine/net", "0.75"));
    t.again(job);
    fs::remove_all(t.tree);
    put(wine / "traces", t.tree);
    job.accepts = {TreeForm::traces};
    CHECK(t.import(job).counts(Kind::trace).created == 1);
  }

  TEST_CASE("tree of a model: runs and logged models beside it, another name, its numbers") {
    Fixture t;
    put(v1 / "models/wine_m/model.json", t.tree / "model.json");
    put(wine / "runs" / calm, t.tree / calm);
    put(wine / "logged_models" / net, t.tree / net);
    auto job = into("dest", TreeForm::model);
    job.mapping.model = "grape";
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::model_version).created == 3);
    CHECK(report.counts(Kind::run).created == 1);
    CHECK(t.has("registered model grape", "champ"));
    CHECK(t.has("model version grape/10", "n = 10"));
    t.again(job);
    // Again in the place of what is there.
    job.target.replaced = {Kind::registered_model};
    CHECK(t.import(job).counts(Kind::model_version).created == 3);
    CHECK(t.has("model version grape/10", "n = 10"));
  }

  TEST_CASE("tree of a model: nothing is deleted for what cannot be imported") {
    Fixture t;
    put(v1 / "models/wine_m/model.json", t.tree / "model.json");
    put(wine / "runs" / calm, t.tree / calm);
    put(wine / "logged_models" / net, t.tree / net);
    auto job = into("dest", TreeForm::model);
    job.mapping.model = "grape";
    CHECK(t.import(job).total_failed() == 0);
    auto const before = test::contents(t.to);
    fs::remove_all(t.tree / calm);
    fs::remove_all(t.tree / net);
    auto other = into("other", TreeForm::model);
    other.mapping.model = "grape";
    other.target.replaced = {Kind::registered_model};
    other.target.versions_need_files = true;
    auto const report = t.import(other);
    CHECK(report.counts(Kind::registered_model).failed == 1);
    CHECK(test::findings(report, Severity::failed).find("nothing was deleted") != std::string::npos);
    auto const after = test::contents(t.to);
    for (auto const& [key, value] : before) CHECK(after.at(key) == value);
  }

  TEST_CASE("tree of a model version: the next free number, found again by what it is a copy of") {
    Fixture t;
    auto const file = mlflow::parse_json(test::read_file(v1 / "models/wine_m/model.json"), "model.json");
    auto const& model = file.at("mlflow").at("registered_model").as_object();
    auto bare = model;
    bare.erase("versions");
    put({{"mlflow", json::object{{"model_version", model.at("versions").at(0)}}}}, t.tree / "version.json");
    put({{"mlflow", json::object{{"registered_model", bare}}}}, t.tree / "model.json");
    put({{"mlflow",
          json::object{{"experiment", json::object{{"experiment_id", "7"},
                                                   {"name", "wine"},
                                                   {"tags", json::array{json::object{{"key", "of"}, {"value", "7"}}}}}}}}},
        t.tree / "experiment.json");
    put(wine / "runs" / calm, t.tree / "run");
    auto job = into("dest", TreeForm::model_version);
    job.mapping.model = "grape";
    job.mapping.stages_and_aliases = false;
    job.mapping.model_metadata = false;
    job.target.append_versions = true;
    job.target.create_models = false;
    CHECK(t.import(job).counts(Kind::registered_model).failed == 1);
    job.target.create_models = true;
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(t.has("model version grape/1", "n = 1"));
    t.again(job);
    // The same number of another model is another version.
    auto other = model.at("versions").at(0).as_object();
    other["name"] = "beer_m";
    put({{"mlflow", json::object{{"model_version", other}}}}, t.tree / "version.json");
    job.mapping.stages_and_aliases = true;
    CHECK(t.import(job).counts(Kind::model_version).created == 1);
    CHECK(t.has("model version grape/2", "n = 1"));
    CHECK(t.has("registered model grape", "champ"));
    t.again(job);
    // With what its experiment is.
    auto with = job;
    with.mapping.into_experiment = "fresh";
    with.mapping.experiment_metadata = true;
    CHECK(t.import(with).total_failed() == 0);
    CHECK(t.has("experiment fresh", "tag of = 7"));
  }

  TEST_CASE("trees of prompts and datasets") {
    Fixture t;
    put(v1 / "prompts/greet_v10/prompt.json", t.tree / "prompt.json");
    Job job;
    job.accepts = {TreeForm::prompt};
    job.mapping.prompt = "hello";
    job.target.append_versions = true;
    auto const report = t.import(job);
    CHECK(test::findings(report, Severity::failed) == "");
    CHECK(report.counts(Kind::prompt_version).created == 1);
    t.again(job);
    job.target.replaced = {Kind::prompt};
    CHECK(t.import(job).counts(Kind::prompt_version).created == 1);

    fs::remove_all(t.tree);
    put(v1 / "prompts/greet_v1", t.tree / "greet_v1");
    put(v1 / "prompts/greet_v10", t.tree / "greet_v10");  // without the summary
    Job all;
    all.accepts = {TreeForm::prompts, TreeForm::all};
    CHECK(t.import(all).counts(Kind::prompt_version).created == 2);
    t.again(all);
    all.target.replaced = {Kind::prompt};
    CHECK(t.import(all).counts(Kind::prompt_version).created == 2);  // each version, not only the last
  }

  TEST_CASE("a directory of another form is refused in one sentence") {
    Fixture t;
    put(wine / "runs" / calm, t.tree);
    try {
      t.import(into("dest", TreeForm::trace));
      FAIL("it was read");
    } catch (const tree::TreeError& error) {
      std::string const text = error.what();
      CHECK(text.find("holds one run (export-run): import it with mlferry import-run") != std::string::npos);
    }
  }

  TEST_CASE("MLmodel files stay as they are where that is wished") {
    for (bool const fix : {true, false}) {
      Fixture t;
      put(wine / "runs" / calm, t.tree);
      auto job = into("dest", TreeForm::run);
      job.target.fix_mlmodels = fix;
      CHECK(t.import(job).total_failed() == 0);
      CHECK(t.has("file of run dest/calm:/model/MLmodel", fix ? "run_id: <run dest/calm>" : "run_id: " + calm));
      t.again(job);
    }
  }
}
