#pragma once
// How many requests a server gets at once: one limit for each class of requests, fixed by --jobs N or learned
// (--jobs auto) from what the server gets done and from refusals.

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
  // Of writes; reads do not wait for each other's locks, and for the bytes of files no database is asked.
  std::uint64_t start = 1, start_of_reads = 4, start_of_files = 8;
  std::uint64_t least = 1, least_of_reads_and_files = 2;
  std::uint64_t most = 32;
  double requests_per_second = 0;  // --tpslimit; 0: none
};

// The decision, free of clocks and waiting. One for each request class.
//
// It climbs the hill of throughput: a window of answers at one limit, then one at a limit half larger or a
// third smaller. A step up stays when it brought a third of what it could, a step down when it cost less than
// 5 %; else it is taken back. When neither way is better it rests for 4 windows, later for up to 16, and
// looks again: servers change. So it grows on servers that scale and shrinks where writers wait for one lock. A step
// below where it began stays only when it brought 8 %.
// Steps are large against the noise of requests of different sizes, and a wrong one is undone by a later
// window.
//
// Two in flight that get no more done than one share a worker of the server: it keeps the connections that it accepted,
// and a Python process runs one thread at a time. So a step from one to two that brings nothing is tried with other
// connections, up to five times, later once; then it stays, as the server has but one worker. Windows with one in
// flight are short.
class LimitController {
 public:
  explicit LimitController(LimitOptions options);
  // Feeds one answer; `in_flight` counts the class's requests now, `now` runs on any steady clock. Returns
  // the limit from here on. A window in which the limit was not used three times in four changes nothing. A
  // refusal shrinks to 70 %, at most once per latency.
  std::uint64_t observe(bool throttled, std::chrono::nanoseconds latency, std::uint64_t in_flight,
                        std::chrono::nanoseconds now);
  std::uint64_t limit() const { return limit_; }
  // How often it has wanted other connections.
  std::uint64_t renewals() const { return renewals_; }

 private:
  void refused(std::chrono::nanoseconds now);
  void measured(double rate);
  void try_step();
  void turn();
  void rest();
  void move_to(std::uint64_t limit);
  void restart_window(std::uint64_t settling);
  bool window_is_full() const;

  LimitOptions options_;
  std::uint64_t limit_;

  // The window.
  std::uint64_t settling_ = 0;  // answers to pass over first
  std::uint64_t answers_ = 0;
  std::uint64_t used_ = 0;  // answers that came while the limit was used
  double seconds_ = 0;      // of their latencies, together

  // The climb.
  double base_rate_ = 0;  // answers a second at base_limit_; 0: not measured
  std::uint64_t base_limit_ = 0;
  bool trying_ = false;   // limit_ is a step away from base_limit_
  bool up_ = true;        // the direction of this step, or the next
  bool climbing_ = true;  // no step has been taken back yet
  std::uint64_t rejected_ = 0;
  std::uint64_t renewals_ = 0;
  std::uint64_t renewals_left_ = 0;  // of this step
  std::uint64_t renewals_of_next_;
  std::uint64_t hold_ = 0;  // windows to rest
  std::uint64_t hold_length_;

  double recent_latency_ = 0;
  std::chrono::nanoseconds last_cut_{-1};
};

class AdaptiveLimiter final : public http::Admission {
 public:
  AdaptiveLimiter(async::Executor executor, LimitOptions options);

  async::Task<async::Permit> enter(http::RequestClass request_class,
                                   http::Repeat repeat = http::Repeat::safe) override;
  http::Connections observe(const http::Observation& observation) override;
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
