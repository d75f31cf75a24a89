#include "cli/progress_view.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "support/cancelled_run.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::cli::ProgressNumbers;
using mlferry::cli::ProgressView;

namespace {

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::size_t from = 0;
  while (from < text.size()) {
    auto const end = text.find('\n', from);
    REQUIRE(end != std::string::npos);
    result.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return result;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("progress view: a line for each kind that was found, and one for all") {
    Report report;
    ProgressView view(report);
    auto text = lines(view.render({}, 0, 200));
    REQUIRE(text.size() == 1);
    CHECK(text[0] == "0 s, 0 objects/s, 0 B (0 B/s), 0 requests in flight, 0 failed");

    report.found(Kind::experiment, 2);
    report.copied(Kind::experiment, true);
    report.found(Kind::run, 10);
    report.unchanged(Kind::run, 5);
    report.failed(Kind::run, "r", "", "c");
    report.add_bytes(4096);
    text = lines(view.render({.requests_in_flight = 7}, 2, 200));
    REQUIRE(text.size() == 3);
    CHECK(text[0].starts_with("experiments"));
    CHECK(has(text[0], "1 of 2"));
    CHECK_FALSE(has(text[0], "failed"));
    CHECK(text[1].starts_with("runs"));
    CHECK(has(text[1], "6 of 10"));
    CHECK(has(text[1], "1 failed"));
    CHECK(text[2] == "2 s, 4 objects/s, 4.0 KiB (2.0 KiB/s), 7 requests in flight, 1 failed");
  }

  TEST_CASE("progress view: a comparison counts what was judged") {
    Report report;
    ProgressView view(report);
    report.found(Kind::artifact, 4);
    report.verified(Kind::artifact);
    report.different(Kind::artifact, "f", "", {"x"});
    auto const text = lines(view.render({}, 1, 200));
    CHECK(has(text[0], "2 of 4"));
    CHECK(has(text[0], "1 failed"));
  }

  TEST_CASE("progress view: no line is wider than the terminal") {
    Report report;
    ProgressView view(report);
    for (auto const kind : all_kinds) report.found(kind, 1'000'000);
    for (std::size_t width : {0u, 1u, 2u, 10u, 40u, 80u, 1000u}) {
      for (auto const& line : lines(view.render({}, 100, width))) {
        CHECK(line.size() <= std::max<std::size_t>(width > 0 ? width - 1 : 0, 1));
      }
    }
  }

  TEST_CASE("progress view: runs until it is cancelled") {
    boost::asio::io_context context;
    Report report;
    ProgressView view(report);
    auto const ending =
        test::run_cancelled_after(context, test::until_quiet, view.run([] { return ProgressNumbers(); }));
    CHECK(ending == test::Ending::cancelled);
  }
}
