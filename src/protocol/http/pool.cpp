#include "protocol/http/pool.hpp"

namespace mlferry::http {

std::unique_ptr<Connection> Pool::take(Clock::time_point now, Clock::duration max_rest) {
  while (!idle_.empty()) {
    if (now - idle_.back().since > max_rest) return nullptr;  // the others are older still
    auto connection = std::move(idle_.back().connection);
    idle_.pop_back();
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
