#pragma once
// Idle connections of one client.

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>

#include "protocol/http/connection.hpp"

namespace mlferry::http {

// Which one is taken. A server's workers each keep the connections that they accepted, so this decides who works.
enum class Turn {
  longest_rested,  // all take turns: the one used last is that of the busiest worker
  first_made,      // as few as are needed, and always the same ones
};

class Pool {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr Clock::duration longest_rest = std::chrono::seconds(30);

  Pool(std::size_t max_idle, Turn turn) : max_idle_(max_idle), turn_(turn) {}

  // A connection that has rested for at most `max_rest` and that the server has left alone, or null. Those
  // found dead on the way are closed; those that have rested longer are kept for requests that may meet a dead one,
  // up to `longest_rest`: firewalls forget idle connections without a word.
  std::unique_ptr<Connection> take(Clock::time_point now, Clock::duration max_rest);
  // Keeps the connection when it can be used again, else closes it; the oldest goes when there are too many.
  void put(std::unique_ptr<Connection> connection, Clock::time_point now);
  void clear() { idle_.clear(); }
  // Closes all connections up to the `last`-th of the client: now, or when they come back.
  void retire(std::uint64_t last);
  std::size_t size() const { return idle_.size(); }
  // Whether the last connection that came back could be used again; true before there was one.
  bool last_was_kept() const { return last_was_kept_; }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Clock::time_point since;
  };
  std::size_t max_idle_;
  Turn turn_;
  std::uint64_t retired_ = 0;  // connections up to this one are
  bool last_was_kept_ = true;
  std::deque<Idle> idle_;  // the one that came back last at the back
};

}  // namespace mlferry::http
