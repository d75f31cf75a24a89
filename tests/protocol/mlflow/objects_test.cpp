#include "protocol/mlflow/objects.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace mlferry::mlflow;

namespace {

json::object document(std::string_view text) {
  return parse_json(text, "x").as_object();
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("objects: a run as the server sends it") {
    Run const run{document(R"({
      "info":{"run_uuid":"old","run_id":"r1","experiment_id":"3","run_name":"n","status":"FINISHED","user_id":"u","start_time":5,
              "artifact_uri":"mlflow-artifacts:/3/r1/artifacts","lifecycle_stage":"deleted"},
      "data":{"metrics":[{"key":"a","value":1.0},{"key":"b","value":2.0},{"key":"a","value":3.0}],
              "params":[{"key":"p","value":""},{"key":"q"}],"tags":[{"key":"t","value":"v"}]},
      "inputs":{"dataset_inputs":[{"dataset":{"name":"d"}}],"model_inputs":[{"model_id":"m-1"},{"model_id":"m-2"}]},
      "outputs":{"model_outputs":[{"model_id":"m-3","step":4},{"model_id":"m-4"}]}})")};
    CHECK(run.id() == "r1");
    CHECK(run.experiment_id() == "3");
    CHECK(run.deleted());
    CHECK(run.start_time() == 5);
    CHECK(!run.end_time());
    CHECK(run.metric_keys() == std::vector<std::string>{"a", "b"});
    CHECK(run.params() == KeyValues{{"p", ""}, {"q", ""}});
    CHECK(run.tags() == KeyValues{{"t", "v"}});
    CHECK(run.dataset_inputs().size() == 1);
    CHECK(run.model_input_ids() == std::vector<std::string>{"m-1", "m-2"});
    CHECK(run.model_outputs() == std::vector<std::pair<std::string, std::int64_t>>{{"m-3", 4}, {"m-4", 0}});
  }

  TEST_CASE("objects: everything missing or of a wrong type") {
    for (std::string_view text :
         {"{}", R"({"info":null,"data":[],"inputs":"x","outputs":7})",
          R"({"info":{"run_id":1,"start_time":"x"},"data":{"metrics":{},"params":[1,null,[]],"tags":"x"},)"
          R"("inputs":{"dataset_inputs":{},"model_inputs":[1]},"outputs":{"model_outputs":[null]}})"}) {
      CAPTURE(text);
      Run const run{document(text)};
      CHECK(run.id() == "");
      CHECK(!run.start_time());
      CHECK(!run.deleted());
      CHECK(run.metric_keys().empty());
      CHECK(run.params().empty());
      CHECK(run.tags().empty());
      CHECK(run.dataset_inputs().empty());
      CHECK(run.model_input_ids().empty());
      CHECK(run.model_outputs().empty());
      LoggedModel const model{document(text)};
      CHECK(model.id() == "");
      CHECK(model.metrics().empty());
      RegisteredModel const registered{document(text)};
      CHECK(registered.aliases().empty());
      ModelVersion const version{document(text)};
      CHECK(version.number() == 0);
    }
    CHECK(Run{document(R"({"info":{"run_uuid":"old"}})")}.id() == "old");
  }

  TEST_CASE("objects: logged models, registered models, versions, experiments") {
    LoggedModel const model{document(
        R"({"info":{"model_id":"m-1","experiment_id":"2","status":"LOGGED_MODEL_READY","tags":[{"key":"k","value":"v"}]},
      "data":{"params":[{"key":"p","value":"1"}],"metrics":[{"key":"a","value":1.5}]}})")};
    CHECK(model.id() == "m-1");
    CHECK(model.status() == "LOGGED_MODEL_READY");
    CHECK(model.tags() == KeyValues{{"k", "v"}});
    CHECK(model.params() == KeyValues{{"p", "1"}});
    CHECK(model.metrics().size() == 1);

    RegisteredModel const registered{
        document(R"({"name":"n","aliases":[{"alias":"a","version":"3"},{"alias":"b","version":4}]})")};
    CHECK(registered.aliases() == std::vector<std::pair<std::string, std::string>>{{"a", "3"}, {"b", "4"}});
    CHECK(ModelVersion{document(R"({"version":"17","current_stage":"Staging"})")}.number() == 17);
    CHECK(Experiment{document(R"({"experiment_id":"7","lifecycle_stage":"deleted"})")}.deleted());
    CHECK(!Experiment{document(R"({"experiment_id":"7","lifecycle_stage":"active"})")}.deleted());
  }

  TEST_CASE("objects: find_value") {
    KeyValues const list{{"a", "1"}, {"b", "2"}, {"a", "3"}};
    REQUIRE(find_value(list, "a") != nullptr);
    CHECK(*find_value(list, "a") == "1");
    CHECK(find_value(list, "c") == nullptr);
    KeyValues const none;
    CHECK(find_value(none, "") == nullptr);
  }
}
