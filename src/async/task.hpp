#pragma once
// The coroutine type of the whole program, and the executor every class is given.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace mlferry::async {

// A lazily started coroutine. It runs when it is awaited or spawned into a TaskGroup, on the single thread
// of the program's io_context. Parameters of spawned tasks are values, or references to what outlives the
// group.
template <class T = void>
using Task = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

}  // namespace mlferry::async
