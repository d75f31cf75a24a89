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
  engine::Access find(std::string version) {
    mlflow::Capabilities capabilities;
    capabilities.version = std::move(version);
    return run(context, engine::find_access(client, capabilities));
  }
  std::string last_target() const { return server.seen().back().target; }
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("access: a server that would say who calls, and has no such call, has no logins") {
    for (auto const* version : {"3.14.0", "3.17.2", "4.0.0"}) {
      CAPTURE(std::string(version));
      Bench bench;
      bench.server.answer(404, html_404, "text/html");
      auto const access = bench.find(version);
      CHECK_FALSE(access.logins);
      CHECK(access.admin);
      CHECK(bench.server.seen().size() == 1);
    }
  }

  TEST_CASE("access: where the server may not be able to say, another question tells") {
    for (auto const* version : {"", "2.22.5", "3.13.2"}) {
      CAPTURE(std::string(version));
      Bench bench;
      bench.server.answer(404, html_404, "text/html").answer(403, R"({"error_code":"PERMISSION_DENIED"})");
      auto const access = bench.find(version);
      CHECK(access.logins);
      CHECK_FALSE(access.admin);
      CHECK(bench.last_target() == "/api/2.0/mlflow/users/get?username=");
    }
    Bench broken;  // an answer, but none that says who calls
    broken.server.answer(500, R"({"error_code":"INTERNAL_ERROR"})");
    broken.server.answer(404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})");
    auto const access = broken.find("3.17.2");
    CHECK(access.logins);
    CHECK(access.admin);
  }
}
