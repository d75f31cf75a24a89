// A job that is killed, or stopped, at its n-th request; then the same job again. The result is that of one clean run,
// with the ledger that the killed job left and without any. For every n with MLFERRY_LONG_TESTS in the environment
// (scripts/soak), for some of them otherwise.

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "support/archive_fixture.hpp"
#include "support/cancelled_run.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::Fault;
namespace fs = std::filesystem;

namespace {

// One n of so many is tried.
int stride() {
  return std::getenv("MLFERRY_LONG_TESTS") != nullptr ? 1 : 7;
}

void fill(FakeMlflow& server) {
  test::fill_workload(server);
  test::add_prompt_and_traces(server);
}

// Runs the task until the n-th request (from 1) of any of the servers arrives. `at_stop` is called in that
// very moment, then the task is cancelled. False when it ended before by itself. `carried_out`: whether the
// request is; its answer reaches nobody either way.
bool stop_at_request(boost::asio::io_context& loop, std::vector<FakeMlflow*> servers, int n, bool carried_out,
                     async::Task<> task, const std::function<void()>& at_stop) {
  boost::asio::cancellation_signal signal;
  std::exception_ptr failure;
  bool done = false, stopped = false;
  int requests = 0;
  for (auto* server : servers) {
    server->faults().set(Fault::reset_before, carried_out ? 0 : 1);
    server->faults().applies = [&](std::string_view, std::string_view) {
      if (done || ++requests != n) return stopped && !done;
      stopped = true;
      at_stop();
      boost::asio::post(loop, [&] {
        if (!done) signal.emit(boost::asio::cancellation_type::terminal);
      });
      return true;
    };
  }
  boost::asio::co_spawn(loop, std::move(task),
                        boost::asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error) {
                          failure = error;
                          done = true;
                        }));
  loop.restart();
  while (!done && loop.run_one() != 0) {
  }
  // What the servers had received already is carried out, as after a real kill.
  loop.poll();
  for (auto* server : servers) {
    server->faults().applies = {};
    server->faults().set(Fault::reset_before, 0);
  }
  REQUIRE(done);
  if (failure && !test::is_cancellation(failure)) std::rethrow_exception(failure);
  return stopped;
}

// The ledgers as a killed process leaves them: without what had not reached the disk yet.
void copy_state(const fs::path& from, const fs::path& to) {
  if (!fs::exists(from)) return;
  for (auto const& job : fs::directory_iterator(from)) {
    fs::create_directories(to / job.path().filename());
    for (auto const* file : {"ledger.sqlite", "ledger.sqlite-wal"}) {
      if (fs::exists(job.path() / file)) fs::copy_file(job.path() / file, to / job.path().filename() / file);
    }
  }
}

enum class LedgerIs { stopped, killed, lost };

// Every n from `first` in steps of `step` (times the stride), until the job gets through.
int crash_everywhere(int first, int step, bool carried_out, LedgerIs ledger) {
  step *= stride();
  boost::asio::io_context loop;
  FakeMlflow from(loop);
  fill(from);
  auto const original = test::snapshot(from);
  int rounds = 0;
  for (int n = first;; n += step) {
    CAPTURE(n);
    test::ScratchFolder scratch;
    FakeMlflow to(loop, test::destination());
    auto const state = scratch.path() / "state";
    auto const state_at_kill = scratch.path() / "at kill";
    bool stopped = false;
    {
      test::Ferry ferry(loop, {.jobs = 8, .transfers = 4});
      stopped = stop_at_request(loop, {&from, &to}, n, carried_out,
                                test::copy_servers(ferry, from, to, state.string()),
                                [&] { copy_state(state, state_at_kill); });
    }
    if (ledger != LedgerIs::stopped) fs::remove_all(state);
    if (ledger == LedgerIs::killed && fs::exists(state_at_kill)) fs::rename(state_at_kill, state);
    auto const report = test::copied(loop, from, to, state.string(), {.jobs = 8, .transfers = 4});
    REQUIRE(test::findings(report, Severity::failed) == "");
    REQUIRE(test::wrong_sums(report) == "");
    REQUIRE(test::difference(original, test::snapshot(to)) == "");
    ++rounds;
    if (!stopped) break;
    REQUIRE(n < 2000);
  }
  CHECK(test::difference(original, test::snapshot(from)) == "");
  CHECK(from.write_count() == 0);
  return rounds;
}

}  // namespace

TEST_SUITE("crash") {
  TEST_CASE("promise crash-safe: killed at any request, its answer lost, the ledger as it was on disk") {
    CHECK(crash_everywhere(1, 1, true, LedgerIs::killed) > 100 / stride());
  }

  TEST_CASE("promise crash-safe: killed at any request, its answer lost, the ledger lost as well") {
    CHECK(crash_everywhere(stride() == 1 ? 1 : 4, 1, true, LedgerIs::lost) > 100 / stride());
  }

  TEST_CASE("promise crash-safe: killed before the server has the request") {
    CHECK(crash_everywhere(1, 2, false, LedgerIs::killed) > 50 / stride());
    CHECK(crash_everywhere(2, 2, false, LedgerIs::lost) > 50 / stride());
  }

  TEST_CASE("promise crash-safe: stopped by the user at any request") {
    CHECK(crash_everywhere(1, 2, true, LedgerIs::stopped) > 50 / stride());
    CHECK(crash_everywhere(2, 2, false, LedgerIs::stopped) > 50 / stride());
  }

  TEST_CASE("promise crash-safe: killed again and again, it gets there") {
    boost::asio::io_context loop;
    for (auto const lost : {false, true}) {
      CAPTURE(lost);
      FakeMlflow from(loop), to(loop, test::destination());
      fill(from);
      test::ScratchFolder scratch;
      auto const state = scratch.path() / "state";
      int kills = 0;
      // Each job gets a little further than where the one before was killed, whatever it must repeat.
      for (int n = 7;; n += 7) {
        test::Ferry ferry(loop, {.jobs = 8, .transfers = 4});
        bool const stopped = stop_at_request(loop, {&from, &to}, n, n % 2 == 0,
                                             test::copy_servers(ferry, from, to, state.string()), [] {});
        if (lost) fs::remove_all(state);
        if (!stopped) break;
        REQUIRE(++kills < 200);
      }
      CHECK(kills > 5);
      CHECK(test::difference(from, to) == "");
    }
  }

  TEST_CASE("promise crash-safe: an export that is stopped publishes nothing, and the next one is whole") {
    boost::asio::io_context loop;
    FakeMlflow from(loop);
    fill(from);
    test::ScratchFolder scratch;
    auto const archive = (scratch.path() / "archive").string();
    int rounds = 0;
    for (int n = 1;; n += 3) {
      CAPTURE(n);
      bool stopped = false;
      {
        test::Ferry ferry(loop, {.jobs = 8, .transfers = 4});
        stopped =
            stop_at_request(loop, {&from}, n, n % 2 == 0, test::export_server(ferry, from, archive), [] {});
        auto opened = test::open_archive(ferry, archive);
        auto const there = test::run(loop, opened->exists());
        if (stopped && there) CHECK(test::run(loop, opened->snapshots()).empty());
      }
      if (!stopped) break;
      REQUIRE(++rounds < 500);
    }
    CHECK(rounds > 10);
    test::Ferry ferry(loop);
    auto opened = test::open_archive(ferry, archive);
    CHECK(test::run(loop, opened->snapshots()).size() == 1);
    CHECK(test::run(loop, opened->check(true, {})).empty());
    FakeMlflow to(loop, test::destination());
    test::imported(loop, archive, to, (scratch.path() / "state").string());
    CHECK(test::difference(from, to) == "");
  }

  TEST_CASE("promise crash-safe: an import that is killed at any request goes on") {
    boost::asio::io_context loop;
    FakeMlflow from(loop);
    fill(from);
    test::ScratchFolder scratch;
    auto const archive = (scratch.path() / "archive").string();
    test::exported(loop, from, archive);
    auto const original = test::snapshot(from);
    int rounds = 0;
    for (int n = 2;; n += 3) {
      CAPTURE(n);
      FakeMlflow to(loop, test::destination());
      auto const state = scratch.path() / ("state" + std::to_string(n));
      bool stopped = false;
      {
        test::Ferry ferry(loop, {.jobs = 8, .transfers = 4});
        stopped = stop_at_request(loop, {&to}, n, true,
                                  test::import_archive(ferry, archive, to, state.string()), [] {});
      }
      if (n % 2 == 0) fs::remove_all(state);
      auto const report = test::imported(loop, archive, to, state.string(), {.jobs = 8});
      REQUIRE(test::findings(report, Severity::failed) == "");
      REQUIRE(test::difference(original, test::snapshot(to)) == "");
      ++rounds;
      if (!stopped) break;
    }
    CHECK(rounds > 25);
  }
}
