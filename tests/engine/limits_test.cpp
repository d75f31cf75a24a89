#include "engine/limits.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include <boost/asio/io_context.hpp>

#include "async/task_group.hpp"
#include "support/run.hpp"

using mlferry::engine::AdaptiveLimiter;
using mlferry::engine::LimitController;
using mlferry::engine::LimitOptions;
using namespace std::chrono_literals;
namespace async = mlferry::async;
namespace http = mlferry::http;

namespace {

// Answers on a clock of its own.
struct Feed {
  explicit Feed(LimitOptions options) : controller(options) {}
  void answers(int n, std::chrono::nanoseconds latency, std::uint64_t in_flight = 1000) {
    for (int i = 0; i < n; ++i) {
      now += latency;
      controller.observe(false, latency, in_flight, now);
    }
  }
  std::uint64_t refusal(std::chrono::nanoseconds latency = 10ms) {
    now += latency;
    return controller.observe(true, latency, 10, now);
  }
  // Answers of a server that gets as many requests as the limit allows and takes `slowness(n)` times 10 ms
  // with `n` in flight, times a size of 1 to `spread`.
  template <class Slowness>
  void serve(int n, Slowness slowness) {
    for (int i = 0; i < n; ++i) {
      auto const limit = controller.limit();
      auto const size = std::uniform_real_distribution<double>(1, spread)(random);
      auto const seconds = 0.01 * size * slowness(static_cast<double>(limit));
      auto const latency = std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
      now += latency / limit;
      controller.observe(false, latency, limit, now);
    }
  }
  template <class Slowness>
  double mean_limit(int n, Slowness slowness) {
    double sum = 0;
    for (int i = 0; i < n; ++i) {
      serve(1, slowness);
      sum += static_cast<double>(controller.limit());
    }
    return sum / n;
  }
  LimitController controller;
  std::chrono::nanoseconds now{1s};
  double spread = 1.0001;
  std::mt19937 random{7};
};

async::Task<> hold(AdaptiveLimiter& limiter, int& inside, int& most, int& done) {
  auto const permit = co_await limiter.enter(http::RequestClass::read);
  most = std::max(most, ++inside);
  co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
  --inside;
  ++done;
}

async::Task<> enter_once(AdaptiveLimiter& limiter, http::RequestClass request_class) {
  auto const permit = co_await limiter.enter(request_class);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("limits: a fixed number stays, whatever comes") {
    Feed feed({.fixed = 7});
    CHECK(feed.controller.limit() == 7);
    feed.answers(1000, 1ms);
    CHECK(feed.refusal() == 7);
    CHECK(feed.controller.limit() == 7);
  }

  TEST_CASE("limits: on a server that scales it grows to the most, in few answers") {
    Feed feed({.start = 4, .most = 32});
    auto const any_number = [](double) { return 1.0; };
    feed.serve(450, any_number);
    CHECK(feed.mean_limit(2000, any_number) > 26);  // now and then it tries fewer
  }

  TEST_CASE("limits: on a server with so many workers it stays near their number, or where it began") {
    for (std::uint64_t const workers : {2, 4, 8, 16}) {
      CAPTURE(workers);
      Feed feed({.start = 4, .most = 32});
      auto const served = [&](double n) { return std::max(1.0, n / static_cast<double>(workers)); };
      feed.serve(2000, served);
      CHECK(feed.mean_limit(4000, served) >= 0.8 * static_cast<double>(workers));
      CHECK(feed.mean_limit(4000, served) <= std::max(4.3, 1.6 * static_cast<double>(workers)));
    }
  }

  TEST_CASE("limits: where more in flight makes a server slower it shrinks, from any start") {
    auto const one_lock = [](double n) { return n * (0.5 + 0.25 * std::log2(n)); };
    for (std::uint64_t const start : {1, 4, 16, 32}) {
      CAPTURE(start);
      Feed feed({.start = start, .most = 32});
      feed.serve(2500, one_lock);
      CHECK(feed.mean_limit(2000, one_lock) < 3);
    }
  }

  TEST_CASE("limits: where fewer only get as much done it does not sink below where it began") {
    for (double const spread : {1.0, 4.0}) {
      CAPTURE(spread);
      Feed feed({.start = 8, .most = 32});
      feed.spread = spread;
      auto const two_workers = [](double n) { return std::max(1.0, n / 2); };
      feed.serve(2000, two_workers);
      CHECK(feed.mean_limit(10000, two_workers) > 7);
      CHECK(feed.mean_limit(10000, two_workers) < 12);
    }
  }

  TEST_CASE("limits: requests of very different sizes do not make it collapse, or run away") {
    Feed feed({.start = 4, .most = 32});
    feed.spread = 20;
    auto const eight = [](double n) { return std::max(1.0, n / 8); };
    feed.serve(2000, eight);
    CHECK(feed.mean_limit(20000, eight) > 5);
    CHECK(feed.mean_limit(20000, eight) < 16);
  }

  TEST_CASE("limits: a server that got more workers is noticed") {
    Feed feed({.start = 4, .most = 32});
    auto const two = [](double n) { return std::max(1.0, n / 2); };
    feed.serve(3000, two);
    CHECK(feed.mean_limit(1000, two) < 5);
    feed.serve(6000, [](double) { return 1.0; });
    CHECK(feed.controller.limit() >= 20);
  }

  TEST_CASE("limits: writes begin with one in flight, for a moment") {
    Feed near({.start = 1, .least = 1});
    near.answers(2 + 12, 10ms);
    CHECK(near.controller.limit() == 2);
    Feed far({.start = 1, .least = 1});
    far.answers(2 + 3, 100ms);
    CHECK(far.controller.limit() == 2);
  }

  TEST_CASE("limits: two in flight that share a worker get other connections, until they do not") {
    // Connections one after the other: whether the two are with different workers of two.
    for (std::uint64_t const draws : {0, 1, 3, 5}) {
      CAPTURE(draws);
      Feed feed({.start = 1, .least = 1});
      auto const server = [&](double n) {
        bool const apart = feed.controller.renewals() >= draws;
        return apart ? std::max(1.0, n / 2) : n;
      };
      feed.serve(400, server);
      CHECK(feed.controller.renewals() == draws);
      CHECK(feed.mean_limit(2000, server) > 1.8);
      CHECK(feed.mean_limit(2000, server) < 2.4);
    }
  }

  TEST_CASE("limits: a server with one worker is asked for other connections now and then only") {
    Feed feed({.start = 1, .least = 1});
    auto const one_worker = [](double n) { return n; };
    feed.serve(400, one_worker);
    CHECK(feed.controller.renewals() == 5);
    feed.serve(10'000, one_worker);
    CHECK(feed.controller.renewals() < 40);
    CHECK(feed.mean_limit(2000, one_worker) < 2.5);
  }

  TEST_CASE("limits: a pair that came to share a worker later is noticed") {
    Feed feed({.start = 1, .least = 1});
    feed.serve(1000, [](double n) { return std::max(1.0, n / 2); });
    auto const before = feed.controller.renewals();
    auto const server = [&](double n) { return feed.controller.renewals() > before ? std::max(1.0, n / 2) : n; };
    feed.serve(3000, server);
    CHECK(feed.controller.renewals() == before + 1);
    CHECK(feed.mean_limit(2000, server) > 1.8);
  }

  TEST_CASE("limits: a limit that is not used does not change") {
    Feed feed({.start = 4, .most = 32});
    feed.answers(992, 10ms, 2);  // whole windows
    CHECK(feed.controller.limit() == 4);
    feed.answers(32, 10ms, 3);  // this answer's own request was the fourth
    CHECK(feed.controller.limit() == 6);
  }

  TEST_CASE("limits: a refusal cuts to 70 %, once per burst, never below the least") {
    Feed feed({.start = 20, .least = 2});
    feed.answers(1, 100ms);
    CHECK(feed.refusal(1ms) == 14);
    CHECK(feed.refusal(1ms) == 14);  // of the same burst
    CHECK(feed.refusal(1ms) == 14);
    CHECK(feed.refusal(200ms) == 9);
    for (int i = 0; i < 20; ++i) feed.refusal(200ms);
    CHECK(feed.controller.limit() == 2);
    auto const any_number = [](double) { return 1.0; };
    feed.serve(1000, any_number);
    CHECK(feed.mean_limit(2000, any_number) > 26);  // and it recovers
  }

  TEST_CASE("limits: the limiter lets in as many as the limit, and each class has its own") {
    boost::asio::io_context context;
    AdaptiveLimiter limiter(context.get_executor(), {.fixed = 3});
    int inside = 0, most = 0, done = 0;
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (int i = 0; i < 20; ++i) tasks.spawn(hold(limiter, inside, most, done));
      auto const other = co_await limiter.enter(http::RequestClass::write);
      CHECK(limiter.in_flight() >= 1);
    };
    mlferry::test::run(context, async::with_task_group(context.get_executor(), body));
    CHECK(done == 20);
    CHECK(most == 3);
    CHECK(limiter.in_flight() == 0);
    CHECK(limiter.limit(http::RequestClass::read) == 3);
  }

  TEST_CASE("limits: creates let the requests of what was begun go first") {
    boost::asio::io_context context;
    AdaptiveLimiter limiter(context.get_executor(), {.fixed = 1});
    std::string order;
    auto const one = [&](http::Repeat repeat) -> async::Task<> {
      auto const permit = co_await limiter.enter(http::RequestClass::write, repeat);
      order += repeat == http::Repeat::unclear ? 'c' : 'w';
    };
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      auto held = co_await limiter.enter(http::RequestClass::write);
      for (auto const repeat : {http::Repeat::unclear, http::Repeat::safe, http::Repeat::unclear, http::Repeat::safe}) {
        tasks.spawn(one(repeat));
        co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
      }
      held.release();
    };
    mlferry::test::run(context, async::with_task_group(context.get_executor(), body));
    CHECK(order == "wwcc");
  }

  TEST_CASE("limits: only writes want other connections, and say so once") {
    boost::asio::io_context context;
    for (auto const request_class : {http::RequestClass::write, http::RequestClass::read}) {
      AdaptiveLimiter limiter(context.get_executor(), {.start_of_reads = 2});
      std::vector<async::Permit> held;
      auto const hold_two = [&]() -> async::Task<> {
        held.push_back(co_await limiter.enter(request_class));
        if (limiter.limit(request_class) > 1) held.push_back(co_await limiter.enter(request_class));
      };
      mlferry::test::run(context, hold_two());
      http::Observation answer;
      answer.request_class = request_class;
      answer.status = 200;
      int renewed = 0;
      for (int i = 0; i < 60; ++i) {  // 2 and 12 with one in flight, 2 and 32 with two
        answer.latency = 10ms * static_cast<int>(limiter.limit(request_class));
        renewed += limiter.observe(answer) == http::Connections::renew;
      }
      CHECK(renewed == (request_class == http::RequestClass::write ? 1 : 0));
    }
  }

  TEST_CASE("limits: refusals shrink the class that they hit") {
    boost::asio::io_context context;
    AdaptiveLimiter limiter(context.get_executor(), {.start_of_reads = 10});
    http::Observation refused;
    refused.request_class = http::RequestClass::search;
    refused.status = 429;
    refused.throttled = true;
    refused.latency = 1ms;
    limiter.observe(refused);
    CHECK(limiter.limit(http::RequestClass::search) == 7);
    CHECK(limiter.limit(http::RequestClass::read) == 10);
  }

  TEST_CASE("limits: a Retry-After holds back the whole class, and no other") {
    boost::asio::io_context context;
    AdaptiveLimiter limiter(context.get_executor(), {.fixed = 10});
    limiter.hold_back(http::RequestClass::read, 60ms);
    limiter.hold_back(http::RequestClass::read, 1ms);  // a shorter one does not shorten it
    auto const start = std::chrono::steady_clock::now();
    mlferry::test::run(context, enter_once(limiter, http::RequestClass::write));
    auto const other = std::chrono::steady_clock::now() - start;
    mlferry::test::run(context, enter_once(limiter, http::RequestClass::read));
    auto const held = std::chrono::steady_clock::now() - start;
    CHECK(other < 50ms);
    CHECK(held >= 59ms);
  }

  TEST_CASE("limits: --tpslimit spaces requests of all classes") {
    boost::asio::io_context context;
    AdaptiveLimiter limiter(context.get_executor(), {.fixed = 10, .requests_per_second = 200});
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i < 11; ++i) {
      mlferry::test::run(
          context, enter_once(limiter, i % 2 == 0 ? http::RequestClass::read : http::RequestClass::write));
    }
    CHECK(std::chrono::steady_clock::now() - start >= 49ms);
  }
}
