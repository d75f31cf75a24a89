#include "engine/limits.hpp"

#include <algorithm>

#include "async/sleep.hpp"

namespace mlferry::engine {

namespace {

constexpr double latency_tolerance = 2.5;
constexpr double shrink_factor = 0.7;

}  // namespace

LimitController::LimitController(LimitOptions options)
    : options_(options), limit_(options.fixed != 0 ? options.fixed : options.start) {}

std::uint64_t LimitController::observe(bool throttled, std::chrono::nanoseconds latency,
                                       std::uint64_t in_flight, std::chrono::nanoseconds now) {
  if (options_.fixed != 0) return limit_;
  double const seconds = std::chrono::duration<double>(latency).count();
  if (throttled) {
    auto const patience = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(std::max(recent_latency_, 0.05)));
    if (last_cut_.count() < 0 || now - last_cut_ >= patience) {
      limit_ =
          std::max(options_.least, static_cast<std::uint64_t>(static_cast<double>(limit_) * shrink_factor));
      last_cut_ = now;
      answers_ = 0;
    }
    return limit_;
  }
  least_latency_ = least_latency_ == 0 ? seconds : std::min(least_latency_ * 1.002, seconds);
  recent_latency_ = recent_latency_ == 0 ? seconds : 0.9 * recent_latency_ + 0.1 * seconds;
  if (++answers_ < limit_) return limit_;
  answers_ = 0;
  bool const quick = recent_latency_ <= latency_tolerance * least_latency_;
  bool const used = in_flight + 1 >= limit_;
  if (quick && used) limit_ = std::min(options_.most, limit_ + 1);
  return limit_;
}

AdaptiveLimiter::Class::Class(async::Executor executor, const LimitOptions& options)
    : controller(options), slots(std::move(executor), controller.limit()) {}

AdaptiveLimiter::AdaptiveLimiter(async::Executor executor, LimitOptions options)
    : options_(options),
      classes_{Class(executor, options), Class(executor, options), Class(executor, options),
               Class(executor, options)} {}

async::Task<async::Permit> AdaptiveLimiter::enter(http::RequestClass request_class) {
  auto& one = of(request_class);
  auto permit = co_await one.slots.acquire();
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

void AdaptiveLimiter::observe(const http::Observation& observation) {
  auto& one = of(observation.request_class);
  auto const now = std::chrono::steady_clock::now().time_since_epoch();
  auto const limit =
      one.controller.observe(observation.throttled, observation.latency, one.slots.used(), now);
  if (limit != one.slots.capacity()) one.slots.set_capacity(limit);
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
