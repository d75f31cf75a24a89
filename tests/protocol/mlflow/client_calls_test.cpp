#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include "support/mlflow_bench.hpp"
#include "support/mlflow_script.hpp"
#include "support/run.hpp"

using namespace mlferry::mlflow;
using mlferry::test::drop;
using mlferry::test::MlflowBench;
using mlferry::test::run;
namespace async = mlferry::async;

namespace {

// What one call must put on the wire.
struct Expected {
  std::string_view what;
  std::function<async::Task<>(Client&)> call;
  std::string answer;
  std::string method;
  std::string target;
  std::string body;  // "": no body
};

const std::string run_answer = R"({"run":{"info":{"run_id":"r"}}})";
const std::string model_answer = R"({"model":{"info":{"model_id":"m-1"}}})";
const std::string version_answer = R"({"model_version":{"name":"n","version":"4"}})";

std::vector<Expected> reading_calls() {
  return {
      {"search_experiments", [](Client& c) { return drop(c.search_experiments(View::all, 50, "")); }, "{}",
       "POST", "/api/2.0/mlflow/experiments/search",
       R"({"max_results":50,"view_type":"ALL","order_by":["experiment_id ASC"]})"},
      {"search_experiments, next page",
       [](Client& c) { return drop(c.search_experiments(View::deleted, 1, "t")); }, "{}", "POST",
       "/api/2.0/mlflow/experiments/search",
       R"({"max_results":1,"view_type":"DELETED_ONLY","order_by":["experiment_id ASC"],"page_token":"t"})"},
      {"get_experiment_by_name", [](Client& c) { return drop(c.get_experiment_by_name("a+b &é/'\"")); },
       R"({"experiment":{}})", "GET",
       "/api/2.0/mlflow/experiments/get-by-name?experiment_name=a%2Bb%20%26%C3%A9%2F%27%22", ""},
      {"get_experiment", [](Client& c) { return drop(c.get_experiment("7")); }, R"({"experiment":{}})", "GET",
       "/api/2.0/mlflow/experiments/get?experiment_id=7", ""},
      {"search_runs",
       [](Client& c) { return drop(c.search_runs({"1", "2"}, "tags.`a` = 'b'", View::active, 9, "t")); },
       "{}", "POST", "/api/2.0/mlflow/runs/search",
       R"({"experiment_ids":["1","2"],"filter":"tags.`a` = 'b'","run_view_type":"ACTIVE_ONLY","max_results":9,"order_by":["attributes.start_time ASC"],"page_token":"t"})"},
      {"get_run", [](Client& c) { return drop(c.get_run("r")); }, run_answer, "GET",
       "/api/2.0/mlflow/runs/get?run_id=r", ""},
      {"history_bulk", [](Client& c) { return drop(c.history_bulk({"b", "a"}, "loss/é +")); }, "{}", "GET",
       "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id=a&run_id=b&metric_key=loss%2F%C3%A9%20%2B", ""},
      {"history", [](Client& c) { return drop(c.history("r", "m", 10, "t=")); }, "{}", "GET",
       "/api/2.0/mlflow/metrics/get-history?run_id=r&metric_key=m&max_results=10&page_token=t%3D", ""},
      {"search_logged_models", [](Client& c) { return drop(c.search_logged_models({"1"}, "", 5, "")); }, "{}",
       "POST", "/api/2.0/mlflow/logged-models/search",
       R"({"experiment_ids":["1"],"max_results":5,"order_by":[{"field_name":"creation_timestamp","ascending":true}]})"},
      {"get_logged_model", [](Client& c) { return drop(c.get_logged_model("m-1")); }, model_answer, "GET",
       "/api/2.0/mlflow/logged-models/m-1?allow_deleted=true", ""},
      {"search_registered_models",
       [](Client& c) { return drop(c.search_registered_models("name='x'", 3, "")); }, "{}", "GET",
       "/api/2.0/mlflow/registered-models/search?filter=name%3D%27x%27&max_results=3", ""},
      {"get_registered_model", [](Client& c) { return drop(c.get_registered_model("a b")); },
       R"({"registered_model":{}})", "GET", "/api/2.0/mlflow/registered-models/get?name=a%20b", ""},
      {"search_model_versions", [](Client& c) { return drop(c.search_model_versions("name='x'", 3, "t")); },
       "{}", "GET",
       "/api/2.0/mlflow/model-versions/"
       "search?filter=name%3D%27x%27&max_results=3&order_by=version_number%20ASC&page_token=t",
       ""},
      {"get_model_version", [](Client& c) { return drop(c.get_model_version("n", 4)); }, version_answer,
       "GET", "/api/2.0/mlflow/model-versions/get?name=n&version=4", ""},
      {"list_artifacts, root", [](Client& c) { return drop(c.list_artifacts("r", "")); }, "{}", "GET",
       "/api/2.0/mlflow/artifacts/list?run_id=r", ""},
      {"list_artifacts", [](Client& c) { return drop(c.list_artifacts("r", "a/+&é")); }, "{}", "GET",
       "/api/2.0/mlflow/artifacts/list?run_id=r&path=a%2F%2B%26%C3%A9", ""},
      {"list_logged_model_artifacts",
       [](Client& c) { return drop(c.list_logged_model_artifacts("m-1", "d")); }, "{}", "GET",
       "/api/2.0/mlflow/logged-models/m-1/artifacts/directories?artifact_directory_path=d", ""},
      {"list_proxied", [](Client& c) { return drop(c.list_proxied("1/r")); }, "{}", "GET",
       "/api/2.0/mlflow-artifacts/artifacts?path=1%2Fr", ""},
      {"list_artifacts_batch", [](Client& c) { return drop(c.list_artifacts_batch({{"r", "d"}})); }, "{}",
       "POST", "/graphql",
       R"({"query":"query($r0:String,$p0:String){a0:mlflowListArtifacts(input:{runId:$r0,path:$p0}){files{path isDir fileSize}}}","variables":{"r0":"r","p0":"d"}})"},
      {"open_proxied", [](Client& c) { return drop(c.open_proxied("1/r/artifacts/a +é#%41")); }, "", "GET",
       "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/a%20%2B%C3%A9%23%2541", ""},
      {"open_run_artifact", [](Client& c) { return drop(c.open_run_artifact("r", "d/a+b")); }, "", "GET",
       "/get-artifact?path=d%2Fa%2Bb&run_id=r", ""},
      {"open_logged_model_artifact",
       [](Client& c) { return drop(c.open_logged_model_artifact("m-1", "MLmodel")); }, "", "GET",
       "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=MLmodel", ""},
  };
}

std::vector<Expected> writing_calls() {
  return {
      {"create_experiment",
       [](Client& c) { return drop(c.create_experiment("e\n\"", "s3://b", KeyValues{{"k", "v"}})); },
       R"({"experiment_id":"5"})", "POST", "/api/2.0/mlflow/experiments/create",
       R"({"name":"e\n\"","artifact_location":"s3://b","tags":[{"key":"k","value":"v"}]})"},
      {"create_experiment, bare", [](Client& c) { return drop(c.create_experiment("e", "", {})); },
       R"({"experiment_id":"5"})", "POST", "/api/2.0/mlflow/experiments/create", R"({"name":"e"})"},
      {"set_experiment_tag", [](Client& c) { return c.set_experiment_tag("5", "k", ""); }, "{}", "POST",
       "/api/2.0/mlflow/experiments/set-experiment-tag", R"({"experiment_id":"5","key":"k","value":""})"},
      {"delete_experiment", [](Client& c) { return c.delete_experiment("5"); }, "{}", "POST",
       "/api/2.0/mlflow/experiments/delete", R"({"experiment_id":"5"})"},
      {"restore_experiment", [](Client& c) { return c.restore_experiment("5"); }, "{}", "POST",
       "/api/2.0/mlflow/experiments/restore", R"({"experiment_id":"5"})"},
      {"create_run",
       [](Client& c) { return drop(c.create_run({"5", -3, "u", "n", KeyValues{{"a", "b"}, {"c", ""}}})); },
       run_answer, "POST", "/api/2.0/mlflow/runs/create",
       R"({"experiment_id":"5","start_time":-3,"user_id":"u","run_name":"n","tags":[{"key":"a","value":"b"},{"key":"c","value":""}]})"},
      {"create_run, bare", [](Client& c) { return drop(c.create_run({"5", 0, "", "", {}})); }, run_answer,
       "POST", "/api/2.0/mlflow/runs/create", R"({"experiment_id":"5","start_time":0})"},
      {"update_run", [](Client& c) { return c.update_run("r", "FINISHED", 9); }, "{}", "POST",
       "/api/2.0/mlflow/runs/update", R"({"run_id":"r","status":"FINISHED","end_time":9})"},
      {"update_run, end only", [](Client& c) { return c.update_run("r", "", 0); }, "{}", "POST",
       "/api/2.0/mlflow/runs/update", R"({"run_id":"r","end_time":0})"},
      {"set_run_tag", [](Client& c) { return c.set_run_tag("r", "k", "v"); }, "{}", "POST",
       "/api/2.0/mlflow/runs/set-tag", R"({"run_id":"r","key":"k","value":"v"})"},
      {"delete_run", [](Client& c) { return c.delete_run("r"); }, "{}", "POST", "/api/2.0/mlflow/runs/delete",
       R"({"run_id":"r"})"},
      {"restore_run", [](Client& c) { return c.restore_run("r"); }, "{}", "POST",
       "/api/2.0/mlflow/runs/restore", R"({"run_id":"r"})"},
      {"log_inputs",
       [](Client& c) {
         return c.log_inputs("r", json::array{json::object{{"dataset", json::object{{"name", "d"}}}}},
                             {"m-1"});
       },
       "{}", "POST", "/api/2.0/mlflow/runs/log-inputs",
       R"({"run_id":"r","datasets":[{"dataset":{"name":"d"}}],"models":[{"model_id":"m-1"}]})"},
      {"log_outputs", [](Client& c) { return c.log_outputs("r", {{"m-1", 3}, {"m-2", 0}}); }, "{}", "POST",
       "/api/2.0/mlflow/runs/outputs",
       R"({"run_id":"r","models":[{"model_id":"m-1","step":3},{"model_id":"m-2","step":0}]})"},
      {"create_logged_model",
       [](Client& c) {
         return drop(c.create_logged_model({"5", "n", "t", "r", {{"p", "1"}}, {{"k", "v"}}}));
       },
       model_answer, "POST", "/api/2.0/mlflow/logged-models",
       R"({"experiment_id":"5","name":"n","model_type":"t","source_run_id":"r","params":[{"key":"p","value":"1"}],"tags":[{"key":"k","value":"v"}]})"},
      {"set_logged_model_status",
       [](Client& c) { return c.set_logged_model_status("m-1", "LOGGED_MODEL_READY"); }, "{}", "PATCH",
       "/api/2.0/mlflow/logged-models/m-1", R"({"model_id":"m-1","status":"LOGGED_MODEL_READY"})"},
      {"set_logged_model_tags",
       [](Client& c) { return c.set_logged_model_tags("m-1", KeyValues{{"k", "v"}}); }, "{}", "PATCH",
       "/api/2.0/mlflow/logged-models/m-1/tags", R"({"model_id":"m-1","tags":[{"key":"k","value":"v"}]})"},
      {"delete_logged_model", [](Client& c) { return c.delete_logged_model("m-1"); }, "{}", "DELETE",
       "/api/2.0/mlflow/logged-models/m-1", R"({"model_id":"m-1"})"},
      {"create_registered_model",
       [](Client& c) { return c.create_registered_model("n", "d", KeyValues{{"k", "v"}}); }, "{}", "POST",
       "/api/2.0/mlflow/registered-models/create",
       R"({"name":"n","description":"d","tags":[{"key":"k","value":"v"}]})"},
      {"update_registered_model", [](Client& c) { return c.update_registered_model("n", ""); }, "{}", "PATCH",
       "/api/2.0/mlflow/registered-models/update", R"({"name":"n","description":""})"},
      {"set_registered_model_tag", [](Client& c) { return c.set_registered_model_tag("n", "k", "v"); }, "{}",
       "POST", "/api/2.0/mlflow/registered-models/set-tag", R"({"name":"n","key":"k","value":"v"})"},
      {"set_alias", [](Client& c) { return c.set_alias("n", "champion", "3"); }, "{}", "POST",
       "/api/2.0/mlflow/registered-models/alias", R"({"name":"n","alias":"champion","version":"3"})"},
      {"create_model_version",
       [](Client& c) {
         return drop(c.create_model_version({"n", "models:/m-1", "r", "m-1", "l", "d", {{"k", "v"}}}));
       },
       version_answer, "POST", "/api/2.0/mlflow/model-versions/create",
       R"({"name":"n","source":"models:/m-1","run_id":"r","model_id":"m-1","run_link":"l","description":"d","tags":[{"key":"k","value":"v"}]})"},
      {"transition_stage", [](Client& c) { return c.transition_stage("n", 4, "Staging"); }, "{}", "POST",
       "/api/2.0/mlflow/model-versions/transition-stage",
       R"({"name":"n","version":"4","stage":"Staging","archive_existing_versions":false})"},
      {"update_model_version", [](Client& c) { return c.update_model_version("n", 4, "d"); }, "{}", "PATCH",
       "/api/2.0/mlflow/model-versions/update", R"({"name":"n","version":"4","description":"d"})"},
      {"set_model_version_tag", [](Client& c) { return c.set_model_version_tag("n", 4, "k", "v"); }, "{}",
       "POST", "/api/2.0/mlflow/model-versions/set-tag",
       R"({"name":"n","version":"4","key":"k","value":"v"})"},
      {"delete_model_version", [](Client& c) { return c.delete_model_version("n", 4); }, "{}", "DELETE",
       "/api/2.0/mlflow/model-versions/delete", R"({"name":"n","version":"4"})"},
  };
}

void check_calls(const std::vector<Expected>& calls) {
  MlflowBench bench;
  for (const auto& expected : calls) {
    CAPTURE(expected.what);
    bench.server.answer(200, expected.answer);
    std::size_t const before = bench.server.seen().size();
    run(bench.context, expected.call(bench.client));
    REQUIRE(bench.server.seen().size() == before + 1);
    const auto& seen = bench.server.last();
    CHECK(seen.method == expected.method);
    CHECK(seen.target == expected.target);
    CHECK(seen.body == expected.body);
    CHECK(seen.content_type == (expected.body.empty() ? "" : "application/json"));
  }
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("client: what each reading call sends") {
    check_calls(reading_calls());
  }

  TEST_CASE("client: what each writing call sends") {
    check_calls(writing_calls());
  }

  TEST_CASE("client: every call turns an error into an ApiError") {
    MlflowBench bench;
    for (const auto& calls : {reading_calls(), writing_calls()}) {
      for (const auto& expected : calls) {
        CAPTURE(expected.what);
        bench.server.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"no"})");
        try {
          run(bench.context, expected.call(bench.client));
          FAIL_CHECK("it must throw");
        } catch (const ApiError& error) {
          CHECK(error.status() == 400);
          CHECK(error.code() == "INVALID_PARAMETER_VALUE");
          CHECK(error.server_message() == "no");
        }
      }
    }
  }
}
