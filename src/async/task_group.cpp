#include "async/task_group.hpp"

#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace mlferry::async {

namespace asio = boost::asio;

TaskGroup::TaskGroup(Executor executor)
    : executor_(executor), idle_(executor, asio::steady_timer::time_point::max()) {}

TaskGroup::~TaskGroup() {
  if (live_ != 0) std::terminate();
}

void TaskGroup::spawn(Task<> task) {
  Slot* slot = nullptr;
  if (free_.empty()) {
    slot = &slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slot->busy = true;
  ++live_;
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(slot->signal.slot(), [this, slot](std::exception_ptr failure) {
                   finished(*slot, std::move(failure));
                 }));
  if (stopping_ && slot->busy) slot->signal.emit(asio::cancellation_type::terminal);
}

void TaskGroup::finished(Slot& slot, std::exception_ptr failure) {
  slot.busy = false;
  free_.push_back(&slot);
  --live_;
  if (failure && !first_failure_) {
    first_failure_ = std::move(failure);
    cancel();
  }
  if (live_ == 0) idle_.cancel();
}

void TaskGroup::cancel() {
  stopping_ = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {  // by index: a handler run by emit may spawn
    if (slots_[i].busy) slots_[i].signal.emit(asio::cancellation_type::terminal);
  }
}

Task<> TaskGroup::join() {
  // Without this the first wait of a caller that is cancelled already would throw, and leave the tasks alone.
  bool const throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool cancelled = false;
  while (live_ != 0) {
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !cancelled) {
      cancelled = true;
      cancel();
      continue;
    }
    boost::system::error_code ignored;
    co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (first_failure_) std::rethrow_exception(std::exchange(first_failure_, nullptr));
  if (cancelled) throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace mlferry::async
