#include "protocol/http/connection_line.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/sleep.hpp"

namespace mlferry::http {

// In the line as long as it lives.
class ConnectionLine::Place {
 public:
  Place(ConnectionLine& line, boost::asio::steady_timer& timer)
      : line_(line), at_(line.waiting_.insert(line.waiting_.end(), &timer)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    bool const was_first = is_first();
    line_.waiting_.erase(at_);
    if (was_first && !line_.waiting_.empty()) line_.waiting_.front()->cancel();
  }
  bool is_first() const { return at_ == line_.waiting_.begin(); }

 private:
  ConnectionLine& line_;
  std::list<boost::asio::steady_timer*>::iterator at_;
};

bool ConnectionLine::may_connect() {
  auto const now = Pool::Clock::now();
  // Where each request needs its own connection, they come apart as it is.
  if (now < pace_.next && pool_.last_was_kept()) return false;
  pace_.next = now + pace_.apart;
  return true;
}

async::Task<std::unique_ptr<Connection>> ConnectionLine::next(Pool::Clock::duration max_rest) {
  if (waiting_.empty()) {
    if (auto rested = pool_.take(Pool::Clock::now(), max_rest)) co_return rested;
    if (may_connect()) co_return nullptr;
  }
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  Place const place(*this, timer);
  while (true) {
    if (place.is_first()) {
      if (auto rested = pool_.take(Pool::Clock::now(), max_rest)) co_return rested;
      if (may_connect()) co_return nullptr;
      timer.expires_at(pace_.next);
    } else {
      timer.expires_at(Pool::Clock::time_point::max());
    }
    co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

async::Task<> ConnectionLine::next_new() {
  while (!may_connect()) co_await async::sleep_for(pace_.next - Pool::Clock::now());
}

void ConnectionLine::put(std::unique_ptr<Connection> connection) {
  pool_.put(std::move(connection), Pool::Clock::now());
  if (!waiting_.empty()) waiting_.front()->cancel();
}

}  // namespace mlferry::http
