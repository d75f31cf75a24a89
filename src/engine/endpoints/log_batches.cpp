#include "engine/endpoints/log_batches.hpp"

#include <algorithm>

namespace mlferry::engine {

std::vector<LogBatch> plan_batches(std::size_t params, std::size_t metrics, std::size_t tags) {
  std::vector<LogBatch> batches;
  LogBatch at;
  while (at.params_to < params || at.metrics_to < metrics || at.tags_to < tags) {
    at.params_from = at.params_to;
    at.metrics_from = at.metrics_to;
    at.tags_from = at.tags_to;
    at.params_to = std::min(params, at.params_from + params_a_batch);
    at.tags_to = std::min(tags, at.tags_from + tags_a_batch);
    auto const taken = at.params_to - at.params_from + at.tags_to - at.tags_from;
    at.metrics_to = std::min(metrics, at.metrics_from + items_a_batch - taken);
    batches.push_back(at);
  }
  return batches;
}

}  // namespace mlferry::engine
