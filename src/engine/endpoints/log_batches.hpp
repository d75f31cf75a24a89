#pragma once
// Cuts a run's params, metric rows and tags into the fewest log-batch requests that the server takes: at most
// 1000 items, of them 100 params and 100 tags (mlflow-rest 2.6). Pure.

#include <cstddef>
#include <vector>

namespace mlferry::engine {

struct LogBatch {
  std::size_t params_from = 0, params_to = 0;
  std::size_t metrics_from = 0, metrics_to = 0;
  std::size_t tags_from = 0, tags_to = 0;
};

inline constexpr std::size_t items_a_batch = 1000;
inline constexpr std::size_t params_a_batch = 100;
inline constexpr std::size_t tags_a_batch = 100;

std::vector<LogBatch> plan_batches(std::size_t params, std::size_t metrics, std::size_t tags);

}  // namespace mlferry::engine
