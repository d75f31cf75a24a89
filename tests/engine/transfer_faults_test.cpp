// With faults on both servers the result is the same as without: nothing lost, nothing twice.

#include <doctest/doctest.h>

#include <deque>
#include <filesystem>

#include "async/task_group.hpp"
#include "engine/transfer.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
using mlferry::test::Fault;

namespace {

FakeOptions faulty(std::uint64_t seed, std::initializer_list<std::pair<Fault, double>> faults) {
  FakeOptions options;
  options.faults.seed = seed;
  options.faults.drip_pause = std::chrono::milliseconds(0);
  for (auto const& [fault, probability] : faults) options.faults.set(fault, probability);
  return options;
}

std::string problems(const Report& report) {
  return test::findings(report, Severity::failed) + test::wrong_sums(report);
}

// One copy between two faulty servers. Many of them share the loop: most of their time they wait.
struct Voyage {
  Voyage(boost::asio::io_context& loop, const std::string& folder, const FakeOptions& from_options,
         const FakeOptions& to_options)
      : ferry(loop, {.jobs = 8, .transfers = 4}),
        from(loop, from_options),
        to(loop, test::destination(to_options)),
        state(folder + "/state"),
        archive(folder + "/archive") {
    test::fill_workload(from);
    test::add_prompt_and_traces(from);
  }
  async::Task<> copy() { co_await test::copy_servers(ferry, from, to, state); }
  async::Task<> through_archive() {
    co_await test::export_server(ferry, from, archive);
    first = std::move(ferry.report);
    ferry.report = {};
    co_await test::import_archive(ferry, archive, to, state);
  }
  void check() {
    from.faults().probability = {};
    to.faults().probability = {};
    CHECK(problems(first) == "");
    CHECK(problems(ferry.report) == "");
    CHECK(ferry.report.counts(Kind::run).created == ferry.report.counts(Kind::run).found);
    CHECK(test::difference(from, to) == "");
    CHECK(from.faults_injected() + to.faults_injected() > 0);
  }
  test::Ferry ferry;
  FakeMlflow from, to;
  std::string state, archive;
  Report first;
};

template <class Start>
void run_all(boost::asio::io_context& loop, std::deque<Voyage>& voyages, Start start) {
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto& voyage : voyages) tasks.spawn(start(voyage));
    co_return;
  };
  test::run(loop, async::with_task_group(loop.get_executor(), body));
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("faults: each kind alone, often, changes nothing in the result") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    std::deque<Voyage> voyages;
    std::vector<std::string> names;
    for (int kind = 1; kind < test::fault_kinds; ++kind) {
      auto const fault = static_cast<Fault>(kind);
      names.emplace_back(test::fault_name(fault));
      auto const options = faulty(static_cast<std::uint64_t>(kind), {{fault, 0.12}});
      voyages.emplace_back(loop, (scratch.path() / names.back()).string(), options, options);
    }
    run_all(loop, voyages, [](Voyage& voyage) { return voyage.copy(); });
    for (std::size_t i = 0; i < voyages.size(); ++i) {
      CAPTURE(names[i]);
      voyages[i].check();
    }
  }

  TEST_CASE("faults: all kinds together, many seeds") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    std::deque<Voyage> voyages;
    for (std::uint64_t seed = 1; seed <= 24; ++seed) {
      auto const options = faulty(100 + seed, {{Fault::throttle, 0.02},
                                               {Fault::throttle_retry_after, 0.02},
                                               {Fault::error_500, 0.02},
                                               {Fault::unavailable_503, 0.02},
                                               {Fault::reset_before, 0.02},
                                               {Fault::reset_after, 0.02},
                                               {Fault::reset_mid_body, 0.02},
                                               {Fault::short_body, 0.02},
                                               {Fault::slow_drip, 0.02},
                                               {Fault::duplicate_rows, 0.05}});
      voyages.emplace_back(loop, (scratch.path() / std::to_string(seed)).string(), options, options);
    }
    run_all(loop, voyages, [](Voyage& voyage) {
      return voyage.to.port() % 2 == 0 ? voyage.copy() : voyage.through_archive();
    });
    for (std::size_t i = 0; i < voyages.size(); ++i) {
      CAPTURE(i);
      voyages[i].check();
    }
  }

  TEST_CASE("faults: the answer of every create is lost once, and everything is there once") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    Voyage voyage(loop, scratch.path().string(), {}, {});
    // Every other create, so that each is tried again with a clear answer.
    int creates = 0;
    voyage.to.faults().set(Fault::reset_after, 1);
    voyage.to.faults().applies = [&](std::string_view method, std::string_view path) {
      bool const create =
          method == "POST" &&
          (path.ends_with("/create") || path.ends_with("/logged-models") || path.ends_with("runs/outputs"));
      return create && creates++ % 2 == 0;
    };
    test::run(loop, voyage.copy());
    CHECK(creates > 20);
    voyage.check();
  }

  TEST_CASE("faults: files are whole after resets, short bodies and slow answers in their middle") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    auto const options = faulty(9, {{Fault::reset_mid_body, 0.15},
                                    {Fault::short_body, 0.15},
                                    {Fault::slow_drip, 0.1},
                                    {Fault::reset_before, 0.1}});
    Voyage voyage(loop, scratch.path().string(), options, options);
    auto const files = test::run_files(voyage.from, test::run_id(voyage.from, "first"));
    for (std::uint64_t i = 0; i < 40; ++i)
      voyage.from.put_file(files + "/many/" + std::to_string(i), test::random_bytes(i * 9001, i));
    test::run(loop, voyage.through_archive());
    voyage.check();
  }

  TEST_CASE("faults: when a server stays broken the objects are failures, and the next job mends all") {
    test::ScratchFolder scratch;
    boost::asio::io_context loop;
    Voyage voyage(loop, scratch.path().string(), {}, {});
    for (auto const* part : {"mlflow-artifacts/artifacts/", "runs/log-batch", "get-history", "/graphql"}) {
      CAPTURE(std::string(part));
      for (auto* server : {&voyage.from, &voyage.to}) {
        server->faults().set(Fault::throttle, 1);
        server->faults().applies = [part](std::string_view, std::string_view path) {
          return path.find(part) != path.npos;
        };
      }
      auto const report = test::copied(loop, voyage.from, voyage.to, voyage.state);
      CHECK(test::wrong_sums(report) == "");
      if (std::string_view(part) != "/graphql") CHECK(report.total_failed() > 0);
    }
    for (auto* server : {&voyage.from, &voyage.to}) server->faults().set(Fault::throttle, 0);
    CHECK(problems(test::copied(loop, voyage.from, voyage.to, voyage.state)) == "");
    CHECK(test::difference(voyage.from, voyage.to) == "");
  }
}
