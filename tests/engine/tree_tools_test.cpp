// Rewriting and cutting directories of every layout, and of hostile ones.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "engine/tools/model_filter.hpp"
#include "engine/tools/rewrite_rules.hpp"
#include "engine/tools/tree_rewrite.hpp"
#include "storage/tree/tree_reader.hpp"
#include "support/archive_fixture.hpp"
#include "support/run.hpp"
#include "support/tree_jobs.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
namespace fs = std::filesystem;

namespace {

struct Trees {
  Trees(const std::string& layout) {
    fs::copy(fs::path(MLFERRY_SOURCE_DIR) / "tests" / "format" / "tree" / layout, at("tree"),
             fs::copy_options::recursive);
  }
  std::string at(const std::string& name) const { return (scratch.path() / name).string(); }

  FilteredModel filter(ModelFilter wanted) {
    test::Ferry ferry(loop);
    wanted.input = at("tree");
    wanted.output = at("cut");
    FilteredModel done;
    auto body = [&]() -> async::Task<> { done = co_await filter_model(ferry.context, wanted); };
    test::run(loop, body());
    return done;
  }

  Rewritten rewrite(const std::string& rule) {
    test::Ferry ferry(loop);
    auto const rules = parse_rules("[" + rule + "]");
    auto change = [&rules](const std::string& path, json::value document) {
      if (applies_to(rules[0], path)) apply_rule(rules[0], document);
      return document;
    };
    Rewritten done;
    auto body = [&]() -> async::Task<> {
      done = co_await rewrite_tree(ferry.context, at("tree"), change, false);
    };
    test::run(loop, body());
    return done;
  }

  Report import_from(const std::string& folder) {
    return test::imported_tree(loop, at(folder), to, at("state"));
  }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow to{loop, test::destination({})};
};

std::string text(const std::string& file) {
  return test::read_file(file);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("tree tools: one model out of each layout, under new names") {
    struct {
      const char* layout;
      std::size_t versions;
    } const table[] = {{"v1", 3}, {"v2", 3}, {"v3", 3}, {"v4", 1}};
    for (auto const& row : table) {
      CAPTURE(row.layout);
      Trees trees(row.layout);
      auto const done = trees.filter({"", "", "wine_m", "new model", "new place"});
      CHECK(done.versions == row.versions);
      CHECK(done.experiments.size() == 1);
      auto const report = trees.import_from("cut");
      CHECK(report.counts(Kind::registered_model).copied == 1);
      auto const model = trees.to.call("GET", "/api/2.0/mlflow/registered-models/get?name=new%20model");
      CHECK(model.at("registered_model").at("name") == "new model");
      CHECK_FALSE(test::experiment_id(trees.to, "new place").empty());
      // What the layout's own directory lacks, and nothing more.
      FakeMlflow other(trees.loop, test::destination({}));
      auto const whole = test::imported_tree(trees.loop, trees.at("tree"), other, trees.at("other state"));
      CHECK(report.counts(Kind::model_version).copied == whole.counts(Kind::model_version).copied);
      CHECK(report.counts(Kind::run).failed <= whole.counts(Kind::run).failed);
      CHECK_FALSE(fs::exists(trees.at("cut") + "/.mlferry/unfinished"));
    }
  }

  TEST_CASE("tree tools: what does not fit is refused before anything is made") {
    Trees trees("v1");
    CHECK_THROWS_AS(trees.filter({"", "", "none", "", ""}), BadFilter);
    CHECK_FALSE(fs::exists(trees.at("cut")));
    trees.filter({"", "", "wine_m", "", ""});
    CHECK_THROWS_AS(trees.filter({"", "", "wine_m", "", ""}), BadFilter);  // not empty any more
    fs::remove_all(trees.at("tree") + "/models");
    fs::remove_all(trees.at("cut"));
    CHECK_THROWS_AS(trees.filter({"", "", "wine_m", "", ""}), tree::TreeError);
    fs::remove_all(trees.at("tree"));
    CHECK_THROWS_AS(trees.filter({"", "", "wine_m", "", ""}), tree::TreeError);
  }

  TEST_CASE("tree tools: no list and no link leads a copy out of the directory") {
    Trees trees("v1");
    fs::create_directories(trees.at("secret") + "/runs/0a1b2c3d4e5f60718293a4b5c6d7e8f9");
    std::ofstream(trees.at("secret") + "/runs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/run.json") << "{}";
    std::ofstream(trees.at("secret") + "/password") << "hidden";
    auto const index = trees.at("tree") + "/experiments/experiments.json";
    auto list = mlflow::parse_python_json(text(index), "test").as_object();
    list["mlflow"].as_object()["experiments"].as_array().push_back(
        json::object{{"id", "../../secret"}, {"name", "x"}});
    std::ofstream(index) << mlflow::to_json(list);
    fs::create_symlink(trees.at("secret") + "/password", trees.at("tree") + "/models/wine_m/link");
    auto const done = trees.filter({"", "", "wine_m", "", ""});
    CHECK(done.experiments == std::vector<std::string>{"7"});
    REQUIRE(done.notes.size() == 1);
    CHECK(done.notes[0].find("models/wine_m/link was left out: a symbolic link") == 0);
    for (auto const& entry : fs::recursive_directory_iterator(trees.at("cut"))) {
      if (entry.is_regular_file()) CHECK(text(entry.path().string()).find("hidden") == std::string::npos);
    }
  }

  TEST_CASE("tree tools: a version whose run is nowhere is told") {
    Trees trees("v1");
    test::write_file(trees.at("tree") + "/experiments/experiments.json", R"({"mlflow": {"experiments": []}})");
    auto const done = trees.filter({"", "", "wine_m", "", ""});
    CHECK(done.experiments.empty());
    REQUIRE(done.notes.size() == 3);
    CHECK(done.notes[0].find("version 1: the run or logged model that it was made of is in no experiment") == 0);
    // Its files lie beside it.
    fs::remove_all(trees.at("cut"));
    fs::create_directories(trees.at("tree") + "/models/wine_m/version_models/1");
    test::write_file(trees.at("tree") + "/models/wine_m/version_models/1/MLmodel", "x: 1");
    CHECK(trees.filter({"", "", "wine_m", "", ""}).notes.size() == 2);
  }

  TEST_CASE("tree tools: every layout's files are found and changed, what lies among artifacts is not") {
    for (std::string const layout : {"v1", "v2", "v3", "v4"}) {
      CAPTURE(layout);
      Trees trees(layout);
      std::string run;
      for (auto const& entry : fs::recursive_directory_iterator(trees.at("tree") + "/experiments")) {
        if (entry.path().filename() == "run.json") run = entry.path().string();
      }
      REQUIRE_FALSE(run.empty());
      auto const artifacts = fs::path(run).parent_path() / "artifacts";
      fs::create_directories(artifacts);
      std::ofstream(artifacts / "model.json") << "not an object of the export";
      auto const before = text(run);
      auto const done =
          trees.rewrite(R"({"files": "*/run.json", "set": "/mlflow/tags/added", "value": "tag"})");
      CHECK(done.failed.empty());
      CHECK(done.changed >= 1);
      CHECK(done.files > done.changed);
      CHECK(text(run).find("\"added\": \"tag\"") != std::string::npos);
      CHECK(text(run + ".backup") == before);
      CHECK(text((artifacts / "model.json").string()) == "not an object of the export");
      trees.rewrite(R"({"files": "*/run.json", "set": "/mlflow/tags/added", "value": "other"})");
      CHECK(text(run + ".backup") == before);
      auto const report = trees.import_from("tree");
      CHECK(report.counts(Kind::run).copied >= 1);
    }
  }

  TEST_CASE("tree tools: a file that cannot be read fails, the others change") {
    Trees trees("v1");
    auto const broken = trees.at("tree") + "/experiments/7/experiment.json";
    std::ofstream(broken) << "{\"mlflow\": {";
    fs::create_directories(trees.at("tree") + "/experiments/8");
    fs::create_symlink(trees.at("tree") + "/manifest.json",
                       trees.at("tree") + "/experiments/8/experiment.json");
    auto const done = trees.rewrite(
        R"({"files": "*/model.json", "set": "/mlflow/registered_model/description", "value": "new"})");
    REQUIRE(done.failed.size() == 1);
    CHECK(done.failed[0].first == "experiments/7/experiment.json");
    CHECK(done.changed == 1);
    CHECK(text(broken) == "{\"mlflow\": {");
    CHECK(fs::is_symlink(trees.at("tree") + "/experiments/8/experiment.json"));
  }

  TEST_CASE("tree tools: a command is given the document, and what it does wrong is said") {
    json::value const document{{"mlflow", {{"x", {1, 0.1}}}}};
    CHECK(rewrite_by_command("cat", "a/run.json", document) == document);
    auto const named = rewrite_by_command(
        "echo \"{\\\"file\\\": \\\"$MLFERRY_FILE\\\", \\\"object\\\": \\\"$MLFERRY_OBJECT\\\"}\"",
        "a/run.json", document);
    CHECK(named == json::value{{"file", "a/run.json"}, {"object", "run"}});
    for (auto const* wrong :
         {"exit 3", "true", "echo x", "echo '[1]'", "no-such-program-anywhere 2>/dev/null", "kill -9 $$"}) {
      CAPTURE(wrong);
      CHECK_THROWS(rewrite_by_command(wrong, "a/run.json", document));
    }
    // One that reads nothing of much does not end us.
    json::array many(200'000, json::value("text"));
    CHECK(rewrite_by_command("echo '{}'", "run.json", json::value(std::move(many))) == json::object());
  }
}
