#pragma once
// What the environment variables of mlflow-export-import mean for mlferry. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "cli/server_options.hpp"

namespace mlferry::cli {

struct PackageLog {
  std::string file;                   // where the log goes unless --log-file says it; "": nowhere else
  std::vector<std::string> warnings;  // of variables that are not used, a sentence each
};
PackageLog package_log(const Environment& environment);

// mlferry moves a server with its own registry. Throws UsageError when MLFLOW_REGISTRY_URI names another one
// than MLFLOW_TRACKING_URI and `command`, which takes its server from there, touches the registry.
void check_registry_uri(std::string_view command, const Environment& environment);

}  // namespace mlferry::cli
