#pragma once
// What --verbose prints: the versions of models as the server has them now, without anything secret.

#include <string>
#include <vector>

#include "async/task.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::cli {

struct VersionRow {
  std::string model, version, stage, status, aliases, run_id, source;
};

// Without user, password and query string.
std::string public_uri(std::string_view uri);
std::string version_table(const std::vector<VersionRow>& rows);

// Rows of one model, in number order; none when the server does not have it.
async::Task<std::vector<VersionRow>> version_rows(mlflow::Client& server, std::string model);

}  // namespace mlferry::cli
