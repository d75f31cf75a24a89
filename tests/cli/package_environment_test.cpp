#include "cli/package_environment.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace mlferry::cli;

namespace {

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    auto const found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("package environment: the log") {
    CHECK(package_log(of({})).file.empty());
    CHECK(package_log(of({})).warnings.empty());
    auto const log = package_log(of({{"MLFLOW_EXPORT_IMPORT_LOG_OUTPUT_FILE", "/tmp/x.log"},
                                     {"MLFLOW_EXPORT_IMPORT_LOG_CONFIG_FILE", "x.yaml"},
                                     {"MLFLOW_EXPORT_IMPORT_LOG_FORMAT", "%(message)s"}}));
    CHECK(log.file == "/tmp/x.log");
    REQUIRE(log.warnings.size() == 2);
    CHECK(log.warnings[0].find("MLFLOW_EXPORT_IMPORT_LOG_CONFIG_FILE is not used") == 0);
    CHECK(log.warnings[1].find("--log-level") != std::string::npos);
    CHECK(package_log(of({{"MLFLOW_EXPORT_IMPORT_LOG_FORMAT", ""}})).warnings.empty());
  }

  TEST_CASE("package environment: another registry than the tracking server's is refused where it matters") {
    auto const environment = [](const char* registry) {
      return of({{"MLFLOW_TRACKING_URI", "http://u:p@one:5000/"}, {"MLFLOW_REGISTRY_URI", registry}});
    };
    for (auto const* same : {"", "http://one:5000", "http://one:5000/", "http://x:y@one:5000"}) {
      CAPTURE(same);
      CHECK_NOTHROW(check_registry_uri("export-models", environment(same)));
    }
    for (auto const* other : {"http://two:5000", "databricks-uc", "http://one:5001"}) {
      CAPTURE(other);
      CHECK_THROWS_AS(check_registry_uri("export-models", environment(other)), UsageError);
      CHECK_THROWS_AS(check_registry_uri("get-model-signature", environment(other)), UsageError);
      CHECK_NOTHROW(check_registry_uri("export-run", environment(other)));
    }
    try {
      check_registry_uri("export-all", environment("http://secret:word@two"));
      FAIL("not refused");
    } catch (const UsageError& error) {
      CHECK(std::string(error.what()).find("word") == std::string::npos);
    }
  }
}
