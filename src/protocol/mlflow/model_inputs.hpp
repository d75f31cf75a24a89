#pragma once
// Model inputs of runs over GraphQL, since runs/search leaves them out. Pure functions.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::mlflow {

// One query with an alias a0, a1, .. for each run; the ids travel in variables.
std::string model_inputs_query(std::span<const std::string> run_ids);

// The ids in the order of the runs; nullopt where the server answered with an error, or not completely.
std::vector<std::optional<std::vector<std::string>>> model_inputs_answers(
    std::span<const std::string> run_ids, const json::object& answer);

}  // namespace mlferry::mlflow
