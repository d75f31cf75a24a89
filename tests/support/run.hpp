#pragma once
// Runs one coroutine to its end on a test's io_context. It is how a test body, which is an ordinary function,
// awaits something.

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "async/task.hpp"

namespace mlferry::test {

// Runs `context` until `task` has ended, and returns its result or rethrows its failure. Other work on the
// context (a fake server, say) goes on meanwhile and stays where it is afterwards. Throws logic_error when
// the context runs out of work first: the task then waits for something that can never happen.
template <class T>
T run(boost::asio::io_context& context, async::Task<T> task) {
  std::optional<T> result;
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
    failure = error;
    if (!error) result.emplace(std::move(value));
    done = true;
  });
  context.restart();
  while (!done && context.run_one() != 0) {
  }
  if (!done) throw std::logic_error("the task waits, and nothing is left that could wake it");
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

inline void run(boost::asio::io_context& context, async::Task<> task) {
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) {
    failure = error;
    done = true;
  });
  context.restart();
  while (!done && context.run_one() != 0) {
  }
  if (!done) throw std::logic_error("the task waits, and nothing is left that could wake it");
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mlferry::test
