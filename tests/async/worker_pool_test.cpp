#include "async/worker_pool.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::sleep_for;
using mlferry::async::Task;
using mlferry::async::TaskGroup;
using mlferry::async::WorkerPool;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;

TEST_SUITE("async") {
  TEST_CASE("worker pool: work runs on another thread, its result comes back to the caller's") {
    boost::asio::io_context context;
    WorkerPool pool(2);
    auto const home = std::this_thread::get_id();
    auto body = [&]() -> Task<> {
      std::thread::id there;
      auto work = [&there] {
        there = std::this_thread::get_id();
        return std::make_unique<int>(9);
      };
      auto result = co_await pool.run(work);
      CHECK(*result == 9);
      CHECK(there != home);
      CHECK(std::this_thread::get_id() == home);
      bool ran = false;
      auto no_result = [&ran] { ran = true; };
      co_await pool.run(no_result);
      CHECK(ran);
      CHECK(std::this_thread::get_id() == home);
    };
    run(context, body());
  }

  TEST_CASE("worker pool: exceptions come back, on the caller's thread") {
    boost::asio::io_context context;
    WorkerPool pool(1);
    auto const home = std::this_thread::get_id();
    auto body = [&]() -> Task<> {
      auto broken = []() -> int { throw std::runtime_error("disk full"); };
      std::string text;
      try {
        co_await pool.run(broken);
      } catch (const std::runtime_error& error) {
        text = error.what();
      }
      CHECK(text == "disk full");
      CHECK(std::this_thread::get_id() == home);
      auto broken_void = [] { throw std::logic_error("bad"); };
      bool caught = false;
      try {
        co_await pool.run(broken_void);
      } catch (const std::logic_error&) {
        caught = true;
      }
      CHECK(caught);
    };
    run(context, body());
  }

  TEST_CASE("worker pool: a caller cancelled while the work runs waits for its end") {
    boost::asio::io_context context;
    WorkerPool pool(1);
    std::atomic<bool> begun = false;
    std::atomic<bool> finished = false;
    bool finished_when_back = false;
    auto slow = [&] {
      begun = true;
      std::this_thread::sleep_for(30ms);
      finished = true;
    };
    auto caller = [&]() -> Task<> {
      try {
        co_await pool.run(slow);
      } catch (...) {
        finished_when_back = finished;
        throw;
      }
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(caller());
      while (!begun) co_await sleep_for(1ms);
      group.cancel();
      CHECK(group.live() == 1);
      co_await group.join();
    };
    CHECK_THROWS_AS(run(context, body()), boost::system::system_error);
    CHECK(finished_when_back);
  }

  TEST_CASE("worker pool: a caller that was cancelled before does not run the work") {
    boost::asio::io_context context;
    WorkerPool pool(1);
    std::atomic<int> ran = 0;
    auto work = [&] { ++ran; };
    auto caller = [&]() -> Task<> {
      try {
        co_await sleep_for(60s);
      } catch (const boost::system::system_error&) {
      }
      co_await pool.run(work);
    };
    CHECK(run_cancelled_after(context, mlferry::test::until_quiet, caller()) == Ending::cancelled);
    CHECK(ran == 0);
  }

  TEST_CASE("worker pool: cancelled at every step, the work has ended or not begun") {
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 50 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      WorkerPool pool(1);
      std::atomic<int> begun = 0;
      std::atomic<int> done = 0;
      auto work = [&] {
        ++begun;
        std::this_thread::sleep_for(1ms);
        ++done;
      };
      auto body = [&]() -> Task<> {
        co_await pool.run(work);
        co_await pool.run(work);
      };
      auto ending = run_cancelled_after(context, steps, body());
      CHECK(begun == done);
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 2);
  }

  TEST_CASE("worker pool: many at once, every result at its caller") {
    boost::asio::io_context context;
    WorkerPool pool(2);
    std::vector<int> results(500);
    auto square = [&](int i) -> Task<> {
      auto work = [i] { return i * i; };
      results[static_cast<std::size_t>(i)] = co_await pool.run(work);
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 500; ++i) group.spawn(square(i));
      co_await group.join();
    };
    run(context, body());
    for (int i = 0; i < 500; ++i) CHECK(results[static_cast<std::size_t>(i)] == i * i);
  }

  TEST_CASE("worker pool: the event loop goes on while work runs") {
    boost::asio::io_context context;
    WorkerPool pool(1);
    std::atomic<bool> released = false;
    auto work = [&] {
      auto const limit = std::chrono::steady_clock::now() + 10s;
      while (!released && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(1ms);
      return released.load();
    };
    auto releaser = [&]() -> Task<> {
      co_await sleep_for(2ms);
      released = true;
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(releaser());
      auto seen = co_await pool.run(work);
      CHECK(seen);
      co_await group.join();
    };
    run(context, body());
  }
}
