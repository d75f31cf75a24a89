#pragma once
// All versions of a registered model, also where the server's search hides them.

#include <string>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "engine/context.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// Prompts and their versions are in a listing only with it, models only without (mlflow-rest 6.4).
inline constexpr const char* prompt_filter = "tags.`mlflow.prompt.is_prompt` = 'true'";

// In number order, each once.
async::Task<std::vector<mlflow::ModelVersion>> list_versions(mlflow::Client& client,
                                                             mlflow::RegisteredModel model);

// (name, version) of all prompts, and nothing else of the registry; without the versions of a prompt that cannot be
// listed.
using PromptVersions = std::vector<std::pair<std::string, std::string>>;
async::Task<PromptVersions> list_prompt_versions(const Context& context, mlflow::Client& client);

}  // namespace mlferry::engine
