#pragma once
// How many requests a server gets at once: one limit for each class of requests, fixed by --jobs N or learned
// (--jobs auto) from latency and refusals.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>

#include <boost/asio/steady_timer.hpp>

#include "async/semaphore.hpp"
#include "protocol/http/admission.hpp"

namespace mlferry::engine {

struct LimitOptions {
  std::uint64_t fixed = 0;  // --jobs N; 0: adapt
  std::uint64_t start = 6;
  std::uint64_t least = 2;
  std::uint64_t most = 32;
  double requests_per_second = 0;  // --tpslimit; 0: none
};

// The decision, free of clocks and waiting. One for each request class.
class LimitController {
 public:
  explicit LimitController(LimitOptions options);
  // Feeds one answer; `in_flight` counts the class's requests now, `now` runs on any steady clock. Returns
  // the limit from here on. Grows by one per `limit` answers while latency stays under 2.5 times the least
  // seen and the limit is used; on a refusal it shrinks to 70 %, at most once per latency.
  std::uint64_t observe(bool throttled, std::chrono::nanoseconds latency, std::uint64_t in_flight,
                        std::chrono::nanoseconds now);
  std::uint64_t limit() const { return limit_; }

 private:
  LimitOptions options_;
  std::uint64_t limit_;
  std::uint64_t answers_ = 0;
  double least_latency_ = 0;  // seconds; drifts up slowly, so that it follows a server that got slower
  double recent_latency_ = 0;
  std::chrono::nanoseconds last_cut_{-1};
};

class AdaptiveLimiter final : public http::Admission {
 public:
  AdaptiveLimiter(async::Executor executor, LimitOptions options);

  async::Task<async::Permit> enter(http::RequestClass request_class) override;
  void observe(const http::Observation& observation) override;
  void hold_back(http::RequestClass request_class, std::chrono::nanoseconds duration) override;

  std::uint64_t limit(http::RequestClass request_class) const;
  std::uint64_t in_flight() const;

 private:
  struct Class {
    Class(async::Executor executor, const LimitOptions& options);
    LimitController controller;
    async::Semaphore slots;
    std::chrono::steady_clock::time_point open_from{};
  };
  Class& of(http::RequestClass request_class) { return classes_[static_cast<std::size_t>(request_class)]; }

  LimitOptions options_;
  std::array<Class, http::request_classes> classes_;
  std::chrono::steady_clock::time_point next_start_{};
};

}  // namespace mlferry::engine
