#include <doctest/doctest.h>

#include <string>

#include "engine/access.hpp"
#include "support/mlflow_bench.hpp"
#include "support/run.hpp"

using namespace mlferry;
using test::run;

namespace {

const std::string html_404 = "<!doctype html>\n<title>404 Not Found</title>";

struct Bench : test::MlflowBench {
  Bench() : MlflowBench(1) {}
  engine::Access find(bool says_who_calls) {
    mlflow::Capabilities capabilities;
    capabilities.says_who_calls = says_who_calls;
    return run(context, engine::find_access(client, capabilities));
  }
  std::string last_target() const { return server.seen().back().target; }
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("access: a server that would say who calls, and has no such call, has no logins") {
    Bench bench;
    bench.server.answer(404, html_404, "text/html");
    auto const access = bench.find(true);
    CHECK_FALSE(access.logins);
    CHECK(access.admin);
    CHECK(bench.server.seen().size() == 1);
  }

  TEST_CASE("access: where the server may not be able to say, another question tells") {
    Bench older;
    older.server.answer(404, html_404, "text/html").answer(403, R"({"error_code":"PERMISSION_DENIED"})");
    auto const refused = older.find(false);
    CHECK(refused.logins);
    CHECK_FALSE(refused.admin);
    CHECK(older.last_target() == "/api/2.0/mlflow/users/get?username=");

    Bench broken;  // an answer, but none that says who calls
    broken.server.answer(500, R"({"error_code":"INTERNAL_ERROR"})");
    broken.server.answer(404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})");
    auto const access = broken.find(true);
    CHECK(access.logins);
    CHECK(access.admin);
  }
}
