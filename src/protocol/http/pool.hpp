#pragma once
// Idle connections of one client. The one that has rested longest is taken first: where a server has several workers, the
// one used last is that of the busiest worker, and taking it again would leave the others idle.

#include <chrono>
#include <deque>
#include <memory>

#include "protocol/http/connection.hpp"

namespace mlferry::http {

class Pool {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr Clock::duration longest_rest = std::chrono::seconds(30);

  explicit Pool(std::size_t max_idle) : max_idle_(max_idle) {}

  // A connection that has rested for at most `max_rest` and that the server has left alone, or null. Those
  // found dead on the way are closed; those that have rested longer are kept for requests that may meet a dead one,
  // up to `longest_rest`: firewalls forget idle connections without a word.
  std::unique_ptr<Connection> take(Clock::time_point now, Clock::duration max_rest);
  // Keeps the connection when it can be used again, else closes it; the oldest goes when there are too many.
  void put(std::unique_ptr<Connection> connection, Clock::time_point now);
  void clear() { idle_.clear(); }
  std::size_t size() const { return idle_.size(); }
  // Whether the last connection that came back could be used again; true before there was one.
  bool last_was_kept() const { return last_was_kept_; }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Clock::time_point since;
  };
  std::size_t max_idle_;
  bool last_was_kept_ = true;
  std::deque<Idle> idle_;  // the one that came back last at the back
};

}  // namespace mlferry::http
