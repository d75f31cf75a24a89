#include "protocol/mlflow/client.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include "support/mlflow_bench.hpp"
#include "support/mlflow_script.hpp"
#include "support/run.hpp"

using namespace mlferry::mlflow;
using mlferry::test::drop;
using mlferry::test::MlflowBench;
using mlferry::test::run;
namespace async = mlferry::async;
namespace http = mlferry::http;

namespace {

std::string refusal(MlflowBench& bench, async::Task<> task) {
  try {
    run(bench.context, std::move(task));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("client: log_batch writes numbers exactly and NaN as text") {
    MlflowBench bench;
    bench.server.answer(200, "{}");
    double const nan = std::numeric_limits<double>::quiet_NaN();
    double const infinity = std::numeric_limits<double>::infinity();
    std::vector<Client::BatchMetric> const metrics{
        {"m", {0.1, 1600000000999, -5}, "", "", ""},
        {"m", {nan, 1, 0}, "m-1", "d", "x"},
        {"m", {infinity, 2, 0}, "", "", ""},
        {"m", {-infinity, 3, 9223372036854775807}, "", "", ""},
        {"m", {-0.0, 4, 0}, "", "", ""},
        {"m", {5e-324, 5, 0}, "", "", ""},
    };
    KeyValues const params{{"p", "1"}};
    KeyValues const tags{{"t", "é\"\n"}};
    run(bench.context, bench.client.log_batch("r", metrics, params, tags));
    CHECK(bench.server.last().target == "/api/2.0/mlflow/runs/log-batch");
    CHECK(
        bench.server.last().body ==
        R"({"run_id":"r","metrics":[{"key":"m","value":0.1,"timestamp":1600000000999,"step":-5},)"
        R"({"key":"m","value":"NaN","timestamp":1,"step":0,"model_id":"m-1","dataset_name":"d","dataset_digest":"x"},)"
        R"({"key":"m","value":"Infinity","timestamp":2,"step":0},)"
        R"({"key":"m","value":"-Infinity","timestamp":3,"step":9223372036854775807},)"
        R"({"key":"m","value":-0.0,"timestamp":4,"step":0},{"key":"m","value":5e-324,"timestamp":5,"step":0}],)"
        R"("params":[{"key":"p","value":"1"}],"tags":[{"key":"t","value":"é\"\n"}]})");
  }

  TEST_CASE("client: what would be damaged is not sent") {
    MlflowBench bench;
    Client& c = bench.client;
    std::vector<Client::BatchMetric> const many(1001);
    std::vector<KeyValue> const params(101);
    KeyValues const bad{{"k", "\xff"}};
    KeyValues const bad_key{{"\xff", "v"}};
    std::vector<Client::BatchMetric> const bad_metric{{"\xff", {}, "", "", ""}};
    CHECK(refusal(bench, c.log_batch("r", many, {}, {})) != "");
    CHECK(refusal(bench, c.log_batch("r", {}, params, {})) != "");
    CHECK(refusal(bench, c.log_batch("r", {}, {}, params)) != "");
    CHECK(refusal(bench, c.log_batch("r", {}, bad, {})) ==
          "POST runs/log-batch: the value of \"k\" in params is not valid UTF-8, and the server would store "
          "something else; "
          "not sent");
    CHECK(refusal(bench, c.log_batch("r", {}, {}, bad_key)) != "");
    CHECK(refusal(bench, c.log_batch("r", bad_metric, {}, {})) != "");
    CHECK(refusal(bench, drop(c.create_experiment("\xff", "", {}))) != "");
    CHECK(refusal(bench, drop(c.get_experiment_by_name("\xff"))) != "");
    CHECK(refusal(bench, c.log_inputs("r", json::array{"\xff"}, {})) != "");
    CHECK(refusal(bench, drop(c.open_proxied("\xff"))) != "");
    CHECK(refusal(bench, drop(c.open_proxied(""))) != "");
    CHECK(refusal(bench, c.update_run("r", "BOGUS", {})) != "");
    CHECK(refusal(bench, c.set_logged_model_status("m-1", "READY")) != "");
    CHECK(refusal(bench, c.delete_logged_model("")) != "");
    CHECK(refusal(bench, drop(c.search_registered_models("", 0, ""))) != "");
    CHECK(refusal(bench, drop(c.search_logged_models({"1"}, "", -1, ""))) != "");
    CHECK(refusal(bench, drop(c.history_bulk(std::vector<std::string>(101, "r"), "m"))) != "");
    CHECK(refusal(bench, drop(c.list_artifacts_batch(std::vector<Client::Directory>(11)))) != "");
    CHECK(bench.server.seen().empty());
  }

  TEST_CASE("client: what changes nothing needs no request") {
    MlflowBench bench;
    Client& c = bench.client;
    run(bench.context, c.log_batch("r", {}, {}, {}));
    run(bench.context, c.update_run("r", "", {}));
    run(bench.context, c.log_inputs("r", {}, {}));
    run(bench.context, c.log_outputs("r", {}));
    run(bench.context, c.set_logged_model_tags("m", {}));
    CHECK(run(bench.context, c.search_runs({}, "", View::all, 1, "")).items.empty());
    CHECK(run(bench.context, c.search_logged_models({}, "", 1, "")).items.empty());
    CHECK(run(bench.context, c.history_bulk({}, "m")).empty());
    CHECK(run(bench.context, c.list_artifacts_batch({})).empty());
    CHECK(bench.server.seen().empty());
  }

  TEST_CASE("client: objects that do not exist, and calls that do not exist") {
    MlflowBench bench;
    Client& c = bench.client;
    std::string const missing = R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"x"})";
    for (int i = 0; i < 7; ++i) bench.server.answer(404, missing);
    CHECK(!run(bench.context, c.get_experiment("1")));
    CHECK(!run(bench.context, c.get_experiment_by_name("x")));
    CHECK(!run(bench.context, c.get_run("x")));
    CHECK(!run(bench.context, c.get_logged_model("x")));
    CHECK(!run(bench.context, c.get_registered_model("x")));
    CHECK(!run(bench.context, c.get_model_version("x", 1)));
    CHECK_NOTHROW(run(bench.context, c.delete_model_version("x", 1)));
    bench.server.answer(404, "<title>404 Not Found", "text/html")
        .answer(404, "<title>404 Not Found", "text/html");
    CHECK_THROWS_AS(run(bench.context, c.get_logged_model("x")), ApiError);
    CHECK(!run(bench.context,
               c.call(http::Method::get, "/api/3.0/mlflow/issues/search", "", http::RequestClass::search)));
    bench.server.answer(200, R"({"issues":[]})").answer(404, missing);
    CHECK(run(bench.context, c.call(http::Method::post, "/x", "{}", http::RequestClass::search))
              ->contains("issues"));
    CHECK_THROWS_AS(run(bench.context, c.call(http::Method::post, "/x", "{}", http::RequestClass::search)),
                    ApiError);
  }

  TEST_CASE("client: answers that lack what they must have") {
    MlflowBench bench;
    Client& c = bench.client;
    for (int i = 0; i < 6; ++i) bench.server.answer(200, "{}");
    CHECK_THROWS_AS(run(bench.context, c.create_experiment("x", "", {})), ApiError);
    CHECK_THROWS_AS(run(bench.context, c.create_run({})), ApiError);
    CHECK_THROWS_AS(run(bench.context, c.create_logged_model({})), ApiError);
    CHECK_THROWS_AS(run(bench.context, c.create_model_version({})), ApiError);
    CHECK_THROWS_AS(run(bench.context, c.get_run("r")), ApiError);
    CHECK_THROWS_AS(run(bench.context, c.get_registered_model("r")), ApiError);
    bench.server.answer(200, R"({"metrics":[{"run_id":"r","timestamp":1}]})");
    CHECK_THROWS_AS(run(bench.context, c.history_bulk({"r"}, "m")), ApiError);
    bench.server.answer(200, R"({"metrics":[{"value":1.0,"timestamp":1.5}]})");
    CHECK_THROWS_AS(run(bench.context, c.history("r", "m", 1, "")), ApiError);
    CHECK(bench.server.answers_left() == 0);
  }

  TEST_CASE("client: histories") {
    MlflowBench bench;
    bench.server.answer(200, R"({"metrics":[{"key":"m","run_id":"a","step":-5,"timestamp":2,"value":NaN},
        {"key":"m","run_id":"b","value":1.7976931348623157e+308}]})");
    auto const rows = run(bench.context, bench.client.history_bulk({"a", "b"}, "m"));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].run_id == "a");
    CHECK(rows[0].point.value != rows[0].point.value);
    CHECK(rows[0].point.step == -5);
    CHECK(rows[1].point == MetricPoint{std::numeric_limits<double>::max(), 0, 0});
    bench.server.answer(
        200,
        R"({"metrics":[{"key":"m","value":"NaN","timestamp":1,"step":0},{"value":2.0,"timestamp":"3","step":1}],
        "next_page_token":"t"})");
    auto const page = run(bench.context, bench.client.history("r", "m", 2, ""));
    REQUIRE(page.items.size() == 2);
    CHECK(page.items[0].value != page.items[0].value);
    CHECK(page.items[1] == MetricPoint{2.0, 3, 1});
    CHECK(page.next_token == "t");
  }

  TEST_CASE("client: a long metric key splits the runs over requests that a server reads") {
    MlflowBench bench;
    std::vector<std::string> ids;
    for (int i = 0; i < 100; ++i)
      ids.push_back(std::string(30, 'a') + static_cast<char>('0' + i / 10) + static_cast<char>('0' + i % 10));
    auto const rows_of = [](std::string_view id, std::size_t count) {
      std::string text = "{\"metrics\":[";
      for (std::size_t i = 0; i < count; ++i)
        text += (i == 0 ? "" : ",") + std::string("{\"run_id\":\"") + std::string(id) + "\",\"value\":1.0}";
      return text + "]}";
    };
    bench.server.answer(200, rows_of(ids[0], 24'999)).answer(200, rows_of(ids[99], 5));
    auto const rows = run(bench.context, bench.client.history_bulk(ids, std::string(250, 'k')));
    REQUIRE(bench.server.seen().size() == 2);
    for (const auto& seen : bench.server.seen()) CHECK(seen.target.size() + 13 <= 4094);
    // As one request would have been cut.
    REQUIRE(rows.size() == Client::history_bulk_limit);
    CHECK(rows.front().run_id == ids[0]);
    CHECK(rows.back().run_id == ids[99]);
    // A cut part ends it: the rest is asked for by the caller, who sees the size.
    bench.server.answer(200, rows_of(ids[0], 25'000));
    CHECK(run(bench.context, bench.client.history_bulk(ids, std::string(250, 'k'))).size() ==
          Client::history_bulk_limit);
    CHECK(bench.server.seen().size() == 3);
    // A short key fits.
    bench.server.answer(200, "{}");
    run(bench.context, bench.client.history_bulk(ids, "m"));
    CHECK(bench.server.seen().size() == 4);
  }

  TEST_CASE("client: repeated deletes and restores of an experiment") {
    MlflowBench bench;
    std::string const missing = R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"x"})";
    std::string const deleted = R"({"experiment":{"lifecycle_stage":"deleted"}})";
    std::string const active = R"({"experiment":{"lifecycle_stage":"active"}})";
    bench.server.answer(404, missing).answer(200, deleted);
    CHECK_NOTHROW(run(bench.context, bench.client.delete_experiment("5")));
    bench.server.answer(404, missing).answer(200, active);
    CHECK_THROWS_AS(run(bench.context, bench.client.delete_experiment("5")), ApiError);
    bench.server.answer(404, missing).answer(404, missing);
    CHECK_THROWS_AS(run(bench.context, bench.client.delete_experiment("5")), ApiError);
    bench.server.answer(404, missing).answer(200, active);
    CHECK_NOTHROW(run(bench.context, bench.client.restore_experiment("5")));
    CHECK(bench.server.answers_left() == 0);
  }

  TEST_CASE("client: creates whose answer got lost are not sent again") {
    MlflowBench bench;
    Client& c = bench.client;
    auto const unclear = [&](async::Task<> task) {
      bench.server.hang_up();
      std::size_t const before = bench.server.seen().size();
      try {
        run(bench.context, std::move(task));
        FAIL_CHECK("it must throw");
      } catch (const http::TransportError& error) {
        CHECK(error.outcome_unknown());
      }
      CHECK(bench.server.seen().size() == before + 1);
    };
    unclear(drop(c.create_run({"1", 0, "", "", {}})));
    unclear(drop(c.create_logged_model({"1", "n", "", "", {}, {}})));
    unclear(drop(c.create_model_version({"n", "s3://x", "", "", "", "", {}})));
  }

  TEST_CASE("client: outputs whose answer got lost are completed") {
    MlflowBench bench;
    bench.server.hang_up();
    bench.server.answer(
        200, R"({"run":{"info":{"run_id":"r"},"outputs":{"model_outputs":[{"model_id":"m-1","step":3}]}}})");
    bench.server.answer(200, "{}");
    run(bench.context, bench.client.log_outputs("r", {{"m-1", 3}, {"m-2", 4}}));
    REQUIRE(bench.server.seen().size() == 3);
    CHECK(bench.server.last().body == R"({"run_id":"r","models":[{"model_id":"m-2","step":4}]})");
    // All there: nothing is left to send.
    bench.server.hang_up();
    bench.server.answer(
        200, R"({"run":{"info":{"run_id":"r"},"outputs":{"model_outputs":[{"model_id":"m-1","step":3}]}}})");
    run(bench.context, bench.client.log_outputs("r", {{"m-1", 3}}));
    CHECK(bench.server.seen().size() == 5);
  }

  TEST_CASE("client: artifacts come and go as they are") {
    MlflowBench bench;
    std::string const bytes("a\0b\xff\n", 5);
    bench.server.answer(200, bytes, "application/octet-stream");
    http::Download download = run(bench.context, bench.client.open_proxied("1/a"));
    CHECK(download.size == 5);
    CHECK(run(bench.context, async::read_all(*download.body, 100, "a")) == bytes);
    bench.server.answer(200, "", "text/plain");
    async::OpenReader const open = [&]() -> async::Task<std::unique_ptr<async::ByteReader>> {
      co_return std::make_unique<async::MemoryReader>(bytes);
    };
    run(bench.context, bench.client.put_proxied("1/r/artifacts/d x/é", open, 5));
    CHECK(bench.server.last().method == "PUT");
    CHECK(bench.server.last().target == "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/d%20x/%C3%A9");
    CHECK(bench.server.last().body == bytes);
    bench.server.answer(404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such artifact"})");
    try {
      run(bench.context, bench.client.open_run_artifact("r", "a"));
      FAIL_CHECK("it must throw");
    } catch (const ApiError& error) {
      CHECK(std::string(error.what()) == "GET /get-artifact: 404 RESOURCE_DOES_NOT_EXIST");
      CHECK(!error.no_such_call());
    }
    bench.server.answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE"})");
    CHECK_THROWS_AS(run(bench.context, bench.client.put_proxied("a#b", open, 5)), ApiError);
  }

  TEST_CASE("client: a listing in pages") {
    MlflowBench bench;
    bench.server.answer(200,
                        R"({"files":[{"path":"a","is_dir":false,"file_size":1}],"next_page_token":"t+"})");
    bench.server.answer(200, R"({"files":[{"path":"b","is_dir":true}]})");
    auto const files = run(bench.context, bench.client.list_artifacts("r", ""));
    CHECK(files.size() == 2);
    CHECK(bench.server.last().target == "/api/2.0/mlflow/artifacts/list?run_id=r&page_token=t%2B");
    for (int i = 0; i < 2; ++i) bench.server.answer(200, R"({"next_page_token":"t"})");
    CHECK_THROWS_AS(run(bench.context, bench.client.list_artifacts("r", "")), ApiError);
  }
}
