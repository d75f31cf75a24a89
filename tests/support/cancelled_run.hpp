#pragma once
// Runs a coroutine and cancels it after a number of steps of the event loop. Counting the steps up from 0
// until it ends by itself cancels it at every one of its suspension points.

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "async/task.hpp"

namespace mlferry::test {

enum class Ending {
  by_itself,  // before the cancellation was sent
  done,       // cancelled, and yet returned
  cancelled,  // cancelled, and threw operation_aborted
};

inline bool is_cancellation(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (...) {
  }
  return false;
}

// Rethrows what the task throws, except operation_aborted after the cancellation. Returns when the task has
// ended; throws logic_error when the context runs out of work first, because the task then hangs.
//
// A step may be a wait of real time; `until_quiet` as number of steps means: cancel once nothing is ready to
// run.
inline constexpr std::size_t until_quiet = static_cast<std::size_t>(-1);
inline Ending run_cancelled_after(boost::asio::io_context& context, std::size_t steps, async::Task<> task) {
  boost::asio::cancellation_signal signal;
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(context, std::move(task),
                        boost::asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error) {
                          failure = error;
                          done = true;
                        }));
  context.restart();
  if (steps == until_quiet) {
    while (!done && context.poll_one() != 0) {
    }
    context.restart();
  } else {
    for (std::size_t step = 0; step < steps && !done; ++step) {
      if (context.run_one() == 0) break;
    }
  }
  if (done) {
    if (failure) std::rethrow_exception(failure);
    return Ending::by_itself;
  }
  // Emitted by the loop itself: from outside it, co_spawn would queue a pointer into `signal` that can
  // dangle.
  bool early = false;
  bool sent = false;
  boost::asio::post(context, [&] {
    early = done;
    sent = true;
    if (!done) signal.emit(boost::asio::cancellation_type::terminal);
  });
  while (!(done && sent) && context.run_one() != 0) {
  }
  if (!done) throw std::logic_error("the cancelled task hangs: nothing is left that could wake it");
  if (!early && is_cancellation(failure)) return Ending::cancelled;
  if (failure) std::rethrow_exception(failure);
  return early ? Ending::by_itself : Ending::done;
}

}  // namespace mlferry::test
