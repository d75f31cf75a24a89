#pragma once
// Owns coroutines that run beside each other: none of them outlives the group's join(). The first failure
// cancels the others, and join() rethrows it.

#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

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

  // Asks every task to stop at its next wait. Returns at once; join() waits for them. Only from the thread
  // that runs the executor: from outside, the request would be queued and could reach a task that has ended.
  void cancel();

  // Returns when no task is left. Rethrows the first failure. When the caller is cancelled meanwhile, the
  // tasks are cancelled, waited for, and operation_aborted is thrown; the caller stays cancelled. A caller
  // that may be cancelled before it gets here must switch off throw_if_cancelled first, as with_task_group
  // does: otherwise `co_await join()` itself throws and the tasks are left alone.
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

// Runs `body(group)` as the group's first task and joins the group: when the body or a task that it spawned
// fails, all the others are cancelled, the body too, and the first failure is rethrown. `body` must outlive
// the call: pass a named object.
template <class Body>
Task<> with_task_group(Executor executor, Body& body) {
  TaskGroup group(std::move(executor));
  group.spawn(body(group));
  // The body has run up to its first wait and may have cancelled this caller: awaiting join() would then
  // throw at once and leave it alone. join() sees the cancellation itself.
  bool const throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  std::exception_ptr failure;
  try {
    co_await group.join();
  } catch (...) {
    failure = std::current_exception();
  }
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mlferry::async
