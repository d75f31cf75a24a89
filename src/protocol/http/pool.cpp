#include "protocol/http/pool.hpp"

#include <algorithm>

namespace mlferry::http {

std::unique_ptr<Connection> Pool::take(Clock::time_point now, Clock::duration max_rest) {
  std::erase_if(idle_, [&](const Idle& idle) { return now - idle.since > longest_rest; });
  while (true) {
    auto next = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (now - it->since > max_rest) continue;
      bool const earlier = next == idle_.end() || (turn_ == Turn::first_made &&
                                                   it->connection->number() < next->connection->number());
      if (earlier) next = it;
    }
    if (next == idle_.end()) return nullptr;
    auto connection = std::move(next->connection);
    idle_.erase(next);
    if (connection->quiet()) return connection;
  }
}

void Pool::put(std::unique_ptr<Connection> connection, Clock::time_point now) {
  last_was_kept_ = connection->reusable();
  if (!last_was_kept_ || max_idle_ == 0 || connection->number() <= retired_) return;
  idle_.push_back({std::move(connection), now});
  if (idle_.size() > max_idle_) idle_.pop_front();
}

void Pool::retire(std::uint64_t last) {
  retired_ = last;
  std::erase_if(idle_, [&](const Idle& idle) { return idle.connection->number() <= last; });
}

}  // namespace mlferry::http
