#pragma once
// Threads for blocking and CPU-heavy work, away from the event loop. A round trip costs 20-57 us, so hand
// over units of a mebibyte or of a whole database batch.

#include <exception>
#include <optional>
#include <type_traits>

#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/task.hpp"

namespace mlferry::async {

// Declare it after the io_context whose coroutines use it, so that it is destroyed first: a worker can be in
// the middle of handing a result over while the caller goes on with that result and ends the program.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads) : threads_(threads), pool_(threads) {}
  ~WorkerPool() { pool_.join(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  std::size_t threads() const { return threads_; }

  // Runs `work()` on a pool thread and returns its result, or throws what it threw, on the caller's executor.
  // Work that has begun cannot be cancelled: a cancelled caller comes back, with operation_aborted, only when
  // `work` has ended, so `work` may refer to the caller's frame. A caller that was
  // cancelled before throws without running it.
  template <class Work>
  Task<std::invoke_result_t<Work&>> run(Work work) {
    namespace asio = boost::asio;
    using Result = std::invoke_result_t<Work&>;
    using Stored = std::conditional_t<std::is_void_v<Result>, bool, Result>;
    std::optional<Stored> result;
    std::exception_ptr failure;
    auto home = co_await asio::this_coro::executor;
    // The coroutine stays suspended on its own executor while the work runs: a cancellation from the event
    // loop touches its state, which no other thread may use meanwhile.
    auto start = [this, home, &work, &result, &failure](auto handler) {
      asio::post(pool_, [home, &work, &result, &failure, handler = std::move(handler),
                         alive = asio::make_work_guard(home)]() mutable {
        try {
          if constexpr (std::is_void_v<Result>) {
            work();
            result.emplace(true);
          } else {
            result.emplace(work());
          }
        } catch (...) {
          failure = std::current_exception();
        }
        // The guard goes along: dropped here, it could touch an event loop that has ended meanwhile.
        auto resume = [handler = std::move(handler), alive = std::move(alive)]() mutable {
          std::move(handler)();
        };
        asio::post(home, std::move(resume));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start),
                                                                         asio::use_awaitable);
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
    if (failure) std::rethrow_exception(failure);
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
  }

 private:
  std::size_t threads_;
  boost::asio::thread_pool pool_;
};

}  // namespace mlferry::async
