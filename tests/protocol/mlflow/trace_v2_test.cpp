#include "protocol/mlflow/trace_v2.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/mlflow/client.hpp"
#include "support/mlflow_bench.hpp"
#include "support/run.hpp"

using namespace mlferry::mlflow;
using mlferry::test::MlflowBench;
using mlferry::test::run;

namespace {

json::object parsed(const std::string& text) {
  return parse_json(text, "test").as_object();
}

json::object of_time(std::int64_t start, std::int64_t duration, const char* status = "OK") {
  return trace_info_from_v2({{"timestamp_ms", start}, {"execution_time_ms", duration}, {"status", status}});
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("old traces: every field finds its place in the newer form") {
    auto const info = trace_info_from_v2(parsed(R"({"request_id":"a1","experiment_id":"7","timestamp_ms":1767322000123,
      "execution_time_ms":1500,"status":"ERROR","request_metadata":[{"key":"m é","value":"x"},{"key":"empty"}],
      "tags":[{"key":"t","value":"y"},{"key":"mlflow.artifactLocation","value":"mlflow-artifacts:/7/traces/a1/artifacts"}],
      "later":{"kept":[1]}})"));
    CHECK(json::value(info) == parse_json(R"({"trace_id":"a1",
      "trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":"7"}},
      "request_time":"2026-01-02T02:46:40.123Z","execution_duration":"1.500s","state":"ERROR",
      "trace_metadata":{"m é":"x","empty":""},
      "tags":{"t":"y","mlflow.artifactLocation":"mlflow-artifacts:/7/traces/a1/artifacts"},"later":{"kept":[1]}})", "test"));
    Trace const trace{info};
    CHECK(trace.id() == "a1");
    CHECK(trace.experiment_id() == "7");
    CHECK(trace.artifact_uri() == "mlflow-artifacts:/7/traces/a1/artifacts");
    CHECK(!trace.spans_in_database());
  }

  TEST_CASE("old traces: times as the newer server writes them") {
    struct Row {
      std::int64_t ms;
      const char* text;
    };
    for (auto const& row : {Row{0, "1970-01-01T00:00:00Z"}, Row{-1, "1969-12-31T23:59:59.999Z"}, Row{1000, "1970-01-01T00:00:01Z"},
                            Row{951'782'400'000, "2000-02-29T00:00:00Z"}, Row{951'868'799'007, "2000-02-29T23:59:59.007Z"},
                            Row{4'107'542'400'000, "2100-03-01T00:00:00Z"}, Row{253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
                            Row{-62'135'596'800'000, "0001-01-01T00:00:00Z"}}) {
      CHECK(get_string(of_time(row.ms, 1), "request_time") == row.text);
    }
    for (auto const& row : {Row{0, "0s"}, Row{7, "0.007s"}, Row{1000, "1s"}, Row{61'250, "61.250s"}, Row{-500, "-0.500s"}, Row{-1500, "-1.500s"}}) {
      CHECK(get_string(of_time(1, row.ms), "execution_duration") == row.text);
    }
    for (auto const extreme : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
      CHECK(get_string(of_time(extreme, extreme), "request_time").ends_with("Z"));
    }
  }

  TEST_CASE("old traces: one in progress has no duration yet; states by their new names") {
    CHECK(!of_time(1, 0, "IN_PROGRESS").contains("execution_duration"));
    CHECK(get_string(of_time(1, 5, "IN_PROGRESS"), "execution_duration") == "0.005s");
    CHECK(get_string(of_time(1, 0, "OK"), "execution_duration") == "0s");
    CHECK(get_string(of_time(1, 0, "TRACE_STATUS_UNSPECIFIED"), "state") == "STATE_UNSPECIFIED");
    CHECK(get_string(of_time(1, 0, "INVENTED"), "state") == "INVENTED");
  }

  TEST_CASE("old traces: what is not as expected stays where it was") {
    auto const text = R"({"timestamp_ms":"soon","status":3,"request_metadata":{"a":"b"},"tags":[{"no":"key"}],"execution_time_ms":[]})";
    CHECK(trace_info_from_v2(parsed(text)) == parsed(text));
    CHECK(trace_info_from_v2({}).empty());
  }

  TEST_CASE("old traces: the listing asks oldest first, and gives the newer form") {
    MlflowBench bench;
    bench.server.answer(200, R"({"traces":[{"request_id":"a1","status":"OK"}],"next_page_token":"n"})");
    auto const page = run(bench.context, bench.client.search_traces_v2({"1", "2"}, 9, "t="));
    CHECK(bench.server.last().method == "GET");
    CHECK(bench.server.last().target ==
          "/api/2.0/mlflow/traces?experiment_ids=1&experiment_ids=2&max_results=9&order_by=timestamp_ms%20ASC&page_token=t%3D");
    REQUIRE(page.items.size() == 1);
    CHECK(page.items[0].id() == "a1");
    CHECK(page.next_token == "n");
    CHECK_THROWS_AS(run(bench.context, bench.client.search_traces_v2(std::vector<std::string>(101, "1"), 9, "")), std::invalid_argument);
  }
}
