// verify: silent about equal servers, and loud about each thing that can differ.

#include "engine/compare.hpp"

#include "engine/objects/object_kind.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
namespace json = boost::json;

namespace {

struct Copied {
  Copied() : from(loop), to(loop, test::destination()) {
    test::fill_workload(from);
    test::copied(loop, from, to, (scratch.path() / "state").string());
  }
  Report compare(CompareOptions options = {}) { return test::compared(loop, from, to, options); }
  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from, to;
};

std::string file_of(FakeMlflow& server, const std::string& run, const std::string& path) {
  return test::run_files(server, test::run_id(server, run)) + "/" + path;
}

void delete_file(FakeMlflow& server, const std::string& path) {
  server.call("DELETE", "/api/2.0/mlflow-artifacts/artifacts/" + path);
}

json::array one_pair(const char* key, const char* value) {
  return json::array{json::object{{"key", key}, {"value", value}}};
}

std::string differences_of(const Report& report) {
  return test::findings(report, Severity::difference);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("compare: a faithful copy is verified, object by object") {
    Copied servers;
    auto const report = servers.compare();
    CHECK(differences_of(report) == "");
    for (auto const kind : all_kinds) {
      CAPTURE(kind_label(kind));
      bool const in_workload = kind != Kind::prompt && kind != Kind::prompt_version && kind != Kind::trace &&
                               kind != Kind::workspace && !is_object_kind(kind);
      CHECK((report.counts(kind).found > 0) == in_workload);
      CHECK(report.counts(kind).verified == report.counts(kind).found);
    }
    CHECK(servers.from.write_count() == 0);
    auto const writes = servers.to.write_count();
    servers.compare();
    CHECK(servers.to.write_count() == writes);
  }

  TEST_CASE("compare: an archive against the server it was restored to") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    FakeMlflow from(loop), to(loop, test::destination());
    test::fill_workload(from);
    auto const archive = (scratch.path() / "archive").string();
    test::exported(loop, from, archive);
    test::imported(loop, archive, to, (scratch.path() / "state").string());
    test::Ferry ferry(loop);
    test::run(loop, test::compare_archive(ferry, archive, to));
    CHECK(differences_of(ferry.report) == "");
    for (auto const kind : all_kinds)
      CHECK(ferry.report.counts(kind).verified == ferry.report.counts(kind).found);
    test::set_run_tag(to, test::run_id(to, "first"), "note", "x");
    test::Ferry again(loop);
    test::run(loop, test::compare_archive(again, archive, to));
    CHECK(again.report.counts(Kind::run).different == 1);
  }

  TEST_CASE("compare: every kind of change is found, under the object's name, and no other") {
    struct Row {
      const char* what;
      Kind kind;
      std::string text;  // in the finding
      std::function<void(FakeMlflow&)> change;
    };
    auto const run = [](FakeMlflow& to, const char* name) { return test::run_id(to, name); };
    std::vector<Row> const rows{
        {"run tag", Kind::run, "tag 'note'",
         [&](auto& to) { test::set_run_tag(to, run(to, "first"), "note", "x"); }},
        {"run tag more", Kind::run, "tag 'more'",
         [&](auto& to) { test::set_run_tag(to, run(to, "first"), "more", "x"); }},
        {"run tag gone", Kind::run, "tag 'colour'",
         [&](auto& to) { to.post("runs/delete-tag", {{"run_id", run(to, "first")}, {"key", "colour"}}); }},
        {"parent", Kind::run, "mlflow.parentRunId",
         [&](auto& to) { test::set_run_tag(to, run(to, "child"), "mlflow.parentRunId", run(to, "first")); }},
        {"model history", Kind::run, "mlflow.log-model.history",
         [&](auto& to) { test::set_run_tag(to, run(to, "parent"), "mlflow.log-model.history", "[]"); }},
        {"param", Kind::run, "param 'more'",
         [&](auto& to) {
           to.post("runs/log-batch", {{"run_id", run(to, "first")}, {"params", one_pair("more", "1")}});
         }},
        {"metric point", Kind::run, "metric 'loss'",
         [&](auto& to) { test::log_metric(to, run(to, "first"), "loss", 0.5, -2, 1); }},
        {"metric", Kind::run, "metric 'other'",
         [&](auto& to) { test::log_metric(to, run(to, "first"), "other", 0.5, 0); }},
        {"status", Kind::run, "status",
         [&](auto& to) { to.post("runs/update", {{"run_id", run(to, "first")}, {"status", "KILLED"}}); }},
        {"end time", Kind::run, "end time",
         [&](auto& to) { to.post("runs/update", {{"run_id", run(to, "first")}, {"end_time", 1}}); }},
        {"name", Kind::run, "name",
         [&](auto& to) { to.post("runs/update", {{"run_id", run(to, "first")}, {"run_name", "x"}}); }},
        {"run deleted", Kind::run, "lifecycle stage",
         [&](auto& to) { to.post("runs/delete", {{"run_id", run(to, "first")}}); }},
        {"run restored", Kind::run, "lifecycle stage",
         [&](auto& to) { to.post("runs/restore", {{"run_id", run(to, "deleted")}}); }},
        {"dataset", Kind::run, "dataset inputs",
         [&](auto& to) {
           json::array datasets{json::object{
               {"dataset",
                json::object{{"name", "x"}, {"digest", "1"}, {"source_type", "local"}, {"source", "{}"}}}}};
           to.post("runs/log-inputs", {{"run_id", run(to, "first")}, {"datasets", datasets}});
         }},
        {"model input", Kind::run, "model inputs",
         [&](auto& to) {
           json::array models{json::object{{"model_id", test::logged_model_id(to, "net")}}};
           to.post("runs/log-inputs", {{"run_id", run(to, "first")}, {"models", models}});
         }},
        {"model output", Kind::run, "model outputs",
         [&](auto& to) {
           json::array models{json::object{{"model_id", test::logged_model_id(to, "net")}, {"step", 1}}};
           to.post("runs/outputs", {{"run_id", run(to, "child")}, {"models", models}});
         }},
        {"MLmodel", Kind::run, "file model/MLmodel",
         [&](auto& to) {
           auto const path = file_of(to, "first", "model/MLmodel");
           to.put_file(path, *to.file(path) + "x");
         }},
        {"file content", Kind::artifact, "content differs",
         [&](auto& to) { to.put_file(file_of(to, "first", "notes.txt"), "PLAIN"); }},
        {"file size", Kind::artifact, "5 bytes became 6",
         [&](auto& to) { to.put_file(file_of(to, "first", "notes.txt"), "plain!"); }},
        {"file gone", Kind::artifact, "is missing",
         [&](auto& to) { delete_file(to, file_of(to, "first", "notes.txt")); }},
        {"file more", Kind::artifact, "is not in the original",
         [&](auto& to) { to.put_file(file_of(to, "first", "more.txt"), ""); }},
        {"file of a deleted run", Kind::artifact, "content differs",
         [&](auto& to) { to.put_file(file_of(to, "in gone", "f"), "KEPT"); }},
        {"file of a logged model", Kind::artifact, "content differs",
         [&](auto& to) {
           auto const info =
               to.call("GET", "/api/2.0/mlflow/logged-models/" + test::logged_model_id(to, "net"));
           std::string const uri(mlflow::get_string(info.at("model").at("info").as_object(), "artifact_uri"));
           auto const path = uri.substr(18) + "/data/weights.bin";
           to.put_file(path, std::string(to.file(path)->size(), 'x'));
         }},
        {"experiment tag", Kind::experiment, "tag 'kind'",
         [&](auto& to) {
           to.post("experiments/set-experiment-tag",
                   {{"experiment_id", test::experiment_id(to, "beta")}, {"key", "kind"}, {"value", "x"}});
         }},
        {"logged model tag", Kind::logged_model, "tag 'colour'",
         [&](auto& to) {
           auto const id = test::logged_model_id(to, "net");
           to.call("PATCH", "/api/2.0/mlflow/logged-models/" + id + "/tags",
                   {{"model_id", id}, {"tags", one_pair("colour", "x")}});
         }},
        {"logged model status", Kind::logged_model, "status",
         [&](auto& to) {
           auto const id = test::logged_model_id(to, "net");
           to.call("PATCH", "/api/2.0/mlflow/logged-models/" + id,
                   {{"model_id", id}, {"status", "LOGGED_MODEL_PENDING"}});
         }},
        {"logged model param", Kind::logged_model, "param 'more'",
         [&](auto& to) {
           auto const id = test::logged_model_id(to, "net");
           to.call("POST", "/api/2.0/mlflow/logged-models/" + id + "/params",
                   {{"model_id", id}, {"params", one_pair("more", "1")}});
         }},
        {"registered model description", Kind::registered_model, "description",
         [](auto& to) {
           to.call("PATCH", "/api/2.0/mlflow/registered-models/update",
                   {{"name", "Net"}, {"description", "x"}});
         }},
        {"registered model tag", Kind::registered_model, "tag 'team'",
         [](auto& to) {
           to.post("registered-models/set-tag", {{"name", "Net"}, {"key", "team"}, {"value", "x"}});
         }},
        {"alias moved", Kind::registered_model, "alias 'best'",
         [](auto& to) {
           to.post("registered-models/alias", {{"name", "Net"}, {"alias", "best"}, {"version", "1"}});
         }},
        {"alias gone", Kind::registered_model, "alias 'best'",
         [](auto& to) {
           to.call("DELETE", "/api/2.0/mlflow/registered-models/alias", {{"name", "Net"}, {"alias", "best"}});
         }},
        {"registered model gone", Kind::registered_model, "is missing",
         [](auto& to) {
           to.call("DELETE", "/api/2.0/mlflow/registered-models/delete", {{"name", "Empty"}});
         }},
        {"version description", Kind::model_version, "description",
         [](auto& to) {
           to.call("PATCH", "/api/2.0/mlflow/model-versions/update",
                   {{"name", "Net"}, {"version", "3"}, {"description", "x"}});
         }},
        {"version stage", Kind::model_version, "stage",
         [](auto& to) {
           to.post("model-versions/transition-stage",
                   {{"name", "Net"}, {"version", "3"}, {"stage", "Staging"}});
         }},
        {"version tag", Kind::model_version, "tag 'checked'",
         [](auto& to) {
           to.post("model-versions/set-tag",
                   {{"name", "Net"}, {"version", "3"}, {"key", "checked"}, {"value", "x"}});
         }},
        {"version gone", Kind::model_version, "is missing",
         [](auto& to) {
           to.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "Net"}, {"version", "3"}});
         }},
        {"version more", Kind::model_version, "is not in the original",
         [](auto& to) { to.post("model-versions/create", {{"name", "Net"}, {"source", "s3://b/x"}}); }},
    };
    for (auto const& row : rows) {
      CAPTURE(std::string(row.what));
      Copied servers;
      row.change(servers.to);
      auto const report = servers.compare();
      auto const text = differences_of(report);
      CAPTURE(std::string(text));
      CHECK(report.counts(row.kind).different == 1);
      CHECK(text.find(row.text) != std::string::npos);
      for (auto const kind : all_kinds) {
        if (kind != row.kind) CHECK(report.counts(kind).different == 0);
      }
    }
  }

  TEST_CASE("compare: a second copy of one run is found") {
    Copied servers;
    auto const first = test::run_id(servers.to, "first");
    auto const tags = servers.to.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + first)
                          .at("run")
                          .at("data")
                          .at("tags")
                          .as_array();
    auto const again = test::make_run(servers.to, test::experiment_id(servers.to, "alpha / \"quoted\""), "x");
    for (auto const& tag : tags) {
      auto const key = std::string(mlflow::get_string(tag.as_object(), "key"));
      if (key.starts_with("mlferry."))
        test::set_run_tag(servers.to, again, key, std::string(mlflow::get_string(tag.as_object(), "value")));
    }
    auto const report = servers.compare();
    CHECK(report.counts(Kind::run).different >= 1);
    CHECK(differences_of(report).find("more than one copy") != std::string::npos);
  }

  TEST_CASE("compare: a run without its marker is no copy, and what refers to it no longer refers to one") {
    Copied servers;
    auto const first = test::run_id(servers.to, "first");
    servers.to.post("runs/delete-tag", {{"run_id", first}, {"key", "mlferry.source.id"}});
    auto const report = servers.compare();
    CHECK(differences_of(report).find("is missing in the copy") != std::string::npos);
    CHECK(report.counts(Kind::run).different >= 1);
    CHECK(report.counts(Kind::model_version).different >= 1);
    CHECK(report.notes.size() >= 1);
  }

  TEST_CASE("compare: a whole experiment that is missing takes its runs along") {
    Copied servers;
    servers.to.post("experiments/update",
                    {{"experiment_id", test::experiment_id(servers.to, "beta")}, {"new_name", "renamed"}});
    auto const report = servers.compare();
    CHECK(report.counts(Kind::experiment).different == 1);
    CHECK(report.counts(Kind::run).different >= 1);
    CHECK(report.counts(Kind::logged_model).different == 1);
  }

  TEST_CASE("compare: the user's own objects in the copy's server are no difference") {
    Copied servers;
    test::make_run(servers.to, test::experiment_id(servers.to, "beta"), "mine");
    test::make_experiment(servers.to, "my own");
    servers.to.post("registered-models/create", {{"name", "Mine"}});
    auto const report = servers.compare();
    CHECK(differences_of(report) == "");
    CHECK(report.notes.size() >= 3);
  }

  TEST_CASE("compare: without data only names and sizes are looked at, and no file is read") {
    Copied servers;
    servers.to.put_file(file_of(servers.to, "first", "notes.txt"), "PLAIN");
    auto const report = servers.compare({.data = false});
    CHECK(differences_of(report) == "");
    servers.to.put_file(file_of(servers.to, "first", "notes.txt"), "plain!");
    CHECK(servers.compare({.data = false}).counts(Kind::artifact).different == 1);
  }

  TEST_CASE("compare: a file that cannot be read in the original is not called equal") {
    boost::asio::io_context loop;
    test::ScratchFolder scratch;
    FakeMlflow from(loop), to(loop, test::destination());
    auto const run = test::make_run(from, "0", "r");
    from.put_file(test::run_files(from, run) + "/bad#name", "1");
    test::finish_run(from, run);
    test::copied(loop, from, to, (scratch.path() / "state").string());
    auto const report = test::compared(loop, from, to);
    CHECK(report.counts(Kind::artifact).found == 1);
    CHECK(report.counts(Kind::artifact).verified == 0);
    CHECK(report.counts(Kind::artifact).skipped == 1);
  }
}
