#pragma once
// Who gets the next connection of a client: requests of one class stand in a line, and the first takes one that rests as
// soon as there is one, or makes one when it is time. Without the line a request that comes when one is given back would
// take it from those that wait: many short downloads would keep the listings that other files wait for.

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "async/task.hpp"
#include "protocol/http/pool.hpp"

namespace mlferry::http {

// Shared by the lines of one client: new connections are made at least `apart` from each other.
struct ConnectPace {
  std::chrono::milliseconds apart{0};
  Pool::Clock::time_point next{};  // not before
};

class ConnectionLine {
 public:
  // `pace` must outlive it.
  ConnectionLine(std::size_t max_idle, Turn turn, ConnectPace& pace) : pool_(max_idle, turn), pace_(pace) {}

  // A connection that has rested for at most `max_rest`, or null: make one now. In the order of the calls. A cancelled
  // call leaves the line.
  async::Task<std::unique_ptr<Connection>> next(Pool::Clock::duration max_rest);
  // Returns when it is time to make one, before all that wait: for a request that met a dead one.
  async::Task<> next_new();
  void put(std::unique_ptr<Connection> connection);
  void clear() { pool_.clear(); }
  // Pool::retire().
  void retire(std::uint64_t last) { pool_.retire(last); }

 private:
  class Place;
  bool may_connect();

  Pool pool_;
  ConnectPace& pace_;
  std::list<boost::asio::steady_timer*> waiting_;  // the first looks, all others wait for their turn
};

}  // namespace mlferry::http
