#include "engine/record_differences.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "engine/id_text.hpp"

using namespace mlferry;
using namespace mlferry::engine;

namespace {

json::object parsed(const char* text) {
  return mlflow::parse_json(text, "test").as_object();
}

// Everything that must be judged differs, texts with ids as they stand included.
std::vector<std::string> all_fields(const Differences& found) {
  auto fields = found.fields;
  for (auto const& text : found.with_ids) {
    if (text.original != text.copy) fields.push_back(text.field);
  }
  return fields;
}

template <class Record>
struct Change {
  const char* what;
  const char* field;  // how the difference begins
  std::function<void(Record&)> make;
};

// Each change is found both ways, alone, and under its name.
template <class Record>
void check_changes(const Record& record, const std::vector<Change<Record>>& changes) {
  CHECK(all_fields(differences(record, record)).empty());
  for (auto const& change : changes) {
    CAPTURE(change.what);
    Record copy = record;
    change.make(copy);
    for (auto const& fields :
         {all_fields(differences(record, copy)), all_fields(differences(copy, record))}) {
      REQUIRE(fields.size() == 1);
      CAPTURE(fields[0]);
      CHECK(fields[0].starts_with(change.field));
    }
  }
}

RunRecord a_run() {
  RunRecord record;
  record.run.doc = parsed(R"({
    "info": {"run_id": "r", "run_name": "name", "status": "FINISHED", "user_id": "me", "start_time": 1,
             "end_time": 2, "lifecycle_stage": "active", "artifact_uri": "s:/r"},
    "data": {"params": [{"key": "p", "value": "1"}],
             "tags": [{"key": "t", "value": "x"}, {"key": "mlflow.parentRunId", "value": "parent"},
                      {"key": "mlflow.log-model.history", "value": "[]"},
                      {"key": "mlflow.runName", "value": "name"},
                      {"key": "mlferry.source.id", "value": "z"}]},
    "inputs": {"dataset_inputs": [{"dataset": {"name": "d", "digest": "1", "source": "s"},
                                   "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]}],
               "model_inputs": [{"model_id": "m-1"}]},
    "outputs": {"model_outputs": [{"model_id": "m-2", "step": 3}]}})");
  record.history = {{"m", {{1.0, 10, 0}, {2.0, 20, 1}}}, {"n", {{0.5, 1, 1}}}};
  return record;
}

json::object& info(RunRecord& record) {
  return record.run.doc["info"].as_object();
}
json::array& list(RunRecord& record, const char* part, const char* name) {
  return record.run.doc[part].as_object()[name].as_array();
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("differences: every field of an experiment") {
    ExperimentRecord record;
    record.experiment.doc = parsed(
        R"({"experiment_id": "1", "name": "e", "lifecycle_stage": "active", "tags": [{"key": "t", "value": "x"}]})");
    using C = Change<ExperimentRecord>;
    auto tags = [](ExperimentRecord& r) -> json::array& { return r.experiment.doc["tags"].as_array(); };
    check_changes<ExperimentRecord>(
        record,
        {C{"deleted", "lifecycle stage", [](auto& r) { r.experiment.doc["lifecycle_stage"] = "deleted"; }},
         C{"tag value", "tag 't'", [&](auto& r) { tags(r)[0].as_object()["value"] = "y"; }},
         C{"tag gone", "tag 't'", [&](auto& r) { tags(r).clear(); }},
         C{"tag more", "tag 'u'",
           [&](auto& r) { tags(r).push_back(json::object{{"key", "u"}, {"value", ""}}); }}});
    auto copy = record;
    copy.experiment.doc["experiment_id"] = "99";
    copy.experiment.doc["creation_time"] = 5;
    tags(copy).push_back(json::object{{"key", "mlferry.source.id"}, {"value", "1"}});
    CHECK(all_fields(differences(record, copy)).empty());
  }

  TEST_CASE("differences: every field of a run") {
    using C = Change<RunRecord>;
    check_changes<RunRecord>(
        a_run(),
        {
            C{"status", "status", [](auto& r) { info(r)["status"] = "FAILED"; }},
            C{"user", "user", [](auto& r) { info(r)["user_id"] = "you"; }},
            C{"start", "start time", [](auto& r) { info(r)["start_time"] = 7; }},
            C{"start gone", "start time", [](auto& r) { info(r).erase("start_time"); }},
            C{"end", "end time", [](auto& r) { info(r)["end_time"] = 7; }},
            C{"end gone", "end time", [](auto& r) { info(r).erase("end_time"); }},
            C{"deleted", "lifecycle stage", [](auto& r) { info(r)["lifecycle_stage"] = "deleted"; }},
            C{"param", "param 'p'", [](auto& r) { list(r, "data", "params")[0].as_object()["value"] = "2"; }},
            C{"param gone", "param 'p'", [](auto& r) { list(r, "data", "params").clear(); }},
            C{"tag", "tag 't'", [](auto& r) { list(r, "data", "tags")[0].as_object()["value"] = "y"; }},
            C{"parent", "tag 'mlflow.parentRunId'",
              [](auto& r) { list(r, "data", "tags")[1].as_object()["value"] = "other"; }},
            C{"parent gone", "tag 'mlflow.parentRunId'",
              [](auto& r) { list(r, "data", "tags").erase(list(r, "data", "tags").begin() + 1); }},
            C{"model history", "tag 'mlflow.log-model.history'",
              [](auto& r) { list(r, "data", "tags")[2].as_object()["value"] = "[1]"; }},
            C{"metric gone", "metric 'n'", [](auto& r) { r.history.pop_back(); }},
            C{"metric more", "metric 'o'", [](auto& r) { r.history.push_back({"o", {{1, 1, 1}}}); }},
            C{"point gone", "metric 'm'", [](auto& r) { r.history[0].points.pop_back(); }},
            C{"point twice", "metric 'm'",
              [](auto& r) { r.history[0].points.push_back(r.history[0].points[0]); }},
            C{"last bit of a value", "metric 'm'",
              [](auto& r) { r.history[0].points[0].value = std::nextafter(1.0, 2.0); }},
            C{"value NaN", "metric 'm'", [](auto& r) { r.history[0].points[0].value = std::nan(""); }},
            C{"step", "metric 'm'", [](auto& r) { r.history[0].points[0].step = 9; }},
            C{"timestamp", "metric 'm'", [](auto& r) { r.history[0].points[0].timestamp = 9; }},
            C{"dataset", "dataset inputs",
              [](auto& r) {
                list(r, "inputs", "dataset_inputs")[0].as_object()["dataset"].as_object()["digest"] = "2";
              }},
            C{"dataset tag", "dataset inputs",
              [](auto& r) {
                list(r, "inputs", "dataset_inputs")[0].as_object()["tags"].as_array().pop_back();
              }},
            C{"dataset gone", "dataset inputs", [](auto& r) { list(r, "inputs", "dataset_inputs").clear(); }},
            C{"model input", "model inputs",
              [](auto& r) { list(r, "inputs", "model_inputs")[0].as_object()["model_id"] = "m-9"; }},
            C{"model input gone", "model inputs", [](auto& r) { list(r, "inputs", "model_inputs").clear(); }},
            C{"model output", "model outputs",
              [](auto& r) { list(r, "outputs", "model_outputs")[0].as_object()["model_id"] = "m-9"; }},
            C{"model output's step", "model outputs",
              [](auto& r) { list(r, "outputs", "model_outputs")[0].as_object()["step"] = 9; }},
        });
    auto renamed = a_run();
    info(renamed)["run_name"] = "other";
    list(renamed, "data", "tags")[3].as_object()["value"] = "other";
    CHECK(all_fields(differences(a_run(), renamed)).size() == 2);  // the name, and the tag that holds it
  }

  TEST_CASE("differences: what the API cannot restore is none") {
    auto const record = a_run();
    auto copy = record;
    info(copy)["run_id"] = "q";
    info(copy)["artifact_uri"] = "s:/q";
    info(copy)["experiment_id"] = "4";
    list(copy, "data", "tags")[4].as_object()["value"] = "another marker";
    std::swap(list(copy, "inputs", "dataset_inputs")[0].as_object()["tags"].as_array()[0],
              list(copy, "inputs", "dataset_inputs")[0].as_object()["tags"].as_array()[1]);
    std::swap(copy.history[0], copy.history[1]);
    std::swap(copy.history[1].points[0], copy.history[1].points[1]);
    CHECK(all_fields(differences(record, copy)).empty());

    auto zeros = record, minus_zeros = record;
    zeros.history[0].points[0].value = 0.0;
    minus_zeros.history[0].points[0].value = -0.0;
    CHECK(all_fields(differences(zeros, minus_zeros)).empty());
    auto nan = record, other_nan = record;
    nan.history[0].points[0].value = std::numeric_limits<double>::quiet_NaN();
    other_nan.history[0].points[0].value = -std::numeric_limits<double>::quiet_NaN();
    CHECK(all_fields(differences(nan, other_nan)).empty());

    auto nameless = record;
    info(nameless)["run_name"] = "";
    list(nameless, "data", "tags")[3].as_object()["value"] = "";
    CHECK(all_fields(differences(nameless, record)).empty());
  }

  TEST_CASE("differences: every field of a logged model") {
    LoggedModelRecord record;
    record.model.doc = parsed(R"({
      "info": {"model_id": "m", "name": "n", "model_type": "t", "status": "LOGGED_MODEL_READY",
               "source_run_id": "r", "tags": [{"key": "a", "value": "b"}]},
      "data": {"params": [{"key": "p", "value": "1"}],
               "metrics": [{"key": "k", "value": 1.5, "timestamp": 1, "step": 2, "run_id": "r",
                            "dataset_name": "d", "dataset_digest": "e"}]}})");
    using C = Change<LoggedModelRecord>;
    auto of_info = [](LoggedModelRecord& r) -> json::object& { return r.model.doc["info"].as_object(); };
    auto metric = [](LoggedModelRecord& r) -> json::object& {
      return r.model.doc["data"].as_object()["metrics"].as_array()[0].as_object();
    };
    std::vector<C> changes{
        C{"name", "name", [&](auto& r) { of_info(r)["name"] = "x"; }},
        C{"type", "model type", [&](auto& r) { of_info(r)["model_type"] = "x"; }},
        C{"status", "status", [&](auto& r) { of_info(r)["status"] = "LOGGED_MODEL_PENDING"; }},
        C{"deleted", "lifecycle stage", [](auto& r) { r.deleted = true; }},
        C{"source run", "source run", [&](auto& r) { of_info(r)["source_run_id"] = "x"; }},
        C{"tag", "tag 'a'", [&](auto& r) { of_info(r)["tags"].as_array().clear(); }},
        C{"param", "param 'p'",
          [](auto& r) { r.model.doc["data"].as_object()["params"].as_array().clear(); }},
        C{"metric gone", "metrics",
          [](auto& r) { r.model.doc["data"].as_object()["metrics"].as_array().clear(); }},
        C{"value", "metrics", [&](auto& r) { metric(r)["value"] = std::nextafter(1.5, 2); }},
    };
    for (auto const* field : {"timestamp", "step"})
      changes.push_back(C{field, "metrics", [&metric, field](auto& r) { metric(r)[field] = 9; }});
    for (auto const* field : {"key", "run_id", "dataset_name", "dataset_digest"})
      changes.push_back(C{field, "metrics", [&metric, field](auto& r) { metric(r)[field] = "x"; }});
    check_changes<LoggedModelRecord>(record, changes);
    auto copy = record;
    of_info(copy)["tags"].as_array().push_back(
        json::object{{"key", "mlflow.modelVersions"}, {"value", "[]"}});
    CHECK(all_fields(differences(record, copy)).empty());
  }

  TEST_CASE("differences: every field of a registered model and of a version") {
    RegisteredModelRecord model;
    model.model.doc = parsed(R"({"name": "n", "description": "d", "tags": [{"key": "a", "value": "b"}],
      "aliases": [{"alias": "best", "version": "2"}]})");
    using M = Change<RegisteredModelRecord>;
    auto alias = [](RegisteredModelRecord& r) -> json::array& { return r.model.doc["aliases"].as_array(); };
    check_changes<RegisteredModelRecord>(
        model, {M{"description", "description", [](auto& r) { r.model.doc["description"] = "x"; }},
                M{"tag", "tag 'a'", [](auto& r) { r.model.doc["tags"].as_array().clear(); }},
                M{"alias moved", "alias 'best'", [&](auto& r) { alias(r)[0].as_object()["version"] = "1"; }},
                M{"alias gone", "alias 'best'", [&](auto& r) { alias(r).clear(); }}});

    ModelVersionRecord version;
    version.version.doc = parsed(R"({"name": "n", "version": "3", "source": "s:/r/model", "run_id": "r",
      "run_link": "l", "current_stage": "Staging", "description": "d", "tags": [{"key": "a", "value": "b"}]})");
    using V = Change<ModelVersionRecord>;
    auto set = [](const char* field, const char* value) {
      return [field, value](ModelVersionRecord& r) { r.version.doc[field] = value; };
    };
    check_changes<ModelVersionRecord>(
        version, {V{"stage", "stage", set("current_stage", "Production")},
                  V{"no stage", "stage", set("current_stage", "")},
                  V{"description", "description", set("description", "")},
                  V{"run link", "run link", set("run_link", "x")}, V{"run", "run", set("run_id", "x")},
                  V{"source", "source", set("source", "x")},
                  V{"tag", "tag 'a'", [](auto& r) { r.version.doc["tags"].as_array().clear(); }}});
    auto none = version, empty = version;
    none.version.doc["current_stage"] = "None";
    empty.version.doc["current_stage"] = "";
    CHECK(all_fields(differences(none, empty)).empty());
  }

  TEST_CASE("differences: values in messages are one line and short") {
    CHECK(in_quotes("") == "''");
    CHECK(in_quotes("a\nb\tc\x7f") == "'a b c '");
    CHECK(in_quotes(std::string(80, 'x')) == "'" + std::string(80, 'x') + "'");
    CHECK(in_quotes(std::string(81, 'x')) == "'" + std::string(80, 'x') + "… (81 bytes)'");
    // Never half a character.
    for (std::size_t lead = 75; lead < 82; ++lead) {
      std::string text(lead, 'x');
      for (int i = 0; i < 10; ++i) text += "\xf0\x9f\x9a\xa2";
      CHECK_NOTHROW(mlflow::parse_json(mlflow::to_json(json::value(in_quotes(text))), "quoted"));
    }
  }
}
