#pragma once
// Counts what a server holds and this version does not move, so that nothing is left out silently.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/context.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

struct Census {
  std::map<std::string, std::int64_t>
      counts;  // only kinds with at least one object; -1: could not be counted
  std::vector<std::string> notes;
};

// Only reads, all lists at once. Calls that this server does not have count nothing.
async::Task<Census> count_uncopied(const Context& context, mlflow::Client& client,
                                   const mlflow::Capabilities& capabilities);

}  // namespace mlferry::engine
