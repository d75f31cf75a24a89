#pragma once
// The spelling of a View on the wire. Experiments and runs share it.

#include <string_view>

#include "protocol/mlflow/client.hpp"

namespace mlferry::mlflow {

constexpr std::string_view view_name(View view) {
  switch (view) {
    case View::active:
      return "ACTIVE_ONLY";
    case View::deleted:
      return "DELETED_ONLY";
    case View::all:
      break;
  }
  return "ALL";
}

}  // namespace mlferry::mlflow
