#pragma once
// All versions of a registered model, also where the server's search hides them.

#include <vector>

#include "async/task.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// In number order, each once.
async::Task<std::vector<mlflow::ModelVersion>> list_versions(mlflow::Client& client,
                                                             mlflow::RegisteredModel model);

}  // namespace mlferry::engine
