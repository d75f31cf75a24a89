#pragma once
// Counts what a server holds and this version cannot move, so that nothing is left out silently.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "engine/access.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

struct Census {
  std::map<std::string, std::int64_t>
      counts;  // only kinds with at least one object; -1: could not be counted
  std::vector<std::string> notes;
};

// Users of servers that cannot list them (MLflow before 3.10). Only reads; one request.
async::Task<Census> count_uncopied(mlflow::Client& client, Access access);

}  // namespace mlferry::engine
