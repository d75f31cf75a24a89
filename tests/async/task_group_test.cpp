#include "async/task_group.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/sleep.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::sleep_for;
using mlferry::async::Task;
using mlferry::async::TaskGroup;
using mlferry::async::with_task_group;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;
using mlferry::test::until_quiet;

namespace {

struct Tally {
  int started = 0;
  int finished = 0;
  int cancelled = 0;
};

Task<> sleeper(Tally& tally, std::chrono::milliseconds duration) {
  ++tally.started;
  try {
    co_await sleep_for(duration);
    ++tally.finished;
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) ++tally.cancelled;
    throw;
  }
}

Task<> yielder(int& count) {
  auto executor = co_await boost::asio::this_coro::executor;
  co_await boost::asio::post(executor, boost::asio::use_awaitable);
  ++count;
}

Task<> thrower(std::chrono::milliseconds after, std::string text) {
  if (after > 0ms) co_await sleep_for(after);
  throw std::runtime_error(text);
}

}  // namespace

TEST_SUITE("async") {
  TEST_CASE("task group: join waits for every task") {
    boost::asio::io_context context;
    Tally tally;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 20; ++i) group.spawn(sleeper(tally, std::chrono::milliseconds(i % 3)));
      CHECK(group.live() == 20);
      co_await group.join();
      CHECK(group.live() == 0);
      CHECK_FALSE(group.failed());
    };
    run(context, body());
    CHECK(tally.finished == 20);
  }

  TEST_CASE("task group: join of an empty group returns") {
    boost::asio::io_context context;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      co_await group.join();
    };
    run(context, body());
  }

  TEST_CASE("task group: a group can be filled again after join") {
    boost::asio::io_context context;
    int count = 0;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 10; ++i) group.spawn(yielder(count));
        co_await group.join();
        CHECK(count == 10 * (round + 1));
      }
    };
    run(context, body());
  }

  TEST_CASE("task group: the first failure cancels the siblings and is what join throws") {
    boost::asio::io_context context;
    Tally tally;
    std::string text;
    auto begin = std::chrono::steady_clock::now();
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 10; ++i) group.spawn(sleeper(tally, 60s));
      group.spawn(thrower(2ms, "first"));
      group.spawn(thrower(60s, "second"));
      try {
        co_await group.join();
      } catch (const std::runtime_error& error) {
        text = error.what();
      }
      CHECK(group.live() == 0);
    };
    run(context, body());
    CHECK(text == "first");
    CHECK(tally.started == 10);
    CHECK(tally.cancelled == 10);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }

  TEST_CASE("task group: a task that throws before its first wait") {
    boost::asio::io_context context;
    Tally tally;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(thrower(0ms, "at once"));
      group.spawn(sleeper(tally, 60s));
      co_await group.join();
    };
    CHECK_THROWS_WITH_AS(run(context, body()), "at once", std::runtime_error);
    CHECK(tally.finished == 0);
  }

  TEST_CASE("task group: what is spawned after cancel() ends at its first wait") {
    boost::asio::io_context context;
    Tally tally;
    bool aborted = false;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.cancel();
      group.spawn(sleeper(tally, 60s));
      group.spawn(sleeper(tally, 60s));
      try {
        co_await group.join();
      } catch (const boost::system::system_error& error) {
        aborted = error.code() == boost::asio::error::operation_aborted;
      }
    };
    run(context, body());
    CHECK(aborted);
    CHECK(tally.finished == 0);
    CHECK(tally.cancelled == tally.started);  // a task may also end before it begins
  }

  TEST_CASE("task group: a cancelled join cancels the tasks and waits for them") {
    boost::asio::io_context context;
    Tally tally;
    std::size_t live_after = 99;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 5; ++i) group.spawn(sleeper(tally, 60s));
      try {
        co_await group.join();
      } catch (...) {
        live_after = group.live();
        throw;
      }
    };
    CHECK(run_cancelled_after(context, until_quiet, body()) == Ending::cancelled);
    CHECK(tally.started == 5);
    CHECK(tally.cancelled == 5);
    CHECK(live_after == 0);
  }

  TEST_CASE("task group: a caller that catches a cancelled join is still cancelled afterwards") {
    boost::asio::io_context context;
    Tally tally;
    bool went_on = false;
    auto body = [&]() -> Task<> {
      {
        TaskGroup group(context.get_executor());
        group.spawn(sleeper(tally, 60s));
        try {
          co_await group.join();
        } catch (const boost::system::system_error&) {
        }
      }
      co_await sleep_for(1ms);
      went_on = true;
    };
    CHECK(run_cancelled_after(context, until_quiet, body()) == Ending::cancelled);
    CHECK_FALSE(went_on);
  }

  TEST_CASE("task group: 100,000 short tasks reuse their slots") {
    boost::asio::io_context context;
    int count = 0;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto executor = co_await boost::asio::this_coro::executor;
      for (int i = 0; i < 100'000; ++i) {
        group.spawn(yielder(count));
        while (group.live() >= 8) co_await boost::asio::post(executor, boost::asio::use_awaitable);
      }
      co_await group.join();
    };
    run(context, body());
    CHECK(count == 100'000);
  }

  TEST_CASE("task group: cancelling reaches tasks in reused slots") {
    boost::asio::io_context context;
    int count = 0;
    Tally tally;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 50; ++i) group.spawn(yielder(count));
      co_await group.join();
      for (int i = 0; i < 50; ++i) group.spawn(sleeper(tally, 60s));
      co_await sleep_for(1ms);
      group.cancel();
      try {
        co_await group.join();
      } catch (const boost::system::system_error&) {
      }
    };
    run(context, body());
    CHECK(count == 50);
    CHECK(tally.started == 50);
    CHECK(tally.cancelled == 50);
  }

  TEST_CASE("with_task_group: joins, and returns when body and tasks are done") {
    boost::asio::io_context context;
    Tally tally;
    auto body = [&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 5; ++i) group.spawn(sleeper(tally, 2ms));
      co_await sleep_for(1ms);
    };
    run(context, with_task_group(context.get_executor(), body));
    CHECK(tally.finished == 5);
  }

  TEST_CASE("with_task_group: an exception in the body cancels the tasks and comes out, theirs does not") {
    boost::asio::io_context context;
    Tally tally;
    auto body = [&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 5; ++i) group.spawn(sleeper(tally, 60s));
      co_await sleep_for(2ms);
      throw std::runtime_error("from the body");
    };
    CHECK_THROWS_WITH_AS(run(context, with_task_group(context.get_executor(), body)), "from the body",
                         std::runtime_error);
    CHECK(tally.started == 5);
    CHECK(tally.cancelled == 5);
  }

  TEST_CASE("with_task_group: a task's failure comes before the body's") {
    boost::asio::io_context context;
    auto body = [&](TaskGroup& group) -> Task<> {
      group.spawn(thrower(1ms, "from the task"));
      co_await sleep_for(10ms);
      throw std::runtime_error("from the body");
    };
    CHECK_THROWS_WITH_AS(run(context, with_task_group(context.get_executor(), body)), "from the task",
                         std::runtime_error);
  }

  TEST_CASE("with_task_group: cancelled at every step, no task is left behind") {
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 200 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      Tally tally;
      auto body = [&](TaskGroup& group) -> Task<> {
        for (int i = 0; i < 3; ++i) {
          group.spawn(sleeper(tally, 1ms));
          co_await sleep_for(100us);
        }
      };
      auto ending = run_cancelled_after(context, steps, with_task_group(context.get_executor(), body));
      CHECK(tally.started == tally.finished + tally.cancelled);
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 5);
  }

  TEST_CASE("with_task_group: a body that cancels its caller before its first wait is waited for") {
    boost::asio::io_context context;
    Tally tally;
    TaskGroup* outer = nullptr;
    auto inner = [&](TaskGroup& group) -> Task<> {
      group.spawn(sleeper(tally, 60s));
      outer->cancel();
      co_await sleeper(tally, 60s);
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      outer = &group;
      group.spawn(with_task_group(context.get_executor(), inner));
      co_await group.join();
    };
    CHECK_THROWS_AS(run(context, body()), boost::system::system_error);
    CHECK(tally.started == 2);
    CHECK(tally.cancelled == 2);
  }

  TEST_CASE("task group: groups in groups end together when the outermost is cancelled") {
    boost::asio::io_context context;
    Tally tally;
    auto leaf = [&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 4; ++i) group.spawn(sleeper(tally, 60s));
      co_await sleep_for(60s);
    };
    auto root = [&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 4; ++i) group.spawn(with_task_group(context.get_executor(), leaf));
      co_return;
    };
    CHECK(run_cancelled_after(context, until_quiet, with_task_group(context.get_executor(), root)) ==
          Ending::cancelled);
    CHECK(tally.started == 16);
    CHECK(tally.cancelled == 16);
  }
}
