// Files of traces on whole jobs between fake servers: beside spans in the database, and in their place.

#include <doctest/doctest.h>

#include <algorithm>

#include "support/archive_fixture.hpp"
#include "support/ferry.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
namespace json = boost::json;

namespace {

constexpr const char* listing_path = "/api/2.0/mlflow-artifacts/artifacts";

struct Two {
  explicit Two(FakeOptions from_options = {}, FakeOptions to_options = {})
      : from(loop, std::move(from_options)), to(loop, test::destination(std::move(to_options))) {}
  std::string state() const { return (scratch.path() / "state").string(); }
  std::string archive() const { return (scratch.path() / "archive").string(); }
  Report copy(JobOptions options = {}) { return test::copied(loop, from, to, state(), options); }
  Report through_archive() {
    test::exported(loop, from, archive());
    return test::imported(loop, archive(), to, state());
  }
  Report compare() { return test::compared(loop, from, to); }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from, to;
};

FakeOptions with_version(const char* version) {
  FakeOptions options;
  options.faults.version = version;
  return options;
}

// Requests that list a folder of the proxied store.
std::size_t listings(const FakeMlflow& server) {
  auto const& log = server.log();
  return static_cast<std::size_t>(
      std::count_if(log.begin(), log.end(), [](auto const& request) { return request.path == listing_path; }));
}

std::string only(const Report& report, Severity severity) {
  return test::findings(report, severity);
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("trace files: those of a trace whose spans are in the database arrive, later ones too") {
    for (bool const archived : {false, true}) {
      CAPTURE(archived);
      Two servers;
      test::make_experiment(servers.to, "takes an id");
      auto const home = test::make_experiment(servers.from, "home");
      auto const trace = test::make_trace(servers.from, home, 1);
      auto const bare = test::make_trace(servers.from, home, 2);
      servers.from.put_file(test::trace_files(servers.from, trace) + "/traces.json", "{\"spans\": \"others\"}");
      servers.from.put_file(test::trace_files(servers.from, trace) + "/attachments/a.bin", "bytes");
      auto const report = archived ? servers.through_archive() : servers.copy();
      CHECK(only(report, Severity::failed) == "");
      CHECK(only(report, Severity::loss) == "");
      CHECK(report.counts(Kind::artifact).created == 2);
      CHECK(test::wrong_sums(report) == "");
      auto const there = test::trace_files(servers.to, trace);
      CHECK(servers.to.file(there + "/traces.json") == "{\"spans\": \"others\"}");
      CHECK(servers.to.file(there + "/attachments/a.bin") == "bytes");
      CHECK(servers.to.counts().spans == 4);
      auto const verified = servers.compare();
      CHECK(verified.total_different() == 0);
      CHECK(verified.counts(Kind::artifact).verified == 2);

      servers.from.put_file(test::trace_files(servers.from, bare) + "/late", "x");
      CHECK(servers.compare().total_different() == 1);
      auto const again = archived ? servers.through_archive() : servers.copy();
      CHECK(again.counts(Kind::trace).copied == 1);
      CHECK(again.counts(Kind::artifact).created == 0);  // of a trace that was there
      CHECK(servers.to.file(test::trace_files(servers.to, bare) + "/late") == "x");
      CHECK(servers.compare().total_different() == 0);
    }
  }

  TEST_CASE("trace files: one request tells which traces have some") {
    FakeOptions options;
    options.generated.traces = 1200;
    Two servers(options);
    servers.copy();
    CHECK(listings(servers.from) == 1);
    servers.from.put_file("0/traces/tr-00000000000000000000000000000007/artifacts/x/y", "x");
    servers.from.clear_log();
    CHECK(servers.copy().counts(Kind::artifact).copied == 0);  // generated traces name no folder
    auto const trace = test::make_trace(servers.from, "0", 3);
    servers.from.put_file(test::trace_files(servers.from, trace) + "/x/y", "x");
    servers.from.clear_log();
    CHECK(servers.copy().counts(Kind::artifact).copied == 1);
    CHECK(listings(servers.from) == 3);  // all traces, the one, its folder
  }

  TEST_CASE("trace files: where spans must go into an artifact they win over a file of that name") {
    Two servers({}, with_version("3.10.0"));
    auto const trace = test::make_trace(servers.from, "0", 1);
    servers.from.put_file(test::trace_files(servers.from, trace) + "/traces.json", "{\"spans\": \"others\"}");
    servers.from.put_file(test::trace_files(servers.from, trace) + "/b", "kept");
    auto const report = servers.copy();
    CHECK(only(report, Severity::failed) == "");
    CHECK(only(report, Severity::loss).find("its file traces.json is left out") != std::string::npos);
    CHECK(report.counts(Kind::artifact).copied == 1);
    CHECK(test::wrong_sums(report) == "");
    CHECK(servers.to.counts().spans == 0);
    auto const there = test::trace_files(servers.to, trace);
    CHECK(servers.to.file(there + "/b") == "kept");
    CHECK(servers.to.file(there + "/traces.json").value_or("").starts_with("{\"spans\":[{"));
    std::size_t uploads = 0;
    for (auto const& request : servers.to.write_requests()) uploads += request.path.ends_with("/traces.json");
    CHECK(uploads == 1);
    auto const verified = servers.compare();
    CHECK(only(verified, Severity::difference) == "");
    CHECK(only(verified, Severity::skipped).find(trace + ":traces.json") != std::string::npos);
  }

  TEST_CASE("trace files: an answer without a list of spans is an error, not a trace without spans") {
    Two servers;
    auto const trace = test::make_trace(servers.from, "0", 1);
    test::make_trace(servers.from, "0", 2);
    servers.from.forget_spans(trace);
    auto const report = servers.copy();
    CHECK(report.counts(Kind::trace).failed == 1);
    CHECK(report.counts(Kind::trace).created == 1);
    CHECK(only(report, Severity::failed).find("trace " + trace + ": the server's answer has no list 'spans'") !=
          std::string::npos);
    servers.to.forget_spans(test::make_trace(servers.to, "0", 1));
    CHECK(only(servers.compare(), Severity::difference).find("no list 'spans'") != std::string::npos);
  }

  TEST_CASE("trace files: --dry-run says which cannot be read") {
    Two servers;
    auto const trace = test::make_trace(servers.from, "0", 1);
    servers.from.put_file(test::trace_files(servers.from, trace) + "/good", "x");
    servers.from.put_file(test::trace_files(servers.from, trace) + "/line\nbreak", "x");
    for (bool const dry : {true, false}) {
      CAPTURE(dry);
      JobOptions options;
      options.dry_run = dry;
      auto const report = servers.copy(options);
      CHECK(report.counts(Kind::artifact).found == 2);
      CHECK(report.counts(Kind::artifact).copied == 1);
      CHECK(report.counts(Kind::artifact).failed == 1);
      CHECK(test::wrong_sums(report) == "");
      CHECK(servers.to.write_requests().empty() == dry);
    }
  }
}
