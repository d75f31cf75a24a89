#include "async/queue.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "async/with_timeout.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::Queue;
using mlferry::async::sleep_for;
using mlferry::async::Task;
using mlferry::async::TaskGroup;
using mlferry::async::with_timeout;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;

namespace {

Task<> produce(Queue<int>& queue, int first, int count) {
  for (int i = 0; i < count; ++i) co_await queue.push(first + i);
}

Task<> consume(Queue<int>& queue, std::vector<int>& out) {
  while (auto value = co_await queue.pop()) out.push_back(*value);
}

}  // namespace

TEST_SUITE("async") {
  TEST_CASE("queue: values come out in order, through a queue smaller than their number") {
    boost::asio::io_context context;
    Queue<int> queue(context.get_executor(), 3);
    std::vector<int> out;
    auto producer = [&]() -> Task<> {
      co_await produce(queue, 0, 1000);
      queue.close();
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(producer());
      group.spawn(consume(queue, out));
      co_await group.join();
    };
    run(context, body());
    std::vector<int> expected(1000);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(out == expected);
  }

  TEST_CASE("queue: push waits for room") {
    boost::asio::io_context context;
    Queue<int> queue(context.get_executor(), 2);
    auto body = [&]() -> Task<> {
      co_await queue.push(1);
      co_await queue.push(2);
      auto in_time = co_await with_timeout(queue.push(3), 2ms);
      CHECK_FALSE(in_time);
      auto first = co_await queue.pop();
      CHECK(first == 1);
      in_time = co_await with_timeout(queue.push(4), 2s);
      CHECK(in_time);
      queue.close();
      auto second = co_await queue.pop();
      auto third = co_await queue.pop();
      auto none = co_await queue.pop();
      CHECK(second == 2);
      CHECK(third == 4);  // the cancelled push left nothing
      CHECK_FALSE(none);
    };
    run(context, body());
  }

  TEST_CASE("queue: several producers and consumers lose and double nothing") {
    boost::asio::io_context context;
    Queue<int> queue(context.get_executor(), 4);
    std::vector<int> a, b, c;
    auto producers = [&](TaskGroup& group) -> Task<> {
      for (int i = 0; i < 4; ++i) group.spawn(produce(queue, i * 1000, 500));
      co_return;
    };
    auto produce_all = [&]() -> Task<> {
      co_await mlferry::async::with_task_group(context.get_executor(), producers);
      queue.close();
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(consume(queue, a));
      group.spawn(consume(queue, b));
      group.spawn(consume(queue, c));
      group.spawn(produce_all());
      co_await group.join();
    };
    run(context, body());
    a.insert(a.end(), b.begin(), b.end());
    a.insert(a.end(), c.begin(), c.end());
    std::sort(a.begin(), a.end());
    std::vector<int> expected;
    for (int i = 0; i < 4; ++i) {
      for (int k = 0; k < 500; ++k) expected.push_back(i * 1000 + k);
    }
    CHECK(a == expected);
  }

  TEST_CASE("queue: close with a failure: the rest first, then the failure, every time") {
    boost::asio::io_context context;
    Queue<int> queue(context.get_executor(), 10);
    auto body = [&]() -> Task<> {
      co_await queue.push(7);
      queue.close(std::make_exception_ptr(std::runtime_error("the producer broke")));
      auto value = co_await queue.pop();
      CHECK(value == 7);
      for (int i = 0; i < 2; ++i) {
        std::string text;
        try {
          co_await queue.pop();
        } catch (const std::runtime_error& error) {
          text = error.what();
        }
        CHECK(text == "the producer broke");
      }
    };
    run(context, body());
  }

  TEST_CASE("queue: close wakes every waiting consumer") {
    boost::asio::io_context context;
    Queue<int> queue(context.get_executor(), 1);
    std::vector<int> out;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 5; ++i) group.spawn(consume(queue, out));
      co_await sleep_for(1ms);
      CHECK(group.live() == 5);
      queue.close();
      co_await group.join();
    };
    run(context, body());
    CHECK(out.empty());
  }

  TEST_CASE("queue: move-only values") {
    boost::asio::io_context context;
    Queue<std::unique_ptr<int>> queue(context.get_executor(), 1);
    auto body = [&]() -> Task<> {
      auto value = std::make_unique<int>(5);
      co_await queue.push(std::move(value));
      auto back = co_await queue.pop();
      REQUIRE(back);
      CHECK(**back == 5);
    };
    run(context, body());
  }

  TEST_CASE("queue: a pop cancelled at every step takes no value with it") {
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 100 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      Queue<int> queue(context.get_executor(), 1);
      int popped = 0;
      auto late_producer = [&]() -> Task<> {
        co_await sleep_for(200us);
        co_await queue.push(1);
      };
      auto consumer = [&]() -> Task<> {
        auto value = co_await queue.pop();
        if (value) ++popped;
      };
      boost::asio::co_spawn(context, late_producer(), [](std::exception_ptr) {});
      auto ending = run_cancelled_after(context, steps, consumer());
      context.restart();
      context.run();
      queue.close();
      auto rest = run(context, queue.pop());
      CHECK(popped + (rest ? 1 : 0) == 1);
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 2);
  }

  TEST_CASE("queue: a push cancelled at every step leaves its value in or out, never twice") {
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 100 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      Queue<int> queue(context.get_executor(), 1);
      run(context, queue.push(1));
      std::vector<int> out;
      bool pushed = false;
      auto late_consumer = [&]() -> Task<> {
        co_await sleep_for(200us);
        auto value = co_await queue.pop();
        out.push_back(*value);
      };
      auto producer = [&]() -> Task<> {
        co_await queue.push(2);
        pushed = true;
      };
      boost::asio::co_spawn(context, late_consumer(), [](std::exception_ptr) {});
      auto ending = run_cancelled_after(context, steps, producer());
      context.restart();
      context.run();
      queue.close();
      run(context, consume(queue, out));
      CHECK(out.size() == (pushed ? 2u : 1u));
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 2);
  }
}
