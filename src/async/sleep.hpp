#pragma once
// Waits for a while.

#include <chrono>

#include "async/task.hpp"

namespace mlferry::async {

// Cancelled: throws operation_aborted.
Task<> sleep_for(std::chrono::nanoseconds duration);

}  // namespace mlferry::async
