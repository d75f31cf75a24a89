#include "cli/package_environment.hpp"

#include "cli/package_names.hpp"
#include "protocol/http/client.hpp"

namespace mlferry::cli {

namespace {

std::string without_credentials(const std::string& uri) {
  auto url = http::split_credentials(uri).url;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

PackageLog package_log(const Environment& environment) {
  PackageLog log;
  log.file = environment("MLFLOW_EXPORT_IMPORT_LOG_OUTPUT_FILE").value_or("");
  for (auto const* name : {"MLFLOW_EXPORT_IMPORT_LOG_CONFIG_FILE", "MLFLOW_EXPORT_IMPORT_LOG_FORMAT"}) {
    if (environment(name).value_or("").empty()) continue;
    log.warnings.push_back(std::string(name) +
                           " is not used: lines are 'TIME LEVEL TEXT'; --log-level says which there are, "
                           "--log-file where they go");
  }
  return log;
}

void check_registry_uri(std::string_view command, const Environment& environment) {
  auto const registry = without_credentials(environment("MLFLOW_REGISTRY_URI").value_or(""));
  auto const tracking = without_credentials(environment("MLFLOW_TRACKING_URI").value_or(""));
  if (registry.empty() || tracking.empty() || registry == tracking || !touches_registry(command)) return;
  throw UsageError("MLFLOW_REGISTRY_URI is '" + registry +
                   "', another server than MLFLOW_TRACKING_URI: mlferry reads and writes the "
                   "registry of the tracking server itself; unset it, or name the server by its option");
}

}  // namespace mlferry::cli
