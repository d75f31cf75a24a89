#include <string>

#include <doctest/doctest.h>

#include "protocol/mlflow/client.hpp"
#include "support/mlflow_bench.hpp"
#include "support/run.hpp"

using namespace mlferry::mlflow;
using mlferry::test::MlflowBench;
using mlferry::test::run;

namespace {

const std::string html_404 = "<!doctype html>\n<title>404 Not Found</title>";

struct Bench : MlflowBench {
  Bench() : MlflowBench(1) {}

  Bench& missing() {
    server.answer(404, html_404, "text/html");
    return *this;
  }
  Bench& answer(int status, std::string body) {
    server.answer(status, std::move(body));
    return *this;
  }
  Capabilities probe() { return run(context, client.probe()); }
  std::string error() {
    try {
      probe();
    } catch (const ApiError& error) {
      return error.what();
    }
    return "";
  }
};

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("probe: three requests on a current server") {
    Bench bench;
    bench.answer(200, "3.17.2\n")
        .answer(200, R"({"store_type":"SqlStore","workspaces_enabled":true})")
        .answer(200, "{}");
    Capabilities const found = bench.probe();
    CHECK(bench.server.seen().size() == 3);
    CHECK(bench.server.seen()[0].target == "/version");
    CHECK(bench.server.seen()[1].target == "/api/3.0/mlflow/server-info");
    CHECK(bench.server.seen()[2].target == "/api/2.0/mlflow/experiments/search");
    CHECK(found.version == "3.17.2");
    CHECK(found.workspaces);
    CHECK((found.history_bulk && found.graphql && found.logged_models && found.log_inputs &&
           found.traces_v3 && found.decodes_paths_twice));
  }

  TEST_CASE("probe: a 2.14 server is asked for each thing") {
    Bench bench;
    bench.answer(200, "2.14.3").missing().answer(200, "{}");
    bench.answer(200, R"({"metrics":[]})");                            // get-history-bulk
    bench.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE"})");  // log-inputs
    bench.missing();                                                   // logged-models
    bench.missing();                                                   // traces/search
    bench.answer(200,
                 R"({"data":{"__type":{"fields":[{"name":"mlflowGetRun"}]}}})");  // no listing in the schema
    bench.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE"})");             // '#'
    Capabilities const found = bench.probe();
    CHECK(bench.server.answers_left() == 0);
    CHECK(found.history_bulk);
    CHECK(found.log_inputs);
    CHECK(!found.logged_models);
    CHECK(!found.traces_v3);
    CHECK(!found.graphql);
    CHECK(!found.workspaces);
    CHECK(found.decodes_paths_twice);
  }

  TEST_CASE("probe: a 1.30 server") {
    Bench bench;
    bench.missing().missing().answer(200, "{}");
    bench.missing().missing().missing().missing().missing();
    bench.answer(200, R"({"files":[]})");
    Capabilities const found = bench.probe();
    CHECK(found.version == "");
    CHECK(!(found.history_bulk || found.graphql || found.logged_models || found.log_inputs ||
            found.traces_v3 || found.decodes_paths_twice));
  }

  TEST_CASE("probe: a page application that says 200 to everything is no server-info") {
    Bench bench;
    bench.answer(200, "<html>app</html>").answer(200, "{}").answer(200, "{}");
    bench.missing().missing().missing().missing();
    bench.answer(200, R"({"data":{"__type":{"fields":[{"name":"mlflowListArtifacts"}]}}})");
    bench.answer(503, "artifacts are not served");
    Capabilities const found = bench.probe();
    CHECK(found.version == "");
    CHECK(!found.logged_models);
    CHECK(found.graphql);
    CHECK(!found.decodes_paths_twice);
  }

  TEST_CASE("probe: what is wrong with login, host name or URL") {
    Bench login;
    login.answer(401, "You are not authenticated.");
    std::string const refused = login.error();
    CHECK(refused.find("MLFLOW_TRACKING_USERNAME") != std::string::npos);
    CHECK(refused.starts_with("http://127.0.0.1:"));  // which of two servers refused
    CHECK(login.server.seen().size() == 1);

    Bench host;
    host.answer(200, "3.17.2").answer(403, "Invalid Host header - possible DNS rebinding attack detected");
    host.answer(403, "Invalid Host header - possible DNS rebinding attack detected");
    CHECK(host.error().find("--allowed-hosts") != std::string::npos);

    Bench prefix;
    prefix.missing().missing().missing();
    CHECK(prefix.error().find(": no MLflow server answers at this URL") != std::string::npos);

    Bench portal;
    for (int i = 0; i < 3; ++i) portal.answer(200, "<html>Sign in</html>");
    CHECK(portal.error().find(": no MLflow server answers at this URL") != std::string::npos);
  }
}
