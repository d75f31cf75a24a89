#include "protocol/mlflow/client.hpp"

namespace mlferry::mlflow {

std::optional<std::string> filter_literal(std::string_view value) {
  // A doubled or escaped quote is answered 200 with nothing found; backslashes stand for themselves.
  for (char quote : {'\'', '"'}) {
    if (value.find(quote) == value.npos) return quote + std::string(value) + quote;
  }
  return std::nullopt;
}

}  // namespace mlferry::mlflow
