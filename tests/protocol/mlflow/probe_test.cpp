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
  TEST_CASE("probe: two requests on a current server") {
    Bench bench;
    bench.answer(200, "3.17.2\n")
        .answer(200, R"({"store_type":"SqlStore","workspaces_enabled":true})");
    Capabilities const found = bench.probe();
    CHECK(bench.server.seen().size() == 2);
    CHECK(bench.server.seen()[0].target == "/version");
    CHECK(bench.server.seen()[1].target == "/api/3.0/mlflow/server-info");
    CHECK(found.version == "3.17.2");
    CHECK(found.workspaces);
    CHECK((found.history_bulk && found.graphql && found.logged_models && found.log_inputs &&
           found.traces_v3 && found.decodes_paths_twice && found.aliases && found.colon_in_keys && found.proxies_any_name &&
           found.says_who_calls));
    CHECK(!found.traces_v2);
  }

  // mlflow-rest 9: what servers of each generation answer to the questions.
  TEST_CASE("probe: servers without server-info are asked for each thing, by generations") {
    constexpr bool yes = true, no = false;
    struct Row {
      const char* version;  // "": no such call
      bool bulk, log_inputs, logged_models, aliases, traces_v3, traces_v2, lists_by_graphql, refuses_hash;
      bool prompts, colon;
      std::size_t param_characters;
    };
    for (auto const& row : {
             Row{"", no, no, no, no, no, no, no, no, no, no, 500},           // 1.30, 2.0
             Row{"2.3.2", yes, no, no, yes, no, no, no, no, no, no, 500},    //
             Row{"2.7.1", yes, yes, no, yes, no, no, no, no, no, no, 500},   //
             Row{"2.9.2", yes, yes, no, yes, no, no, no, yes, no, no, 6000},  //
             Row{"2.14.3", yes, yes, no, yes, no, yes, yes, yes, no, no, 6000},
             Row{"2.17.2", yes, yes, no, yes, no, yes, yes, yes, no, yes, 6000},
             Row{"2.20.4", yes, yes, no, yes, no, yes, yes, yes, no, yes, 6000},
             Row{"2.22.5", yes, yes, no, yes, no, yes, yes, yes, yes, yes, 6000},
             Row{"3.1.4", yes, yes, yes, yes, no, yes, yes, yes, yes, yes, 6000},
             Row{"3.2.0", yes, yes, yes, yes, yes, no, yes, yes, yes, yes, 6000},
             Row{"3.9.0", yes, yes, yes, yes, yes, no, yes, yes, yes, yes, 6000},
         }) {
      CAPTURE(std::string(row.version));
      Bench bench;
      auto const known = [&](bool there) {
        if (there) {
          bench.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE"})");
        } else {
          bench.missing();
        }
      };
      if (*row.version == '\0') {
        bench.missing();
      } else {
        bench.answer(200, row.version);
      }
      bench.missing().answer(200, "{}");  // server-info, experiments
      for (bool const there : {row.bulk, row.log_inputs, row.logged_models, row.aliases, row.traces_v3}) known(there);
      if (!row.traces_v3) known(row.traces_v2);
      std::string const field = row.lists_by_graphql ? "mlflowListArtifacts" : "mlflowGetRun";
      bench.answer(200, R"({"data":{"__type":{"fields":[{"name":")" + field + R"("}]}}})");
      if (row.refuses_hash) {
        bench.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE"})");
      } else {
        bench.answer(200, R"({"files":[]})");
      }
      Capabilities const found = bench.probe();
      CHECK(bench.server.answers_left() == 0);
      CHECK(found.version == row.version);
      CHECK(found.history_bulk == row.bulk);
      CHECK(found.log_inputs == row.log_inputs);
      CHECK(found.logged_models == row.logged_models);
      CHECK(found.aliases == row.aliases);
      CHECK(found.traces_v3 == row.traces_v3);
      CHECK(found.traces_v2 == row.traces_v2);
      CHECK(found.graphql == row.lists_by_graphql);
      CHECK(found.decodes_paths_twice == row.refuses_hash);
      CHECK(found.prompts == row.prompts);
      CHECK(found.colon_in_keys == row.colon);
      CHECK(found.param_characters == row.param_characters);
      CHECK(!found.workspaces);
      CHECK(!found.otlp_json);
      CHECK(!found.proxies_any_name);
      CHECK(!found.says_who_calls);
    }
  }

  TEST_CASE("probe: features that nobody knows yet, and other versions, do no harm") {
    Bench bench;
    bench.answer(200, "4.0.0rc1+vendor\n")
        .answer(200, R"({"store_type":"Teleporter","features_enabled":{"teleport":{"x":[1]}},"new":null})");
    Capabilities const found = bench.probe();
    CHECK(bench.server.answers_left() == 0);
    CHECK(found.traces_v3);
    CHECK(found.otlp_json);
    CHECK(found.param_characters == 6000);
    CHECK(!found.workspaces);
  }

  TEST_CASE("probe: a page application that says 200 to everything is no server-info") {
    Bench bench;
    bench.answer(200, "<html>app</html>").answer(200, "{}").answer(200, "{}");
    bench.missing().missing().missing().missing().missing().missing();
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

    // Where the version is hidden, server-info, which everybody may read, does not show that the login is right.
    Bench info_alone;
    info_alone.missing().answer(200, R"({"store_type":"SqlStore"})").answer(401, "You are not authenticated.");
    CHECK(info_alone.error().find("MLFLOW_TRACKING_USERNAME") != std::string::npos);

    Bench prefix;
    prefix.missing().missing().missing();
    CHECK(prefix.error().find(": no MLflow server answers at this URL") != std::string::npos);

    Bench portal;
    for (int i = 0; i < 3; ++i) portal.answer(200, "<html>Sign in</html>");
    CHECK(portal.error().find(": no MLflow server answers at this URL") != std::string::npos);
  }
}
