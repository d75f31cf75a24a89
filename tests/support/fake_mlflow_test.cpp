#include "support/fake_mlflow.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "protocol/mlflow/json.hpp"
#include "support/run.hpp"

using mlferry::async::Task;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
using mlferry::test::Fault;
using mlferry::test::run;
namespace asio = boost::asio;
namespace json = boost::json;
namespace mlflow = mlferry::mlflow;

namespace {

struct Wire {
  std::string bytes;  // all that came
  bool reset = false;
  int status() const { return bytes.size() < 12 ? 0 : std::stoi(bytes.substr(9, 3)); }
  std::string body() const {
    auto const end = bytes.find("\r\n\r\n");
    return end == bytes.npos ? "" : bytes.substr(end + 4);
  }
};

// Sends the bytes on a new connection and reads until the server closes.
Task<Wire> exchange(std::uint16_t port, std::string request) {
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::socket socket(executor);
  asio::ip::tcp::endpoint const server(asio::ip::address_v4::loopback(), port);
  co_await socket.async_connect(server, asio::use_awaitable);
  co_await asio::async_write(socket, asio::buffer(request), asio::use_awaitable);
  Wire wire;
  std::string piece(4096, '\0');
  boost::system::error_code error;
  while (!error) {
    auto const n = co_await socket.async_read_some(asio::buffer(piece),
                                                   asio::redirect_error(asio::use_awaitable, error));
    wire.bytes.append(piece, 0, n);
  }
  wire.reset = error == asio::error::connection_reset;
  co_return wire;
}

std::string request_text(std::string_view method, std::string_view target, std::string_view body = "",
                         std::string_view more_headers = "connection: close\r\n") {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n";
  text += more_headers;
  if (method != "GET") {
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "\r\n" + std::string(body);
}

std::string code_of(FakeMlflow& server, std::string_view method, std::string_view target,
                    const json::object& body = {}) {
  try {
    server.call(method, target, body);
  } catch (const std::runtime_error& error) {
    std::string_view rest = error.what();  // "POST /x: 400 {json}"
    rest.remove_prefix(rest.find(": ") + 2);
    std::string const status(rest.substr(0, 3));
    rest.remove_prefix(4);
    if (!rest.starts_with('{')) return status + " html";
    auto const document = mlflow::parse_json(rest, "error").as_object();
    return status + " " + std::string(mlflow::get_string(document, "error_code"));
  }
  return "200";
}

std::string new_run(FakeMlflow& server, std::string_view experiment, json::object extra = {}) {
  extra["experiment_id"] = experiment;
  auto const answer = server.post("runs/create", extra);
  return std::string(answer.at("run").at("info").at("run_id").as_string());
}

std::string new_experiment(FakeMlflow& server, std::string_view name) {
  return std::string(server.post("experiments/create", {{"name", name}}).at("experiment_id").as_string());
}

json::array tag(std::string_view key, std::string_view value) {
  json::array list;
  list.push_back(json::object{{"key", key}, {"value", value}});
  return list;
}

std::vector<std::string> search_ids(FakeMlflow& server, json::object query) {
  std::vector<std::string> ids;
  std::string token;
  do {
    if (!token.empty()) query["page_token"] = token;
    auto const answer = server.post("runs/search", query);
    if (const json::array* runs = mlflow::get_array(answer, "runs")) {
      for (const auto& found : *runs) ids.emplace_back(found.at("info").at("run_id").as_string());
    }
    token = mlflow::get_string(answer, "next_page_token");
  } while (!token.empty());
  return ids;
}

}  // namespace

TEST_SUITE("support") {
  TEST_CASE("fake server: keep-alive, chunked and Content-Length bodies, 404 and 405 as HTML") {
    asio::io_context context;
    FakeMlflow server(context);
    std::string const body = R"({"name":"über \"x\""})";
    std::string const first =
        "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n" +
        body.substr(0, 3) + "\r\n13;extension\r\n" + body.substr(3) + "\r\n0\r\nTrailer: 1\r\n\r\n";
    REQUIRE(body.size() == 3 + 0x13);
    auto const wire = run(context, exchange(server.port(), first + request_text("GET", "/version")));
    CHECK(wire.bytes.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(wire.bytes.find(R"({"experiment_id":"1"})") != std::string::npos);
    CHECK(wire.bytes.ends_with("\r\n\r\n3.17.2"));
    CHECK(server.connections() == 1);
    REQUIRE(server.log().size() == 2);
    CHECK(server.log()[0].body == body);
    CHECK(server.write_requests().size() == 1);
    CHECK(server.counts().experiments == 1);

    auto const unknown = run(context, exchange(server.port(), request_text("GET", "/api/2.0/mlflow/nope")));
    CHECK(unknown.status() == 404);
    CHECK(unknown.body().find("<title>404 Not Found") != std::string::npos);
    auto const verb =
        run(context, exchange(server.port(), request_text("GET", "/api/2.0/mlflow/experiments/create")));
    CHECK(verb.status() == 405);
    auto const ajax = "/api/2.0/mlflow/metrics/get-history-bulk?run_id=a&metric_key=m";
    CHECK(run(context, exchange(server.port(), request_text("GET", ajax))).status() == 404);
    auto const garbage = run(context, exchange(server.port(), "GARBAGE\r\n\r\n"));
    CHECK(garbage.bytes.empty());
    CHECK(server.protocol_errors().size() == 1);
  }

  TEST_CASE("fake server: each fault does what its name says, by script") {
    asio::io_context context;
    FakeOptions options;
    int number = 0;
    for (auto fault : {Fault::throttle, Fault::throttle_retry_after, Fault::error_500, Fault::unavailable_503,
                       Fault::reset_before, Fault::reset_after, Fault::reset_mid_body, Fault::short_body,
                       Fault::slow_drip, Fault::none}) {
      options.faults.script[static_cast<std::uint64_t>(++number)] = fault;
    }
    options.faults.retry_after_seconds = 7;
    FakeMlflow server(context, options);
    auto const send = [&] {
      return run(context, exchange(server.port(), request_text("POST", "/api/2.0/mlflow/runs/create",
                                                               R"({"experiment_id":"0"})")));
    };
    auto const runs = [&] { return server.counts().runs; };
    CHECK(send().status() == 429);
    auto const held = send();
    CHECK(held.status() == 429);
    CHECK(held.bytes.find("\r\nretry-after: 7\r\n") != std::string::npos);
    auto const broken = send();
    CHECK(broken.status() == 500);
    CHECK(broken.body().starts_with("<"));
    CHECK(send().status() == 503);
    auto const before = send();
    CHECK((before.reset && before.bytes.empty()));
    CHECK(runs() == 0);
    auto const after = send();
    CHECK((after.reset && after.bytes.empty()));
    CHECK(runs() == 1);  // the nasty one
    auto const middle = send();
    CHECK(middle.reset);
    CHECK(middle.status() == 200);
    auto const cut = send();
    CHECK_FALSE(cut.reset);
    CHECK(cut.status() == 200);
    CHECK_THROWS(mlflow::parse_json(cut.body(), "a short body"));
    auto const slow = send();
    CHECK_NOTHROW(mlflow::parse_json(slow.body(), "a slow body"));
    CHECK(send().status() == 200);
    CHECK(runs() == 5);
    CHECK(server.faults_injected() == 9);
    CHECK(server.log()[4].status == 0);
    CHECK(server.log()[5].status == 200);
    CHECK(server.log()[0].fault == Fault::throttle);
  }

  TEST_CASE("fake server: the same seed gives the same faults") {
    mlferry::test::Faults faults;
    faults.set(Fault::throttle, 0.2).set(Fault::reset_after, 0.1);
    auto const sequence = [&](std::uint64_t seed) {
      mlferry::test::FaultDice dice(seed);
      std::vector<Fault> drawn;
      for (std::uint64_t i = 1; i <= 2000; ++i) drawn.push_back(dice.draw(faults, i, "GET", "/x"));
      return drawn;
    };
    auto const drawn = sequence(5);
    CHECK(drawn == sequence(5));
    CHECK(drawn != sequence(6));
    auto const throttled = std::count(drawn.begin(), drawn.end(), Fault::throttle);
    CHECK((throttled > 300 && throttled < 500));
    faults.applies = [](std::string_view method, std::string_view) { return method == "POST"; };
    for (Fault fault : sequence(5)) CHECK(fault == Fault::none);
    for (int i = 0; i < mlferry::test::fault_kinds; ++i) {
      auto const fault = static_cast<Fault>(i);
      CHECK(mlferry::test::fault_from_name(mlferry::test::fault_name(fault)) == fault);
    }
    CHECK_FALSE(mlferry::test::fault_from_name("nonsense"));
  }

  TEST_CASE("fake server: experiments: names stay reserved, delete and restore take the runs along") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const id = new_experiment(server, "a");
    auto const one = new_run(server, id);
    new_run(server, id);
    server.post("runs/delete", {{"run_id", one}});
    server.post("runs/delete", {{"run_id", one}});  // again: fine
    CHECK(server.counts().deleted_runs == 1);
    server.post("experiments/delete", {{"experiment_id", id}});
    CHECK(server.counts().deleted_runs == 2);
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/experiments/create", {{"name", "a"}}) ==
          "400 RESOURCE_ALREADY_EXISTS");
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/experiments/delete", {{"experiment_id", id}}) ==
          "404 RESOURCE_DOES_NOT_EXIST");
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/create", {{"experiment_id", id}}) ==
          "400 INVALID_PARAMETER_VALUE");
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/set-tag",
                  {{"run_id", one}, {"key", "k"}, {"value", "v"}}) == "400 INVALID_PARAMETER_VALUE");
    server.post("experiments/restore", {{"experiment_id", id}});
    CHECK(server.counts().deleted_runs == 0);
    auto const found = server.post("experiments/search", {{"max_results", 10}, {"view_type", "ALL"}});
    CHECK(found.at("experiments").as_array().size() == 2);
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/experiments/search") == "400 INVALID_PARAMETER_VALUE");
    CHECK(code_of(server, "GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=b") ==
          "404 RESOURCE_DOES_NOT_EXIST");
    CHECK(code_of(server, "GET", "/api/2.0/mlflow/experiments/none") == "404 html");
  }

  TEST_CASE("fake server: log-batch is idempotent, atomic and limited; doubles are stored as SQLite would") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const id = new_run(server, "0");
    json::array metrics;
    auto const add = [&](double value, std::int64_t timestamp, std::int64_t step) {
      metrics.push_back(
          json::object{{"key", "m"}, {"value", value}, {"timestamp", timestamp}, {"step", step}});
    };
    add(2.5, 10, 1);
    add(std::nan(""), 5, 0);
    add(-std::numeric_limits<double>::infinity(), 20, 2);
    add(-0.0, 30, 3);
    json::object batch{
        {"run_id", id}, {"metrics", metrics}, {"params", tag("p", "1")}, {"tags", tag("t", "x")}};
    server.post("runs/log-batch", batch);
    server.post("runs/log-batch", batch);
    CHECK(server.counts().metric_points == 4);
    auto const history = server.call("GET", "/api/2.0/mlflow/metrics/get-history?metric_key=m&run_id=" + id);
    auto const& rows = history.at("metrics").as_array();
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].at("value").as_string() == "NaN");
    CHECK(rows[1].at("value").as_double() == 2.5);
    CHECK(rows[2].at("value").as_double() == -std::numeric_limits<double>::max());
    CHECK_FALSE(std::signbit(rows[3].at("value").as_double()));
    auto const target = "/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=m&run_id=" + id;
    auto const wire = run(context, exchange(server.port(), request_text("GET", target)));
    CHECK(wire.body().find("\"value\":NaN}") != std::string::npos);
    auto const page =
        server.call("GET", "/api/2.0/mlflow/metrics/get-history?metric_key=m&max_results=3&run_id=" + id);
    CHECK(page.at("metrics").as_array().size() == 3);
    CHECK(page.contains("next_page_token"));

    batch["params"] = tag("p", "2");
    batch["tags"] = tag("t", "y");
    auto const log_batch = "/api/2.0/mlflow/runs/log-batch";
    CHECK(code_of(server, "POST", log_batch, batch) == "400 INVALID_PARAMETER_VALUE");
    auto const run_now = server.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + id);
    CHECK(mlflow::to_json(run_now.at("run").at("data").at("tags")).find("\"x\"") != std::string::npos);
    json::array many;
    for (int i = 0; i < 101; ++i)
      many.push_back(json::object{{"key", "q" + std::to_string(i)}, {"value", ""}});
    CHECK(code_of(server, "POST", log_batch, {{"run_id", id}, {"params", many}}) ==
          "400 INVALID_PARAMETER_VALUE");
    CHECK(code_of(server, "POST", log_batch, {{"run_id", id}, {"params", tag("a%b", "")}}) ==
          "400 INVALID_PARAMETER_VALUE");
    CHECK(code_of(server, "POST", log_batch, {{"run_id", id}, {"params", tag("a//b", "")}}) ==
          "400 INVALID_PARAMETER_VALUE");
  }

  TEST_CASE(
      "fake server: a bare NaN in a request is the trap that it is on the real one: 200, nothing stored") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const body = R"({"max_results":5,"x":NaN})";
    auto const wire =
        run(context, exchange(server.port(), request_text("POST", "/api/2.0/mlflow/runs/search", body)));
    CHECK(wire.status() == 200);
    CHECK(wire.body() == "{}");
    CHECK(server.counts().unparsable_bodies == 1);
  }

  TEST_CASE("fake server: run search: order, pages, filters, and rows that come twice") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const id = new_experiment(server, "a");
    std::vector<std::string> expected;
    for (int i = 0; i < 25; ++i) {
      json::object run{{"start_time", 1000 - i}};
      run["tags"] = tag("mlferry.source.id", "src" + std::to_string(i % 5) + (i % 2 == 0 ? "'" : ""));
      expected.insert(expected.begin(), new_run(server, id, run));
    }
    json::array ids;
    ids.emplace_back(json::string(id));
    json::object query{{"experiment_ids", ids}, {"max_results", 10}};
    query["order_by"] = json::array{"attributes.start_time ASC"};
    query["run_view_type"] = "ALL";
    CHECK(search_ids(server, query) == expected);
    server.post("runs/delete", {{"run_id", expected[0]}});
    CHECK(search_ids(server, query).size() == 25);
    query["run_view_type"] = "ACTIVE_ONLY";
    CHECK(search_ids(server, query).size() == 24);
    query["run_view_type"] = "DELETED_ONLY";
    CHECK(search_ids(server, query) == std::vector<std::string>{expected[0]});
    query["run_view_type"] = "ALL";
    query["filter"] = R"(tags."mlferry.source.id" = "src1'" AND attributes.status = 'RUNNING')";
    CHECK(search_ids(server, query).size() == 2);
    query["filter"] = "tags.`mlferry.source.id` = 'src1'";
    CHECK(search_ids(server, query).size() == 3);
    query["filter"] = "tags.`mlferry.source.id` LIKE 'src1%'";
    CHECK(search_ids(server, query).size() == 5);
    query["filter"] = "tags.`mlferry.source.id` = 'nowhere'";
    CHECK(search_ids(server, query).empty());
    query["filter"] = "tags.x > 'a'";
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/search", query) == "400 INVALID_PARAMETER_VALUE");

    query.erase("filter");
    auto const first = server.post("runs/search", query);
    query["page_token"] = first.at("next_page_token");
    server.faults().script[1] = Fault::duplicate_rows;
    auto const wire = run(context, exchange(server.port(), request_text("POST", "/api/2.0/mlflow/runs/search",
                                                                        mlflow::to_json(query))));
    auto const second = mlflow::parse_json(wire.body(), "page").as_object();
    REQUIRE(second.at("runs").as_array().size() == 10);
    CHECK(second.at("runs").at(0).at("info").at("run_id").as_string() == expected[9]);
    query["page_token"] = second.at("next_page_token");
    auto const third = server.post("runs/search", query);  // nothing is lost
    REQUIRE(third.at("runs").as_array().size() == 6);
    CHECK(third.at("runs").at(0).at("info").at("run_id").as_string() == expected[19]);
  }

  TEST_CASE("fake server: inputs are idempotent, outputs are not, model inputs show in runs/get only") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const id = new_run(server, "0");
    json::array datasets;
    datasets.push_back(
        json::object{{"dataset", json::object{{"name", "d"}, {"digest", "1"}, {"source", "first"}}},
                     {"tags", tag("mlflow.data.context", "train")}});
    json::array models;
    models.push_back(json::object{{"model_id", "m-gone"}, {"step", 3}});
    json::object const inputs{{"run_id", id}, {"datasets", datasets}, {"models", models}};
    server.post("runs/log-inputs", inputs);
    server.post("runs/log-inputs", inputs);
    json::object const outputs{{"run_id", id}, {"models", models}};
    server.post("runs/outputs", outputs);
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/outputs", outputs) == "400 BAD_REQUEST");
    auto const run_now = server.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + id);
    CHECK(run_now.at("run").at("inputs").at("dataset_inputs").as_array().size() == 1);
    CHECK(run_now.at("run").at("inputs").at("model_inputs").as_array().size() == 1);
    CHECK(run_now.at("run").at("outputs").at("model_outputs").at(0).at("step").as_int64() == 3);
    auto const found = server.post("runs/search", {{"experiment_ids", json::array{"0"}}});
    CHECK_FALSE(found.at("runs").at(0).at("inputs").as_object().contains("model_inputs"));
  }

  TEST_CASE("fake server: logged models and their metrics") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const run_id = new_run(server, "0");
    auto const created =
        server.post("logged-models", {{"experiment_id", "0"}, {"name", "n"}, {"tags", tag("k", "v")}});
    std::string const id(created.at("model").at("info").at("model_id").as_string());
    auto const target = "/api/2.0/mlflow/logged-models/" + id;
    server.call("PATCH", target, {{"model_id", id}, {"status", "LOGGED_MODEL_READY"}});
    CHECK(code_of(server, "PATCH", target, {{"status", "LOGGED_MODEL_READY"}}) ==
          "400 INVALID_PARAMETER_VALUE");
    json::array metrics;
    metrics.push_back(
        json::object{{"key", "m"}, {"value", "NaN"}, {"timestamp", 1}, {"step", 2}, {"model_id", id}});
    server.post("runs/log-batch", {{"run_id", run_id}, {"metrics", metrics}});
    auto const read = server.call("GET", target);
    CHECK(read.at("model").at("data").at("metrics").at(0).at("value").as_double() == 0.0);
    CHECK(read.at("model").at("info").at("status").as_string() == "LOGGED_MODEL_READY");
    json::object query{{"experiment_ids", json::array{"0"}}, {"filter", "tags.`k` = 'v'"}};
    CHECK(server.post("logged-models/search", query).at("models").as_array().size() == 1);
    server.call("DELETE", target, {{"model_id", id}});
    server.call("DELETE", target, {{"model_id", id}});
    CHECK(server.post("logged-models/search", query).empty());
    CHECK(code_of(server, "GET", target) == "404 RESOURCE_DOES_NOT_EXIST");
    CHECK(code_of(server, "GET", target + "?allow_deleted=true") == "200");
  }

  TEST_CASE("fake server: version numbers count deleted ones; sources follow the rules of 3.17") {
    asio::io_context context;
    FakeMlflow server(context);
    server.post("registered-models/create", {{"name", "M"}, {"description", "d"}});
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/registered-models/create", {{"name", "M"}}) ==
          "400 RESOURCE_ALREADY_EXISTS");
    auto const create = [&](std::string_view source, std::string_view run_id = "") {
      json::object body{{"name", "M"}, {"source", source}};
      if (!run_id.empty()) body["run_id"] = run_id;
      return body;
    };
    auto const path = "/api/2.0/mlflow/model-versions/create";
    for (int i = 0; i < 5; ++i) server.post("model-versions/create", create("s3://b/k"));
    auto const remove = [&](std::string_view version) {
      server.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "M"}, {"version", version}});
    };
    server.post("registered-models/alias", {{"name", "M"}, {"alias", "best"}, {"version", "5"}});
    remove("2");
    remove("5");
    CHECK(server.counts().aliases == 0);
    auto const sixth = server.post("model-versions/create", create("s3://b/k"));
    CHECK(sixth.at("model_version").at("version").as_string() == "6");
    auto const found = server.call("GET",
                                   "/api/2.0/mlflow/model-versions/search?order_by=version_number+ASC&filter="
                                   "name%3D%27M%27");
    CHECK(found.at("model_versions").as_array().size() == 4);
    CHECK(found.at("model_versions").at(3).at("version").as_string() == "6");

    auto const run_id = new_run(server, "0");
    auto const art = "mlflow-artifacts:/0/" + run_id + "/artifacts";
    struct Case {
      std::string source, run, expected;
    };
    std::string const bad = "400 INVALID_PARAMETER_VALUE";
    for (const auto& [source, with_run, expected] : std::vector<Case>{
             {art, run_id, "200"},
             {art + "/model", run_id, "200"},
             {art + "/model", "", bad},
             {art + "x", run_id, bad},
             {"runs:/" + run_id + "/model", run_id, "200"},
             {"runs:/" + run_id + "/model", "", bad},
             {"models:/M/1", "", "200"},
             {"models:/M/2", "", "404 RESOURCE_DOES_NOT_EXIST"},
             {"models:/m-0", "", bad},
             {"abc://x", "anything", "200"},
             {"http://h/x", "", bad},
             {"mlflow-artifacts://h/x", "", bad},
             {"file:///x", "", bad},
             {"dummy-source", "", bad},
             {"s3://b/../k", "", bad},
         }) {
      CAPTURE(source);
      CHECK(code_of(server, "POST", path, create(source, with_run)) == expected);
    }
  }

  TEST_CASE(
      "fake server: one prompt version hides a model's versions, and prompts are found with their tag only") {
    asio::io_context context;
    FakeMlflow server(context);
    server.post("registered-models/create",
                {{"name", "p"}, {"tags", tag("mlflow.prompt.is_prompt", "true")}});
    json::object version{{"name", "p"}, {"source", "dummy-source"}};
    version["tags"] = tag("mlflow.prompt.is_prompt", "true");
    server.post("model-versions/create", version);
    auto const search = [&](std::string_view kind, std::string_view filter) {
      auto const answer =
          server.call("GET", "/api/2.0/mlflow/" + std::string(kind) + "/search" + std::string(filter));
      return answer.size();
    };
    auto const with_tag = "?filter=tags.%60mlflow.prompt.is_prompt%60+%3D+%27true%27";
    CHECK(search("registered-models", "") == 0);
    CHECK(search("registered-models", with_tag) == 1);
    CHECK(search("model-versions", "?filter=name%3D%27p%27") == 0);
    CHECK(search("model-versions", with_tag) == 1);
  }

  TEST_CASE("fake server: artifacts: proxied files, listings, graphql, ranges, hostile names") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const id = new_run(server, "0");
    auto const root = "/api/2.0/mlflow-artifacts/artifacts/0/" + id + "/artifacts/";
    auto const put = [&](std::string_view name, std::string_view bytes) {
      return run(context, exchange(server.port(), request_text("PUT", root + std::string(name), bytes)))
          .status();
    };
    auto const get = [&](std::string_view name, std::string_view headers = "connection: close\r\n") {
      return run(context,
                 exchange(server.port(), request_text("GET", root + std::string(name), "", headers)));
    };
    CHECK(put("a.txt", "0123456789") == 200);
    CHECK(put("dir/b%20%C3%A9.txt", "") == 200);
    CHECK(put("dir/sub/c", "c") == 200);
    CHECK(put("a%23b", "x") == 400);
    CHECK(put("..%2f..%2fx", "x") == 400);
    CHECK(put("a%2541b", "x") == 200);  // decoded twice
    CHECK(server.file("0/" + id + "/artifacts/aAb") == "x");
    CHECK(put("dir", "x") == 500);
    CHECK(put("a.txt/x", "x") == 500);
    CHECK(get("a.txt").body() == "0123456789");
    CHECK(get("missing").status() == 404);
    CHECK(get("dir").status() == 400);
    auto const part = get("a.txt", "connection: close\r\nRange: bytes=4-\r\n");
    CHECK(part.status() == 206);
    CHECK(part.body() == "456789");
    CHECK(get("a.txt", "connection: close\r\nRange: bytes=4-\r\nIf-Range: \"other\"\r\n").body() ==
          "0123456789");
    CHECK(get("a.txt", "connection: close\r\nRange: bytes=10-\r\n").status() == 416);

    auto const list = [&](std::string_view path) {
      return mlflow::to_json(
          server.call("GET", "/api/2.0/mlflow/artifacts/list?run_id=" + id + "&path=" + std::string(path)));
    };
    CHECK(list("").find(R"({"path":"a.txt","is_dir":false,"file_size":10})") != std::string::npos);
    CHECK(list("").find(R"({"path":"dir","is_dir":true})") != std::string::npos);
    CHECK(list("dir").find(R"("path":"dir/sub")") != std::string::npos);
    CHECK(list("nope").find("files") == std::string::npos);
    CHECK(list("a.txt").find("files") == std::string::npos);

    json::object const variables{{"r0", id}, {"p0", "dir"}, {"r1", "unknown"}};
    json::object const query{
        {"query",
         "query($r0:String,$p0:String,$r1:String){a0:mlflowListArtifacts(input:{runId:$r0,"
         "path:$p0}){files{path isDir fileSize}} a1:mlflowListArtifacts(input:{runId:$r1})"
         "{files{path isDir fileSize}}}"},
        {"variables", variables}};
    auto const answer = server.call("POST", "/graphql", query);
    auto const& files = answer.at("data").at("a0").at("files").as_array();
    REQUIRE(files.size() == 2);
    CHECK(files[0].at("fileSize").as_string() == "0");
    CHECK(answer.at("data").at("a1").is_null());
    CHECK(answer.at("errors").as_array().size() == 1);
  }

  TEST_CASE("fake server: features it lacks are 404 HTML, and then there is no server-info") {
    asio::io_context context;
    FakeMlflow server(context);
    auto const info = "/api/3.0/mlflow/server-info";
    CHECK(code_of(server, "GET", info) == "200");
    server.faults().no_graphql = server.faults().no_history_bulk = server.faults().no_logged_models = true;
    CHECK(code_of(server, "GET", info) == "404 html");
    CHECK(code_of(server, "POST", "/graphql", {{"query", "{__type}"}}) == "404 html");
    CHECK(code_of(server, "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id=1&metric_key=m") ==
          "404 html");
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/logged-models/search") == "404 html");
  }

  TEST_CASE("fake server: generated runs are complete, the same every time, and cannot be changed") {
    asio::io_context context;
    FakeOptions options;
    options.generated = {.runs = 1'000'000,
                         .experiments = 3,
                         .metrics = 2,
                         .points = 50,
                         .params = 2,
                         .tags = 1,
                         .files = 2,
                         .file_size = 1000};
    FakeMlflow server(context, options);
    auto const counts = server.counts();
    CHECK(counts.experiments == 3);
    CHECK(counts.runs == 1'000'000);
    CHECK(counts.metric_points == 100'000'000);
    json::object query{{"experiment_ids", json::array{"3"}}, {"max_results", 2}, {"run_view_type", "ALL"}};
    query["order_by"] = json::array{"attributes.start_time ASC"};
    query["page_token"] = "eyJvZmZzZXQiOiAzMzMzMzB9";  // {"offset": 333330}
    auto const page = server.post("runs/search", query);
    auto const& found = page.at("runs").as_array();
    REQUIRE(found.size() == 2);  // 333332 runs in the last experiment: 0-based 333330 and 333331
    CHECK_FALSE(page.contains("next_page_token"));
    std::string const id(found[1].at("info").at("run_id").as_string());
    CHECK(found[1].at("info").at("run_name").as_string() == "generated-999999");
    auto const read = server.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + id);
    CHECK(read.at("run").at("data") == found[1].at("data"));
    auto const history = server.call("GET", "/api/2.0/mlflow/metrics/get-history?metric_key=m1&run_id=" + id);
    auto const& rows = history.at("metrics").as_array();
    REQUIRE(rows.size() == 50);
    std::set<double> values;
    for (const auto& row : rows) values.insert(row.at("value").as_double());
    CHECK(values.size() == 50);
    CHECK(read.at("run").at("data").at("metrics").at(1).at("value") == rows[49].at("value"));
    auto const bytes = server.file("3/" + id + "/artifacts/file-1.bin");
    REQUIRE(bytes);
    CHECK(bytes->size() == 1000);
    CHECK(bytes == server.file("3/" + id + "/artifacts/file-1.bin"));
    CHECK(bytes != server.file("3/" + id + "/artifacts/file-0.bin"));
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/set-tag",
                  {{"run_id", id}, {"key", "k"}, {"value", "v"}}) == "400 INVALID_PARAMETER_VALUE");
    CHECK(code_of(server, "POST", "/api/2.0/mlflow/runs/create", {{"experiment_id", "3"}}) ==
          "400 INVALID_PARAMETER_VALUE");
  }

  TEST_CASE("fake server: bulk history is cut at 25,000 rows, in the order of the run ids") {
    asio::io_context context;
    FakeOptions options;
    options.generated = {.runs = 3, .metrics = 1, .points = 10'000};
    FakeMlflow server(context, options);
    auto const ids = search_ids(server, {{"experiment_ids", json::array{"1"}}});
    REQUIRE(ids.size() == 3);
    std::string target = "/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=m0";
    for (const auto& id : ids) target += "&run_id=" + id;
    auto const answer = server.call("GET", target);
    auto const& rows = answer.at("metrics").as_array();
    REQUIRE(rows.size() == 25'000);
    std::set<std::string> const sorted(ids.begin(), ids.end());
    CHECK(rows[0].at("run_id").as_string() == *sorted.begin());
    CHECK(rows[24'999].at("run_id").as_string() == *sorted.rbegin());
  }

  TEST_CASE("fake server: destroyed while a client is connected: the client sees the end") {
    asio::io_context context;
    auto server = std::make_unique<FakeMlflow>(context);
    auto const port = server->port();
    server->faults().latency = std::chrono::milliseconds(5);
    std::string bytes = "none";
    bool failed = false;
    asio::co_spawn(context, exchange(port, request_text("GET", "/version", "", "")),
                   [&](std::exception_ptr failure, Wire wire) {
                     failed = failure != nullptr;
                     bytes = wire.bytes;
                   });
    for (int i = 0; i < 4; ++i) context.run_one();
    server.reset();
    context.restart();
    context.run();
    CHECK_FALSE(failed);
    CHECK(bytes.empty());
  }
}
