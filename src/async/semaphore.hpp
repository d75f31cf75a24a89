#pragma once
// Counts permits: for things (requests in flight) and for bytes (memory). First come, first served, also when
// a later, smaller wish could be met at once: a big one never starves.

#include <cstdint>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "async/task.hpp"

namespace mlferry::async {

class Semaphore;

// Holds `amount` units until it is destroyed or released. Move-only. The semaphore must outlive it.
class Permit {
 public:
  Permit() = default;
  Permit(Semaphore* owner, std::uint64_t amount) : owner_(owner), amount_(amount) {}
  Permit(Permit&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), amount_(std::exchange(other.amount_, 0)) {}
  Permit& operator=(Permit&& other) noexcept;
  ~Permit() { release(); }

  void release();
  // Gives back what is above `amount`.
  void shrink_to(std::uint64_t amount);
  std::uint64_t amount() const { return amount_; }

 private:
  Semaphore* owner_ = nullptr;
  std::uint64_t amount_ = 0;
};

class Semaphore {
 public:
  Semaphore(Executor executor, std::uint64_t capacity);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Waits for `amount` units. A wish above the capacity is cut to the capacity, so that it can be met once
  // everything else is back; with a capacity of 0 it waits until there is some. Cancelled: throws
  // operation_aborted and holds nothing. One that yields waits until no other wish does.
  Task<Permit> acquire(std::uint64_t amount = 1, bool yields = false);
  // Without waiting; nothing when others wait already or too little is free.
  std::optional<Permit> try_acquire(std::uint64_t amount = 1);

  // Growing wakes waiters; shrinking below what is held lets the holders finish.
  void set_capacity(std::uint64_t capacity);
  std::uint64_t capacity() const { return capacity_; }
  std::uint64_t used() const { return used_; }
  // The largest `used()` so far.
  std::uint64_t peak() const { return peak_; }
  std::size_t waiting() const { return waiters_.size(); }

 private:
  friend class Permit;
  struct Waiter {
    boost::asio::steady_timer wake;
    std::uint64_t amount;
    bool yields;
    bool granted = false;
  };
  std::uint64_t cut(std::uint64_t wish) const;
  bool fits(std::uint64_t amount) const;
  void give_back(std::uint64_t amount);
  void grant_waiters();
  void take(std::uint64_t amount);

  Executor executor_;
  std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  std::uint64_t peak_ = 0;
  std::list<Waiter> waiters_;  // granted ones, then those that do not yield, then those that do
};

// Bytes of memory: the same thing, another unit.
using ByteBudget = Semaphore;

}  // namespace mlferry::async
