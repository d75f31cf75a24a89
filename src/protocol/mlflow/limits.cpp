#include "protocol/mlflow/limits.hpp"

#include <stdexcept>
#include <string>

#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {
namespace {

[[noreturn]] void refuse(std::string_view call, const std::string& why) {
  throw std::invalid_argument(std::string(call) + ": " + why + "; not sent");
}

}  // namespace

void require_page_size(std::string_view call, int max_results) {
  if (max_results < 1) refuse(call, "a page of " + std::to_string(max_results) + " results");
}

void require_at_most(std::string_view call, std::string_view what, std::size_t count, std::size_t limit) {
  if (count <= limit) return;
  refuse(call, std::to_string(count) + " " + std::string(what) + ", more than the " + std::to_string(limit) +
                   " of one request");
}

void require_batch_size(std::string_view call, std::size_t metrics, std::size_t params, std::size_t tags) {
  require_at_most(call, "params", params, 100);
  require_at_most(call, "tags", tags, 100);
  require_at_most(call, "items", metrics + params + tags, 1000);
}

void require_run_status(std::string_view call, std::string_view status) {
  for (std::string_view known : {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}) {
    if (status == known) return;
  }
  refuse(call, "a run has no status \"" + readable(status, 40) + "\"");
}

void require_logged_model_status(std::string_view call, std::string_view status) {
  for (std::string_view known : {"LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED",
                                 "LOGGED_MODEL_STATUS_UNSPECIFIED"}) {
    if (status == known) return;
  }
  refuse(call, "a logged model has no status \"" + readable(status, 40) + "\"");
}

void require_id(std::string_view call, std::string_view what, std::string_view id) {
  if (id.empty()) refuse(call, "no " + std::string(what));
}

}  // namespace mlferry::mlflow
