#include "async/semaphore.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "async/with_timeout.hpp"
#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::Permit;
using mlferry::async::Semaphore;
using mlferry::async::sleep_for;
using mlferry::async::Task;
using mlferry::async::TaskGroup;
using mlferry::async::with_timeout;
using mlferry::test::Ending;
using mlferry::test::run;
using mlferry::test::run_cancelled_after;

namespace {

Task<> note_when_acquired(Semaphore& semaphore, std::uint64_t amount, std::vector<int>& order, int name,
                          bool yields = false) {
  auto permit = co_await semaphore.acquire(amount, yields);
  order.push_back(name);
}

Task<> keep(Semaphore& semaphore, std::uint64_t amount, std::vector<Permit>& kept) {
  auto permit = co_await semaphore.acquire(amount);
  kept.push_back(std::move(permit));
}

Task<> hold_for(Semaphore& semaphore, std::uint64_t amount, std::chrono::microseconds duration) {
  auto permit = co_await semaphore.acquire(amount);
  co_await sleep_for(duration);
}

}  // namespace

TEST_SUITE("async") {
  TEST_CASE("semaphore: permits count, and come back by release, destruction and move assignment") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 3);
    {
      auto first = semaphore.try_acquire(2);
      REQUIRE(first);
      CHECK(semaphore.used() == 2);
      CHECK_FALSE(semaphore.try_acquire(2));
      auto second = semaphore.try_acquire();
      REQUIRE(second);
      CHECK_FALSE(semaphore.try_acquire());
      second->release();
      second->release();  // a second time: nothing
      CHECK(semaphore.used() == 2);
      Permit moved = std::move(*first);
      CHECK(first->amount() == 0);
      CHECK(moved.amount() == 2);
      moved = Permit();
      CHECK(semaphore.used() == 0);
      auto third = semaphore.try_acquire(3);
      REQUIRE(third);
    }
    CHECK(semaphore.used() == 0);
    CHECK(semaphore.peak() == 3);
  }

  TEST_CASE("semaphore: shrink_to gives back what is above and wakes who waits for it") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 100);
    std::vector<Permit> kept;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto big = co_await semaphore.acquire(100);
      group.spawn(keep(semaphore, 60, kept));
      co_await sleep_for(1ms);
      CHECK(kept.empty());
      big.shrink_to(200);  // growing is not what it does
      CHECK(semaphore.used() == 100);
      big.shrink_to(41);
      co_await sleep_for(1ms);
      CHECK(kept.empty());
      big.shrink_to(40);
      co_await group.join();
      CHECK(kept.size() == 1);
      CHECK(semaphore.used() == 100);
      kept.clear();
      big.shrink_to(0);
      CHECK(semaphore.used() == 0);
    };
    run(context, body());
  }

  TEST_CASE("semaphore: first come, first served, also when a later smaller wish would fit") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 10);
    std::vector<int> order;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto held = co_await semaphore.acquire(6);
      group.spawn(note_when_acquired(semaphore, 8, order, 1));
      group.spawn(note_when_acquired(semaphore, 1, order, 2));
      group.spawn(note_when_acquired(semaphore, 10, order, 3));
      group.spawn(note_when_acquired(semaphore, 1, order, 4));
      co_await sleep_for(1ms);
      CHECK(semaphore.waiting() == 4);
      CHECK(order.empty());
      CHECK_FALSE(semaphore.try_acquire(1));
      held.release();
      co_await group.join();
    };
    run(context, body());
    CHECK(order == std::vector<int>{1, 2, 3, 4});
    CHECK(semaphore.used() == 0);
    CHECK(semaphore.waiting() == 0);
  }

  TEST_CASE("semaphore: a wish that yields waits for those that came later, not for other yielding ones") {
    boost::asio::io_context context;
    auto body = [&]() -> Task<> {
      Semaphore semaphore(context.get_executor(), 1);
      std::vector<int> order;
      TaskGroup group(context.get_executor());
      auto held = co_await semaphore.acquire(1, true);  // nobody waits
      group.spawn(note_when_acquired(semaphore, 1, order, 3, true));
      group.spawn(note_when_acquired(semaphore, 1, order, 1));
      group.spawn(note_when_acquired(semaphore, 1, order, 4, true));
      group.spawn(note_when_acquired(semaphore, 1, order, 2));
      co_await sleep_for(1ms);
      held.release();
      group.spawn(note_when_acquired(semaphore, 1, order, 5, true));
      co_await group.join();
      CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
      CHECK(semaphore.used() == 0);
    };
    run(context, body());
  }

  TEST_CASE("semaphore: a big wish is not starved by a stream of small ones") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 4);
    bool big_done = false;
    int small_after = 0;
    auto small = [&]() -> Task<> {
      for (int i = 0; i < 200 && !big_done; ++i) {
        co_await hold_for(semaphore, 1, 50us);
        ++small_after;
      }
    };
    auto big = [&]() -> Task<> {
      auto permit = co_await semaphore.acquire(4);
      CHECK(semaphore.used() == 4);
      big_done = true;
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 8; ++i) group.spawn(small());
      co_await sleep_for(1ms);
      small_after = 0;
      group.spawn(big());
      co_await group.join();
    };
    run(context, body());
    CHECK(big_done);
    CHECK(small_after < 100);
    CHECK(semaphore.peak() == 4);
  }

  TEST_CASE("semaphore: what is free goes at once to who asks while a granted one is still waking up") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 2);
    std::vector<Permit> kept;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto both = co_await semaphore.acquire(2);
      group.spawn(keep(semaphore, 1, kept));
      co_await sleep_for(1ms);
      both.release();                    // the waiter is granted and will run later
      auto mine = semaphore.acquire(1);  // the second unit is free
      auto got = co_await with_timeout(std::move(mine), 2s);
      CHECK(got.has_value());
      co_await group.join();
      CHECK(kept.size() == 1);
      CHECK(semaphore.used() == 2);
    };
    run(context, body());
  }

  TEST_CASE("semaphore: 200 waiters, a third of them cancelled: no permit is lost") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 3);
    int acquired = 0;
    int ended = 0;
    std::vector<std::unique_ptr<boost::asio::cancellation_signal>> signals;
    auto worker = [&]() -> Task<> {
      auto permit = co_await semaphore.acquire();
      ++acquired;
      co_await sleep_for(20us);
    };
    for (int i = 0; i < 200; ++i) {
      signals.push_back(std::make_unique<boost::asio::cancellation_signal>());
      boost::asio::co_spawn(
          context, worker(),
          boost::asio::bind_cancellation_slot(signals.back()->slot(), [&](std::exception_ptr) { ++ended; }));
    }
    auto canceller = [&]() -> Task<> {
      for (std::size_t i = 0; i < signals.size(); i += 3) {
        signals[i]->emit(boost::asio::cancellation_type::terminal);
        if (i % 10 == 0) co_await sleep_for(50us);
      }
    };
    run(context, canceller());
    context.restart();
    context.run();
    CHECK(ended == 200);
    CHECK(acquired >= 133);
    CHECK(semaphore.used() == 0);
    CHECK(semaphore.waiting() == 0);
    CHECK(semaphore.peak() == 3);
    CHECK(semaphore.try_acquire(3));
  }

  TEST_CASE("semaphore: 50 timed-out acquires lose no permit") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 1);
    int timed_out = 0;
    auto impatient = [&]() -> Task<> {
      auto got = co_await with_timeout(semaphore.acquire(), 1ms);
      if (!got) ++timed_out;
    };
    auto body = [&]() -> Task<> {
      auto held = co_await semaphore.acquire();
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 50; ++i) group.spawn(impatient());
      co_await group.join();
      CHECK(timed_out == 50);
      CHECK(semaphore.waiting() == 0);
      CHECK(semaphore.used() == 1);
      held.release();
      CHECK(semaphore.used() == 0);
      auto again = co_await semaphore.acquire();
    };
    run(context, body());
  }

  TEST_CASE("semaphore: a grant and a cancellation at the same moment: the permit goes on") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 1);
    std::vector<int> order;
    boost::asio::cancellation_signal signal;
    bool aborted = false;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto held = co_await semaphore.acquire();
      boost::asio::co_spawn(
          context, note_when_acquired(semaphore, 1, order, 1),
          boost::asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failure) {
            aborted = mlferry::test::is_cancellation(failure);
          }));
      co_await sleep_for(1ms);
      group.spawn(note_when_acquired(semaphore, 1, order, 2));
      co_await sleep_for(1ms);
      held.release();
      signal.emit(boost::asio::cancellation_type::terminal);
      co_await group.join();
    };
    run(context, body());
    CHECK(aborted);
    CHECK(order == std::vector<int>{2});
    CHECK(semaphore.used() == 0);
  }

  TEST_CASE("semaphore: a big waiter that gives up lets the small ones behind it go") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 10);
    std::vector<int> order;
    auto giving_up = [&]() -> Task<> {
      auto got = co_await with_timeout(semaphore.acquire(10), 5ms);
      CHECK_FALSE(got);
    };
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto held = co_await semaphore.acquire(5);
      group.spawn(giving_up());
      co_await sleep_for(1ms);
      group.spawn(note_when_acquired(semaphore, 2, order, 1));
      co_await group
          .join();  // `held` is not given back: only the big waiter's leaving can wake the small one
      CHECK(order == std::vector<int>{1});
      CHECK(semaphore.used() == 5);
    };
    run(context, body());
    CHECK(semaphore.used() == 0);
  }

  TEST_CASE("semaphore: a wish above the capacity gets all of it, alone") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 10);
    auto body = [&]() -> Task<> {
      auto all = co_await semaphore.acquire(1'000'000);
      CHECK(all.amount() == 10);
      CHECK(semaphore.used() == 10);
      CHECK_FALSE(semaphore.try_acquire(1'000'000));
      all.release();
      auto again = semaphore.try_acquire(std::numeric_limits<std::uint64_t>::max());
      REQUIRE(again);
      CHECK(again->amount() == 10);
    };
    run(context, body());
    CHECK(semaphore.used() == 0);
  }

  TEST_CASE("semaphore: no arithmetic overflow at the largest capacity") {
    boost::asio::io_context context;
    auto const most = std::numeric_limits<std::uint64_t>::max();
    Semaphore semaphore(context.get_executor(), most);
    auto some = semaphore.try_acquire(5);
    REQUIRE(some);
    CHECK_FALSE(semaphore.try_acquire(most));
    some->release();
    CHECK(semaphore.try_acquire(most));
  }

  TEST_CASE("semaphore: growing wakes waiters, shrinking lets the holders finish") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 1);
    std::vector<Permit> kept;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      for (int i = 0; i < 5; ++i) group.spawn(keep(semaphore, 1, kept));
      co_await sleep_for(1ms);
      CHECK(kept.size() == 1);
      semaphore.set_capacity(3);
      co_await sleep_for(1ms);
      CHECK(kept.size() == 3);
      semaphore.set_capacity(1);
      CHECK(semaphore.used() == 3);
      kept.pop_back();
      kept.pop_back();
      co_await sleep_for(1ms);
      CHECK(kept.size() == 1);  // used == capacity: nobody new
      kept.pop_back();
      co_await sleep_for(1ms);
      CHECK(kept.size() == 1);
      kept.clear();
      co_await group.join();
    };
    run(context, body());
    kept.clear();
    CHECK(semaphore.used() == 0);
    CHECK(semaphore.peak() == 3);
  }

  TEST_CASE("semaphore: a waiter gets its whole wish although the capacity was smaller in between") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 100);
    std::vector<Permit> kept;
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      auto held = co_await semaphore.acquire(100);
      group.spawn(keep(semaphore, 50, kept));
      co_await sleep_for(1ms);
      semaphore.set_capacity(10);
      semaphore.set_capacity(100);
      held.release();
      co_await group.join();
      REQUIRE(kept.size() == 1);
      CHECK(kept[0].amount() == 50);
      held = co_await semaphore.acquire(50);
      group.spawn(keep(semaphore, 40, kept));
      co_await sleep_for(1ms);
      semaphore.set_capacity(10);  // stays: the wish is cut so that it can be met at all
      held.release();
      kept.clear();
      co_await group.join();
      REQUIRE(kept.size() == 1);
      CHECK(kept[0].amount() == 10);
    };
    run(context, body());
  }

  TEST_CASE("semaphore: with no capacity everybody waits until there is some") {
    boost::asio::io_context context;
    Semaphore semaphore(context.get_executor(), 0);
    std::vector<Permit> kept;
    CHECK_FALSE(semaphore.try_acquire());
    auto body = [&]() -> Task<> {
      TaskGroup group(context.get_executor());
      group.spawn(keep(semaphore, 1, kept));
      group.spawn(keep(semaphore, 5, kept));
      co_await sleep_for(1ms);
      CHECK(kept.empty());
      semaphore.set_capacity(6);
      co_await group.join();
      REQUIRE(kept.size() == 2);
      CHECK(kept[0].amount() + kept[1].amount() == 6);
    };
    run(context, body());
  }

  TEST_CASE("semaphore: cancelled at every step, nothing is held") {
    bool ended = false;
    int cancelled = 0;
    for (std::size_t steps = 0; steps < 100 && !ended; ++steps) {
      CAPTURE(steps);
      boost::asio::io_context context;
      Semaphore semaphore(context.get_executor(), 2);
      auto blocker = hold_for(semaphore, 2, 500us);
      boost::asio::co_spawn(context, std::move(blocker), [](std::exception_ptr) {});
      auto ending = run_cancelled_after(context, steps, hold_for(semaphore, 2, 200us));
      context.restart();
      context.run();
      CHECK(semaphore.used() == 0);
      CHECK(semaphore.waiting() == 0);
      if (ending == Ending::cancelled) ++cancelled;
      ended = ending == Ending::by_itself;
    }
    CHECK(ended);
    CHECK(cancelled >= 3);
  }
}
