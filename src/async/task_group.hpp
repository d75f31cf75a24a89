#pragma once
// Owns coroutines that run beside each other: none of them outlives the group's join(). The first failure
// cancels the others, and join() rethrows it.

#include <deque>
#include <exception>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/task.hpp"

namespace mlferry::async {

// Contract: whoever spawns must await join() before the group is destroyed, also when something throws in
// between; a group destroyed with live tasks terminates the program. `with_task_group` does it for you.
class TaskGroup {
 public:
  explicit TaskGroup(Executor executor);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts the task. After cancel() it is started cancelled: its first wait throws operation_aborted.
  void spawn(Task<> task);

  // Asks every task to stop at its next wait. Returns at once; join() waits for them.
  void cancel();

  // Returns when no task is left. Rethrows the first failure. When the caller is cancelled meanwhile, the
  // tasks are cancelled, waited for, and operation_aborted is thrown.
  Task<> join();

  std::size_t live() const { return live_; }
  bool failed() const { return static_cast<bool>(first_failure_); }

 private:
  struct Slot {
    boost::asio::cancellation_signal signal;
    bool busy = false;
  };
  void finished(Slot& slot, std::exception_ptr failure);

  Executor executor_;
  std::size_t live_ = 0;
  bool stopping_ = false;
  std::exception_ptr first_failure_;
  std::deque<Slot> slots_;  // a deque: addresses stay put; free slots are used again
  std::vector<Slot*> free_;
  boost::asio::steady_timer idle_;
};

// Runs `body(group)` and joins the group whatever happens. When the body throws, the tasks are cancelled and
// waited for, and the first failure of the tasks (else the body's) is rethrown. `body` must outlive the call:
// pass a named object.
template <class Body>
Task<> with_task_group(Executor executor, Body& body) {
  TaskGroup group(std::move(executor));
  std::exception_ptr failure;
  try {
    co_await body(group);
  } catch (...) {
    failure = std::current_exception();
    group.cancel();
  }
  co_await group.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mlferry::async
