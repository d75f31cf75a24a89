#include "cli/report_table.hpp"

#include <doctest/doctest.h>

#include <regex>

using namespace mlferry::engine;
using mlferry::cli::human_bytes;
using mlferry::cli::report_table;
using mlferry::cli::TableKind;

namespace {

bool shows(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The numbers in the row of a kind.
std::vector<std::string> row_of(const std::string& table, std::string label) {
  std::smatch found;
  REQUIRE(std::regex_search(table, found, std::regex("(^|\n)" + label + " +([^\n]*)\n")));
  std::vector<std::string> numbers;
  std::string const rest = found[2];
  std::regex const word("\\S+");
  for (std::sregex_iterator it(rest.begin(), rest.end(), word), end; it != end; ++it)
    numbers.push_back(it->str());
  return numbers;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("report table: bytes for people") {
    struct Row {
      std::uint64_t bytes;
      const char* text;
    };
    for (auto const& row : {Row{0, "0 B"}, Row{1023, "1023 B"}, Row{1024, "1.0 KiB"}, Row{1536, "1.5 KiB"},
                            Row{1u << 20, "1.0 MiB"}, Row{3ull << 30, "3.0 GiB"}, Row{5ull << 40, "5.0 TiB"},
                            Row{5ull << 50, "5120.0 TiB"}}) {
      CHECK(human_bytes(row.bytes) == row.text);
    }
  }

  TEST_CASE("report table: a transfer") {
    Report report;
    report.source = "http://a";
    report.target = "archive b";
    report.seconds = 2.04;
    report.add_bytes(2048);
    report.found(Kind::run, 10);
    for (int i = 0; i < 6; ++i) report.copied(Kind::run, i < 4);
    report.unchanged(Kind::run, 2);
    report.skipped(Kind::run, "r8", "eight", "a reason");
    report.failed(Kind::run, "r9", "nine", "a cause");
    report.loss(Kind::run, "r1", "r1", "a loss");
    report.not_copied = {{"traces", 12}, {"webhooks", -1}};
    report.notes.push_back("be careful");
    report.hidden.push_back("some are not shown");
    auto const table = report_table(report, TableKind::transfer);
    CHECK(shows(table, "from: http://a\n"));
    CHECK(shows(table, "archive b\n"));
    CHECK(row_of(table, "runs") == Words{"10", "6", "4", "3", "1", "-"});
    CHECK(row_of(table, "experiments") == Words{"0", "0", "0", "0", "0", "-"});
    CHECK(shows(table, "2.0 KiB of artifacts in 2.0 s"));
    CHECK(shows(table, "Not copied yet: 12 traces, an unknown number of webhooks"));
    CHECK(shows(table, "Note: be careful\n"));
    CHECK(shows(table, "Hidden: some are not shown\n"));
    CHECK(shows(table, "Failed:\n  run r9 (nine): a cause\n"));
    CHECK(shows(table, "Skipped:\n  run r8 (eight): a reason\n"));
    CHECK(shows(table, "  run r1: a loss\n"));
    CHECK_FALSE(shows(table, "Different:"));
    CHECK_FALSE(shows(table, "Dry run"));
    report.dry_run = true;
    CHECK(shows(report_table(report, TableKind::transfer), "Dry run: nothing was written"));

    Report comparison;
    comparison.verified(Kind::run);
    comparison.hidden = {"some are not shown", "of the copy neither"};
    report.take_verification(comparison);
    CHECK(report.hidden.size() == 2);
    CHECK(row_of(report_table(report, TableKind::transfer), "runs").back() == "1");
  }

  TEST_CASE("report table: a verification") {
    Report report;
    report.found(Kind::artifact, 3);
    report.verified(Kind::artifact);
    report.different(Kind::artifact, "r:f", "", {"one", "two"});
    report.skipped(Kind::artifact, "r:g", "", "gap");
    report.not_copied["traces"] = 1;
    auto const table = report_table(report, TableKind::verification);
    CHECK(row_of(table, "artifacts") == Words{"3", "1", "1", "1"});
    CHECK(shows(table, "Different:\n  artifact r:f: one\n  artifact r:f: two\n"));
    CHECK(shows(table, "Not compared: 1 traces"));
  }

  TEST_CASE("report table: what is left out is counted") {
    Report report;
    for (int i = 0; i < 25; ++i) report.failed(Kind::run, "r" + std::to_string(i), "", "c");
    auto const table = report_table(report, TableKind::transfer);
    CHECK(shows(table, "run r19: c\n"));
    CHECK_FALSE(shows(table, "run r20: c\n"));
    CHECK(shows(table, "and 5 more"));
    CHECK(shows(report_table(report, TableKind::transfer, 3), "and 22 more"));
  }

  TEST_CASE("report table: a name cannot forge lines or reach the terminal") {
    Report report;
    report.failed(Kind::run, "r\nFailed:\n  run x: forged", "\x1b[2J\r", "a\x07");
    auto const table = report_table(report, TableKind::transfer);
    CHECK_FALSE(shows(table, "\n  run x: forged"));
    for (auto const c : table) CHECK((static_cast<unsigned char>(c) >= 0x20 || c == '\n'));
  }
}
