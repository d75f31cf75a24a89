#pragma once
// Which runs and prompt versions a server's traces are linked with. A trace's info names the run that made
// it, but neither other runs nor prompts: they find their traces by a search each (mlflow-rest 3).

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/context.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

struct LinksOfTrace {
  std::vector<std::string> runs;                             // besides the one in the metadata; sorted
  std::vector<std::pair<std::string, std::string>> prompts;  // (name, version); sorted
};
using TraceLinks = std::map<std::string, LinksOfTrace>;  // by trace id; only those that have some

// One search for every run of the server and every prompt version, and more where one has many traces.
// `experiments`: all ids; `traced`: those that have traces; `prompts`: (name, version).
async::Task<TraceLinks> read_trace_links(const Context& context, mlflow::Client& client,
                                         std::vector<std::string> experiments,
                                         std::vector<std::string> traced,
                                         std::vector<std::pair<std::string, std::string>> prompts);

}  // namespace mlferry::engine
