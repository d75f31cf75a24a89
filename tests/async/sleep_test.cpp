#include "async/sleep.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include <boost/asio/io_context.hpp>

#include "support/cancelled_run.hpp"
#include "support/run.hpp"

using namespace std::chrono_literals;
using mlferry::async::sleep_for;
using mlferry::test::Ending;

TEST_SUITE("async") {
  TEST_CASE("sleep: at least as long as asked, and not at all for nothing") {
    boost::asio::io_context context;
    auto const begin = std::chrono::steady_clock::now();
    mlferry::test::run(context, sleep_for(5ms));
    CHECK(std::chrono::steady_clock::now() - begin >= 5ms);
    mlferry::test::run(context, sleep_for(0ms));
    mlferry::test::run(context, sleep_for(-1h));
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }

  TEST_CASE("sleep: cancelled, it throws at once, also from the longest sleep there is") {
    for (auto duration : {std::chrono::nanoseconds(1h), std::chrono::nanoseconds::max()}) {
      boost::asio::io_context context;
      auto const begin = std::chrono::steady_clock::now();
      CHECK(mlferry::test::run_cancelled_after(context, mlferry::test::until_quiet, sleep_for(duration)) ==
            Ending::cancelled);
      CHECK(std::chrono::steady_clock::now() - begin < 10s);
    }
  }
}
