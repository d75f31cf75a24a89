#include "protocol/http/pool.hpp"

#include <algorithm>

namespace mlferry::http {

std::unique_ptr<Connection> Pool::take(Clock::time_point now, Clock::duration max_rest) {
  std::erase_if(idle_, [&](const Idle& idle) { return now - idle.since > longest_rest; });
  auto const young_enough = [&](const Idle& idle) { return now - idle.since <= max_rest; };
  auto next = std::find_if(idle_.begin(), idle_.end(), young_enough);
  while (next != idle_.end()) {
    auto connection = std::move(next->connection);
    next = idle_.erase(next);
    if (connection->quiet()) return connection;
  }
  return nullptr;
}

void Pool::put(std::unique_ptr<Connection> connection, Clock::time_point now) {
  last_was_kept_ = connection->reusable();
  if (!last_was_kept_ || max_idle_ == 0) return;
  idle_.push_back({std::move(connection), now});
  if (idle_.size() > max_idle_) idle_.pop_front();
}

}  // namespace mlferry::http
