#include "engine/limits.hpp"

#include <algorithm>

#include "async/sleep.hpp"

namespace mlferry::engine {

namespace {

constexpr double shrink_factor = 0.7;
// A step up must bring this part of what it can (half more in flight: half more throughput); a step down may
// cost this much. Where more in flight neither helps nor hurts, fewer it is: the server's queue is no gain.
constexpr double least_gain = 0.35;
constexpr double most_loss = 0.05;
// Fewer than it began with must be better, not only as good: the noise of the windows of a busy machine is larger than
// what a loss may be, and idle cores cost more than a queue of the usual length.
constexpr double least_gain_below_start = 0.08;
constexpr std::uint64_t shortest_hold = 4;  // windows
constexpr std::uint64_t longest_hold = 16;
constexpr std::uint64_t most_renewals = 5;
// A window with one in flight ends with the first of these: it costs throughput where two get more done.
constexpr std::uint64_t window_of_one = 12;     // answers
constexpr double longest_window_of_one = 0.25;  // seconds

LimitOptions for_class(LimitOptions options, http::RequestClass request_class) {
  switch (request_class) {
    case http::RequestClass::search:
    case http::RequestClass::read:
      options.start = options.start_of_reads;
      options.least = options.least_of_reads_and_files;
      break;
    case http::RequestClass::write:
      break;
    case http::RequestClass::artifact:
      options.start = options.start_of_files;
      options.least = options.least_of_reads_and_files;
      break;
  }
  return options;
}

}  // namespace

LimitController::LimitController(LimitOptions options)
    : options_(options),
      limit_(options.fixed != 0 ? options.fixed : options.start),
      settling_(limit_ == 1 ? 2 : 0),  // a server's first answers may be those of a cold start
      renewals_of_next_(most_renewals),
      hold_length_(shortest_hold) {}

std::uint64_t LimitController::observe(bool throttled, std::chrono::nanoseconds latency,
                                       std::uint64_t in_flight, std::chrono::nanoseconds now) {
  if (options_.fixed != 0) return limit_;
  double const seconds = std::chrono::duration<double>(latency).count();
  if (throttled) {
    refused(now);
    return limit_;
  }
  recent_latency_ = recent_latency_ == 0 ? seconds : 0.9 * recent_latency_ + 0.1 * seconds;
  // Answers to requests that were sent under another limit say nothing about this one.
  if (settling_ != 0) {
    --settling_;
    return limit_;
  }
  ++answers_;
  if (in_flight + 1 >= limit_) ++used_;
  seconds_ += seconds;
  if (!window_is_full()) return limit_;
  bool const used = used_ * 4 >= answers_ * 3;
  // Little's law: what `limit_` in flight get done a second. Pauses of ours do not count, as wall time would.
  double const rate = static_cast<double>(limit_) * static_cast<double>(answers_) / std::max(seconds_, 1e-9);
  restart_window(0);
  if (used) measured(rate);
  return limit_;
}

bool LimitController::window_is_full() const {
  if (limit_ == 1) return answers_ >= window_of_one || seconds_ >= longest_window_of_one;
  // Enough for the mean of requests of all sizes, whose latencies differ as much as they are long; shorter while
  // the first climb lasts.
  return answers_ >=
         (climbing_ ? std::max<std::uint64_t>(32, 4 * limit_) : std::max<std::uint64_t>(80, 6 * limit_));
}

void LimitController::restart_window(std::uint64_t settling) {
  answers_ = used_ = 0;
  seconds_ = 0;
  settling_ = settling;
}

void LimitController::refused(std::chrono::nanoseconds now) {
  auto const patience = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::max(recent_latency_, 0.05)));
  if (last_cut_.count() >= 0 && now - last_cut_ < patience) return;
  last_cut_ = now;
  auto const cut = static_cast<std::uint64_t>(static_cast<double>(limit_) * shrink_factor);
  move_to(std::max(options_.least, cut));
  trying_ = climbing_ = false;
  base_rate_ = 0;
  up_ = true;
  hold_ = shortest_hold;
}

void LimitController::move_to(std::uint64_t limit) {
  restart_window(std::max(limit_, limit));
  limit_ = limit;
}

// What a whole window at the present limit showed.
void LimitController::measured(double rate) {
  if (!trying_) {
    base_rate_ = base_rate_ == 0 ? rate : (base_rate_ + rate) / 2;
    if (hold_ != 0) {
      --hold_;
    } else {
      try_step();
    }
    return;
  }
  double const step = static_cast<double>(limit_) / static_cast<double>(base_limit_) - 1;
  double const wanted = up_ ? least_gain * step : limit_ < options_.start ? least_gain_below_start : -most_loss;
  bool const better = rate >= base_rate_ * (1 + wanted);
  bool const from_one = base_limit_ == 1;
  if (from_one && !better && renewals_left_ != 0) {
    --renewals_left_;
    ++renewals_;
    restart_window(2 * limit_);
    return;
  }
  trying_ = false;
  if (from_one) renewals_of_next_ = better ? most_renewals : 1;
  if (better) {
    base_rate_ = rate;
    if (limit_ != 1) hold_length_ = shortest_hold;
    rejected_ = 0;
    try_step();  // on in the same direction
    return;
  }
  if (from_one && rate >= base_rate_ * (1 - most_loss)) {  // one worker: the second request hides the way to it
    base_rate_ = rate;
    rest();
    return;
  }
  move_to(base_limit_);
  turn();
}

// The last direction was wrong or at its end: the other one, or, when that was wrong too, a rest.
void LimitController::turn() {
  climbing_ = false;
  up_ = !up_;
  if (++rejected_ < 2) {
    try_step();
  } else {
    rest();
  }
}

void LimitController::rest() {
  climbing_ = false;
  rejected_ = 0;
  hold_ = hold_length_;
  hold_length_ = std::min(longest_hold, 2 * hold_length_);
}

void LimitController::try_step() {
  auto const next =
      up_ ? std::min(options_.most, limit_ + std::max<std::uint64_t>(1, limit_ / 2))
          : std::max(options_.least, limit_ - std::min(limit_, std::max<std::uint64_t>(1, limit_ / 3)));
  if (next == limit_) {
    turn();
    return;
  }
  base_limit_ = limit_;
  trying_ = true;
  renewals_left_ = renewals_of_next_;
  move_to(next);
}

AdaptiveLimiter::Class::Class(async::Executor executor, const LimitOptions& options)
    : controller(options), slots(std::move(executor), controller.limit()) {}

AdaptiveLimiter::AdaptiveLimiter(async::Executor executor, LimitOptions options)
    : options_(options),
      classes_{Class(executor, for_class(options, http::RequestClass::search)),
               Class(executor, for_class(options, http::RequestClass::read)),
               Class(executor, for_class(options, http::RequestClass::write)),
               Class(executor, for_class(options, http::RequestClass::artifact))} {}

async::Task<async::Permit> AdaptiveLimiter::enter(http::RequestClass request_class, http::Repeat repeat) {
  auto& one = of(request_class);
  auto permit = co_await one.slots.acquire(1, repeat == http::Repeat::unclear);
  while (true) {
    auto const now = std::chrono::steady_clock::now();
    auto start = std::max(one.open_from, now);
    if (options_.requests_per_second > 0) start = std::max(start, next_start_);
    if (start <= now) break;
    co_await async::sleep_for(start - now);
  }
  if (options_.requests_per_second > 0) {
    auto const gap = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(1 / options_.requests_per_second));
    next_start_ = std::max(next_start_, std::chrono::steady_clock::now()) + gap;
  }
  co_return permit;
}

http::Connections AdaptiveLimiter::observe(const http::Observation& observation) {
  auto& one = of(observation.request_class);
  auto const now = std::chrono::steady_clock::now().time_since_epoch();
  auto const renewals = one.controller.renewals();
  auto const limit =
      one.controller.observe(observation.throttled, observation.latency, one.slots.used(), now);
  if (limit != one.slots.capacity()) one.slots.set_capacity(limit);
  return one.controller.renewals() != renewals ? http::Connections::renew : http::Connections::keep;
}

void AdaptiveLimiter::hold_back(http::RequestClass request_class, std::chrono::nanoseconds duration) {
  auto& one = of(request_class);
  auto const until = std::chrono::steady_clock::now() +
                     std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration);
  one.open_from = std::max(one.open_from, until);
}

std::uint64_t AdaptiveLimiter::limit(http::RequestClass request_class) const {
  return classes_[static_cast<std::size_t>(request_class)].slots.capacity();
}

std::uint64_t AdaptiveLimiter::in_flight() const {
  std::uint64_t n = 0;
  for (auto const& one : classes_) n += one.slots.used();
  return n;
}

}  // namespace mlferry::engine
