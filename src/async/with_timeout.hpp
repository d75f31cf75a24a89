#pragma once
// Bounds a wait that has no limit of its own.

#include <chrono>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/task.hpp"

namespace mlferry::async {

// The result of `operation`, or nothing when `limit` passes first; the operation is then cancelled and has
// ended when this returns. An error of the operation is thrown at once. `operator||` of Asio would report it
// as a time-out after the whole limit. Cancelled: what the cancelled operation throws, or its result when it
// ended all the same.
template <class T>
Task<std::optional<T>> with_timeout(Task<T> operation, std::chrono::milliseconds limit) {
  namespace asio = boost::asio;
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(operation), asio::deferred), timer.async_wait(asio::deferred));
  auto [order, failure, value, timer_error] =
      co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (order[0] == 1 && !timer_error) co_return std::nullopt;
  if (failure) std::rethrow_exception(failure);
  co_return std::optional<T>(std::move(value));
}

// The same for an operation without a result: whether it ended in time.
inline Task<bool> with_timeout(Task<> operation, std::chrono::milliseconds limit) {
  namespace asio = boost::asio;
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(operation), asio::deferred), timer.async_wait(asio::deferred));
  auto [order, failure, timer_error] =
      co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (order[0] == 1 && !timer_error) co_return false;
  if (failure) std::rethrow_exception(failure);
  co_return true;
}

}  // namespace mlferry::async
