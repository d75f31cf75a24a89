#include "async/semaphore.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace mlferry::async {

namespace asio = boost::asio;

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this != &other) {
    release();
    owner_ = std::exchange(other.owner_, nullptr);
    amount_ = std::exchange(other.amount_, 0);
  }
  return *this;
}

void Permit::release() {
  if (owner_ != nullptr) std::exchange(owner_, nullptr)->give_back(std::exchange(amount_, 0));
}

void Permit::shrink_to(std::uint64_t amount) {
  if (owner_ == nullptr || amount >= amount_) return;
  owner_->give_back(amount_ - amount);
  amount_ = amount;
}

Semaphore::Semaphore(Executor executor, std::uint64_t capacity)
    : executor_(std::move(executor)), capacity_(capacity) {}

void Semaphore::take(std::uint64_t amount) {
  used_ += amount;
  peak_ = std::max(peak_, used_);
}

std::uint64_t Semaphore::cut(std::uint64_t wish) const {
  // Never to 0, which would be granted without a permit: with no capacity everybody waits.
  return std::min(wish, std::max<std::uint64_t>(capacity_, 1));
}

bool Semaphore::fits(std::uint64_t amount) const {
  return used_ <= capacity_ && amount <= capacity_ - used_;
}

std::optional<Permit> Semaphore::try_acquire(std::uint64_t amount) {
  amount = cut(amount);
  // A granted waiter has its units and is only about to run; it does not hold up who comes next. Granted ones
  // are always the front of the list.
  bool const others_wait = !waiters_.empty() && !waiters_.back().granted;
  if (others_wait || !fits(amount)) return std::nullopt;
  take(amount);
  return Permit(this, amount);
}

Task<Permit> Semaphore::acquire(std::uint64_t amount, bool yields) {
  if (auto permit = try_acquire(amount)) co_return std::move(*permit);

  struct Place {
    Semaphore& owner;
    std::list<Waiter>::iterator waiter;
    bool keep = false;
    ~Place() {
      bool const granted = waiter->granted;
      auto const amount = waiter->amount;
      owner.waiters_.erase(waiter);
      if (granted && !keep) owner.give_back(amount);
      if (!granted) owner.grant_waiters();
    }
  };
  auto const lets_pass = [](const Waiter& other) { return other.yields && !other.granted; };
  auto const next = yields ? waiters_.end() : std::ranges::find_if(waiters_, lets_pass);
  asio::steady_timer never(executor_, asio::steady_timer::time_point::max());
  Place place{*this, waiters_.emplace(next, Waiter{std::move(never), amount, yields})};
  boost::system::error_code ignored;
  co_await place.waiter->wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none || !place.waiter->granted) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  place.keep = true;
  co_return Permit(this, place.waiter->amount);
}

void Semaphore::give_back(std::uint64_t amount) {
  used_ -= amount;
  grant_waiters();
}

void Semaphore::grant_waiters() {
  for (auto& waiter : waiters_) {
    if (waiter.granted) continue;
    auto const amount = cut(waiter.amount);  // by the capacity of now: it may change until then
    if (!fits(amount)) return;
    waiter.amount = amount;
    take(amount);
    waiter.granted = true;
    waiter.wake.cancel();
  }
}

void Semaphore::set_capacity(std::uint64_t capacity) {
  capacity_ = capacity;
  grant_waiters();
}

}  // namespace mlferry::async
