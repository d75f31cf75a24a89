#include "async/with_timeout.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "async/worker_pool.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::sleep_for;
using mlferry::async::Task;
using mlferry::async::with_timeout;
using mlferry::async::WorkerPool;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;

namespace {

struct Flag {
  bool& set;
  ~Flag() { set = true; }
};

Task<int> answer_after(std::chrono::microseconds wait, int answer) {
  co_await sleep_for(wait);
  co_return answer;
}

Task<int> fail_after(std::chrono::microseconds wait) {
  if (wait > 0us) co_await sleep_for(wait);
  throw std::runtime_error("it broke");
}

Task<int> answer_and_tell_end(std::chrono::microseconds wait, bool& ended) {
  Flag flag{ended};
  co_await sleep_for(wait);
  co_return 1;
}

Task<std::unique_ptr<int>> move_only() {
  co_return std::make_unique<int>(3);
}

}  // namespace

TEST_SUITE("async") {
  TEST_CASE("with_timeout: a result in time") {
    boost::asio::io_context context;
    auto begin = std::chrono::steady_clock::now();
    CHECK(run(context, with_timeout(answer_after(1ms, 42), 60s)) == 42);
    auto pointer = run(context, with_timeout(move_only(), 60s));
    REQUIRE(pointer);
    CHECK(**pointer == 3);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }

  TEST_CASE("with_timeout: time-out: nothing, and the operation has ended") {
    boost::asio::io_context context;
    bool ended = false;
    auto body = [&]() -> Task<> {
      auto result = co_await with_timeout(answer_and_tell_end(60s, ended), 2ms);
      CHECK_FALSE(result);
      CHECK(ended);
    };
    run(context, body());
  }

  TEST_CASE("with_timeout: an error is thrown at once, not after the limit") {
    boost::asio::io_context context;
    auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH_AS(run(context, with_timeout(fail_after(0us), 60s)), "it broke", std::runtime_error);
    CHECK_THROWS_WITH_AS(run(context, with_timeout(fail_after(1ms), 60s)), "it broke", std::runtime_error);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }

  TEST_CASE("with_timeout: without a result it says whether it was in time") {
    boost::asio::io_context context;
    CHECK(run(context, with_timeout(sleep_for(1ms), 60s)));
    CHECK_FALSE(run(context, with_timeout(sleep_for(60s), 2ms)));
    auto fail = []() -> Task<> {
      co_await sleep_for(1ms);
      throw std::runtime_error("void broke");
    };
    CHECK_THROWS_WITH_AS(run(context, with_timeout(fail(), 60s)), "void broke", std::runtime_error);
  }

  TEST_CASE("with_timeout: the caller can go on after a time-out") {
    boost::asio::io_context context;
    int rounds = 0;
    auto body = [&]() -> Task<> {
      for (int i = 0; i < 20; ++i) {
        auto result = co_await with_timeout(answer_after(60s, 1), 1ms);
        if (!result) ++rounds;
      }
      co_await sleep_for(1ms);
      ++rounds;
    };
    run(context, body());
    CHECK(rounds == 21);
  }

  TEST_CASE("with_timeout: a cancelled caller is told so, also when the operation takes longer to end") {
    for (int kind = 0; kind < 2; ++kind) {
      CAPTURE(kind);
      boost::asio::io_context context;
      WorkerPool pool(1);
      bool taken_for_timeout = false;
      auto slow = [] { std::this_thread::sleep_for(5ms); };
      auto slow_with_result = [] {
        std::this_thread::sleep_for(5ms);
        return 1;
      };
      auto body = [&]() -> Task<> {
        if (kind == 0) {
          auto result = co_await with_timeout(pool.run(slow_with_result), 60s);
          taken_for_timeout = !result;
        } else {
          auto in_time = co_await with_timeout(pool.run(slow), 60s);
          taken_for_timeout = !in_time;
        }
      };
      CHECK(run_cancelled_after(context, mlferry::test::until_quiet, body()) == Ending::cancelled);
      CHECK_FALSE(taken_for_timeout);
    }
  }

  TEST_CASE("with_timeout: a cancelled caller is told so, never that the time is over") {
    for (int kind = 0; kind < 2; ++kind) {
      bool ended = false;
      int cancelled = 0;
      for (std::size_t steps = 0; steps < 100 && !ended; ++steps) {
        CAPTURE(steps);
        CAPTURE(kind);
        boost::asio::io_context context;
        bool taken_for_timeout = false;
        auto with_result = [&]() -> Task<> {
          auto result = co_await with_timeout(answer_after(300us, 1), 60s);
          taken_for_timeout = !result;
        };
        auto without_result = [&]() -> Task<> {
          auto in_time = co_await with_timeout(sleep_for(300us), 60s);
          taken_for_timeout = !in_time;
        };
        auto ending = run_cancelled_after(context, steps, kind == 0 ? with_result() : without_result());
        CHECK_FALSE(taken_for_timeout);
        if (ending == Ending::cancelled) ++cancelled;
        ended = ending == Ending::by_itself;
      }
      CHECK(ended);
      CHECK(cancelled >= 2);
    }
  }
}
