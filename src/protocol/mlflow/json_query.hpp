#pragma once
// Parameters of a GET request that somebody wrote as JSON.

#include <stdexcept>
#include <string>

#include "protocol/mlflow/json.hpp"

namespace mlferry::mlflow {

// {"a": 1, "b": ["x", "y"], "c": true} -> "a=1&b=x&b=y&c=true"; null is left out. Throws
// std::invalid_argument for an object inside, an array inside of an array, and text that is no UTF-8.
std::string to_query(const json::object& parameters);

}  // namespace mlferry::mlflow
