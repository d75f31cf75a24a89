#pragma once
// Refusals before sending: what the server would answer 200 to and store as something else, or answer
// with pages without end (mlflow-rest 2.2, 2.5, 2.6). Each throws std::invalid_argument naming the call.

#include <cstddef>
#include <string_view>

namespace mlferry::mlflow {

// Zero and negative page sizes give tokens without end on some lists.
void require_page_size(std::string_view call, int max_results);
// At most 100 params and 100 tags, and 1000 items in all.
void require_batch_size(std::string_view call, std::size_t metrics, std::size_t params, std::size_t tags);
void require_at_most(std::string_view call, std::string_view what, std::size_t count, std::size_t limit);
// An unknown status is answered 200 and ignored.
void require_run_status(std::string_view call, std::string_view status);
void require_logged_model_status(std::string_view call, std::string_view status);
// An empty id makes another URL of it.
void require_id(std::string_view call, std::string_view what, std::string_view id);

}  // namespace mlferry::mlflow
