#pragma once
// A bounded queue between producers and consumers on one thread: the back pressure between the stages of a
// job. Own code because Asio 1.81's channel breaks after a cancelled receive and drops values on close.

#include <algorithm>
#include <deque>
#include <exception>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/task.hpp"

namespace mlferry::async {

template <class T>
class Queue {
 public:
  Queue(Executor executor, std::size_t capacity) : executor_(std::move(executor)), capacity_(capacity) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Waits for room. Cancelled: throws operation_aborted and `value` is dropped.
  Task<> push(T value) {
    while (values_.size() >= capacity_) co_await wait();
    values_.push_back(std::move(value));
    wake_all();
  }

  // The next value; nothing after close() once the queue is empty. Rethrows the failure given to close().
  Task<std::optional<T>> pop() {
    while (values_.empty()) {
      if (closed_) {
        if (failure_) std::rethrow_exception(failure_);
        co_return std::nullopt;
      }
      co_await wait();
    }
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    wake_all();
    co_return value;
  }

  // No more values will come; what is in the queue can still be popped.
  void close(std::exception_ptr failure = nullptr) {
    closed_ = true;
    failure_ = std::move(failure);
    wake_all();
  }

 private:
  Task<> wait() {
    auto place = waiters_.emplace(waiters_.end(), executor_, boost::asio::steady_timer::time_point::max());
    struct Leave {
      std::list<boost::asio::steady_timer>& list;
      std::list<boost::asio::steady_timer>::iterator place;
      ~Leave() { list.erase(place); }
    } leave{waiters_, place};
    boost::system::error_code ignored;
    co_await place->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) {
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
  }
  void wake_all() {
    for (auto& waiter : waiters_) waiter.cancel();
  }

  Executor executor_;
  std::size_t capacity_;
  std::deque<T> values_;
  std::list<boost::asio::steady_timer> waiters_;
  bool closed_ = false;
  std::exception_ptr failure_;
};

}  // namespace mlferry::async
