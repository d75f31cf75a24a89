#include "engine/report.hpp"

#include <doctest/doctest.h>

#include <boost/json/array.hpp>

using mlferry::engine::all_kinds;
using mlferry::engine::Finding;
using mlferry::engine::Kind;
using mlferry::engine::Report;
using mlferry::engine::Severity;

TEST_SUITE("engine") {
  TEST_CASE("report: counts and findings of every kind") {
    Report report;
    std::vector<std::string> heard;
    report.on_finding = [&](const Finding& finding) { heard.push_back(finding.id); };
    std::uint64_t n = 0;
    for (auto const kind : all_kinds) {
      ++n;
      report.found(kind, 10 * n);
      report.copied(kind, true);
      report.copied(kind, false);
      report.unchanged(kind, n);
      report.skipped(kind, "s", "", "why");
      report.failed(kind, "f", "name", "cause");
      report.loss(kind, "l", "", "what");
      report.verified(kind);
      report.different(kind, "d", "", {"one", "two"});
      auto const& counts = report.counts(kind);
      CHECK(counts.found == 10 * n);
      CHECK(counts.copied == 2);
      CHECK(counts.created == 1);
      CHECK(counts.skipped == n + 1);
      CHECK(report.unchanged_count(kind) == n);
      CHECK(counts.failed == 1);
      CHECK(counts.verified == 1);
      CHECK(counts.different == 1);
    }
    CHECK(report.total_failed() == all_kinds.size());
    CHECK(report.total_different() == all_kinds.size());
    CHECK(report.total_created() == all_kinds.size());
    CHECK(report.findings().size() == 5 * all_kinds.size());
    CHECK(heard.size() == report.findings().size());
    CHECK(report.findings()[1].severity == Severity::failed);
    CHECK(report.findings()[1].name == "name");
    CHECK(report.findings()[1].text == "cause");
  }

  TEST_CASE("report: findings are bounded, counts are not, and listeners hear all") {
    Report report;
    std::size_t heard = 0;
    report.on_finding = [&](const Finding&) { ++heard; };
    for (std::size_t i = 0; i < Report::max_findings + 5; ++i) report.failed(Kind::run, "r", "", "c");
    CHECK(report.findings().size() == Report::max_findings);
    CHECK(report.findings_left_out() == 5);
    CHECK(report.counts(Kind::run).failed == Report::max_findings + 5);
    CHECK(heard == Report::max_findings + 5);
    CHECK(report.to_json().at("findings_left_out") == 5);
  }

  TEST_CASE("report: JSON holds every number and every finding") {
    Report report;
    report.source = "a";
    report.target = "b";
    report.dry_run = true;
    report.seconds = 1.5;
    report.add_bytes(7);
    report.add_bytes(3);
    report.not_copied["traces"] = 12;
    report.notes.push_back("note");
    report.hidden.push_back("unseen");
    report.found(Kind::run, 3);
    report.copied(Kind::run, true);
    report.unchanged(Kind::run);
    report.failed(Kind::run, "id", "name", "cause");
    auto const json = report.to_json();
    CHECK(json.at("schema") == 1);
    CHECK(json.at("source") == "a");
    CHECK(json.at("target") == "b");
    CHECK(json.at("dry_run") == true);
    CHECK(json.at("seconds") == 1.5);
    CHECK(json.at("bytes") == 10);
    CHECK(json.at("not_copied").at("traces") == 12);
    CHECK(json.at("notes").at(0) == "note");
    CHECK(json.at("hidden").at(0) == "unseen");
    auto const& run = json.at("kinds").at("run");
    CHECK(run.at("found") == 3);
    CHECK(run.at("copied") == 1);
    CHECK(run.at("created") == 1);
    CHECK(run.at("skipped") == 1);
    CHECK(run.at("unchanged") == 1);
    CHECK(run.at("failed") == 1);
    CHECK(json.at("kinds").as_object().size() == all_kinds.size());
    auto const& finding = json.at("findings").at(0);
    CHECK(finding.at("severity") == "failed");
    CHECK(finding.at("kind") == "run");
    CHECK(finding.at("id") == "id");
    CHECK(finding.at("name") == "name");
    CHECK(finding.at("text") == "cause");
  }

  TEST_CASE("report: an object that fails after it was counted is counted once") {
    Report report;
    report.found(Kind::run, 3);
    report.copied(Kind::run, true);
    report.copied(Kind::run, true);
    report.unchanged(Kind::run);
    auto const sum = [&] {
      auto const& n = report.counts(Kind::run);
      return n.copied + n.skipped + n.failed;
    };
    report.failed_after(Kind::run, "a", "", "one link");
    report.failed_after(Kind::run, "a", "", "another link");
    CHECK(report.counts(Kind::run).copied == 1);
    CHECK(report.counts(Kind::run).created == 1);
    CHECK(report.counts(Kind::run).failed == 1);
    CHECK(report.findings().size() == 2);
    CHECK(sum() == 3);
    report.failed_after(Kind::run, "b", "", "x");
    CHECK(report.counts(Kind::run).created == 0);
    report.failed_after(Kind::run, "c", "", "x");
    CHECK(report.counts(Kind::run).skipped == 0);
    CHECK(report.unchanged_count(Kind::run) == 0);
    CHECK(report.counts(Kind::run).failed == 3);
    CHECK(sum() == 3);
    report.failed_after(Kind::run, "d", "", "one more than there are");
    CHECK(sum() == 3);
  }

  TEST_CASE("report: remembers which runs and logged models failed") {
    Report report;
    report.failed(Kind::run, "a", "", "c");
    report.failed(Kind::logged_model, "m-b", "", "c");
    report.failed(Kind::artifact, "f", "", "c");
    report.failed_after(Kind::run, "later", "", "c");
    CHECK(report.may_have_failed(Kind::run, "a"));
    CHECK(report.may_have_failed(Kind::logged_model, "m-b"));
    CHECK_FALSE(report.may_have_failed(Kind::logged_model, "a"));
    CHECK_FALSE(report.may_have_failed(Kind::run, "later"));  // it is there
    for (std::size_t i = 0; i < Report::max_findings; ++i)
      report.failed(Kind::run, std::to_string(i), "", "c");
    CHECK(report.may_have_failed(Kind::run, "any"));  // too many to know
  }

  TEST_CASE("report: a comparison is taken over with its differences only") {
    Report comparison;
    comparison.found(Kind::run, 2);
    comparison.verified(Kind::run);
    comparison.different(Kind::run, "r", "", {"x"});
    comparison.skipped(Kind::artifact, "f", "", "gap");
    Report report;
    report.found(Kind::run, 2);
    CHECK_FALSE(report.was_verified());
    report.take_verification(comparison);
    CHECK(report.was_verified());
    CHECK(report.counts(Kind::run).found == 2);
    CHECK(report.counts(Kind::run).verified == 1);
    CHECK(report.counts(Kind::run).different == 1);
    CHECK(report.findings().size() == 1);
    CHECK(report.total_different() == 1);
  }
}
