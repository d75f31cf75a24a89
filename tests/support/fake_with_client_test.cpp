// The project's own client against the fake server: every call of mlflow::Client works there, and with faults
// that the client may repeat the answers stay the same.

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "protocol/http/client.hpp"
#include "protocol/mlflow/client.hpp"
#include "support/fake_mlflow.hpp"
#include "support/run.hpp"

using mlferry::async::Task;
using mlferry::mlflow::Client;
using mlferry::mlflow::KeyValues;
using mlferry::mlflow::View;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
using mlferry::test::Fault;
using mlferry::test::run;
namespace async = mlferry::async;
namespace http = mlferry::http;
namespace mlflow = mlferry::mlflow;

namespace {

http::ClientOptions quick(const FakeMlflow& server) {
  http::ClientOptions options;
  options.base_url = server.url();
  options.retry.attempts = 12;
  options.retry.base_delay = std::chrono::milliseconds(1);
  options.retry.max_delay = std::chrono::milliseconds(4);
  options.retry.max_retry_after = std::chrono::milliseconds(5);
  options.retry.budget = 100'000;
  options.random_seed = 3;
  return options;
}

async::OpenReader opens(std::string bytes) {
  return [bytes]() -> Task<std::unique_ptr<async::ByteReader>> {
    co_return std::make_unique<async::MemoryReader>(bytes);
  };
}

Task<> use_registry(Client& client, std::string run_id, std::string artifact_uri) {
  co_await client.create_registered_model("M", "text", KeyValues{{"k", "v"}});
  for (int i = 0; i < 3; ++i) {
    Client::NewModelVersion version;
    version.name = "M";
    version.source = artifact_uri + "/model";
    version.run_id = run_id;
    auto const created = co_await client.create_model_version(version);
    CHECK(created.number() == i + 1);
  }
  co_await client.delete_model_version("M", 2);
  co_await client.delete_model_version("M", 2);  // gone already: fine
  co_await client.set_alias("M", "best", "3");
  co_await client.transition_stage("M", 3, "Production");
  co_await client.update_model_version("M", 3, "third");
  co_await client.set_model_version_tag("M", 3, "t", "x");
  co_await client.update_registered_model("M", "new text");
  co_await client.set_registered_model_tag("M", "k2", "v2");
  auto const models = co_await client.search_registered_models("", 10, "");
  REQUIRE(models.items.size() == 1);
  CHECK(models.items[0].description() == "new text");
  CHECK(models.items[0].aliases().size() == 1);
  auto const versions = co_await client.search_model_versions("name='M'", 10, "");
  REQUIRE(versions.items.size() == 2);
  CHECK(versions.items[1].number() == 3);
  CHECK(versions.items[1].stage() == "Production");
  CHECK(versions.items[1].description() == "third");
  auto const gone = co_await client.get_model_version("M", 2);
  CHECK_FALSE(gone);
  auto const model = co_await client.get_registered_model("nobody");
  CHECK_FALSE(model);
}

Task<> use_logged_models(Client& client, std::string experiment, std::string run_id) {
  Client::NewLoggedModel wanted;
  wanted.experiment_id = experiment;
  wanted.name = "net";
  wanted.source_run_id = run_id;
  wanted.params = {{"p", "1"}};
  auto const created = co_await client.create_logged_model(wanted);
  std::string const id(created.id());
  co_await client.set_logged_model_status(id, "LOGGED_MODEL_READY");
  co_await client.set_logged_model_tags(id, KeyValues{{"mlferry.source.id", "m-1"}});
  auto const found =
      co_await client.search_logged_models({experiment}, "tags.`mlferry.source.id` = 'm-1'", 10, "");
  REQUIRE(found.items.size() == 1);
  CHECK(found.items[0].status() == "LOGGED_MODEL_READY");
  co_await client.log_outputs(run_id, {{id, 4}});
  std::string const path = std::string(created.artifact_uri()).substr(18) + "/MLmodel";
  co_await client.put_proxied(path, opens("flavors:\n"), 9);
  auto const files = co_await client.list_logged_model_artifacts(id, "");
  REQUIRE(files.size() == 1);
  CHECK(files[0].size == 9u);
  auto download = co_await client.open_logged_model_artifact(id, "MLmodel");
  auto const text = co_await async::read_all(*download.body, 100, "MLmodel");
  CHECK(text == "flavors:\n");
  co_await client.delete_logged_model(id);
  auto const deleted = co_await client.get_logged_model(id);
  CHECK(deleted.has_value());
}

Task<> use_everything(FakeMlflow& server, Client& client) {
  auto const capabilities = co_await client.probe();
  CHECK(capabilities.version == "3.17.2");
  CHECK(capabilities.graphql);
  auto const experiment = co_await client.create_experiment("name / \"x\"", "", KeyValues{{"a", "b"}});
  co_await client.set_experiment_tag(experiment, "c", "d");
  auto const by_name = co_await client.get_experiment_by_name("name / \"x\"");
  REQUIRE(by_name);
  CHECK(by_name->tags().size() == 2);
  auto const all = co_await client.search_experiments(View::all, 1, "");
  CHECK(all.items.size() == 1);
  CHECK_FALSE(all.next_token.empty());

  Client::NewRun wanted;
  wanted.experiment_id = experiment;
  wanted.start_time = -5;
  wanted.tags = {{"mlferry.source.id", "it's"}};
  auto const created = co_await client.create_run(wanted);
  std::string const run_id(created.id());
  std::string const uri(created.artifact_uri());
  std::vector<Client::BatchMetric> metrics;
  for (int i = 0; i < 5; ++i)
    metrics.push_back({"m", {i == 2 ? std::nan("") : i / 3.0, 10 + i, i}, "", "", ""});
  KeyValues const params{{"p", "1"}};
  co_await client.log_batch(run_id, metrics, params, {});
  co_await client.update_run(run_id, "FINISHED", 99);
  co_await client.set_run_tag(run_id, "t", "u");
  auto const bulk = co_await client.history_bulk({run_id}, "m");
  REQUIRE(bulk.size() == 5);
  CHECK(std::isnan(bulk[2].point.value));
  CHECK(bulk[4].point.value == 4 / 3.0);
  auto const page = co_await client.history(run_id, "m", 3, "");
  CHECK(page.items.size() == 3);
  CHECK_FALSE(page.next_token.empty());
  auto const found = co_await client.search_runs({experiment}, "tags.\"mlferry.source.id\" = \"it's\"",
                                                 View::active, 10, "");
  REQUIRE(found.items.size() == 1);
  CHECK(found.items[0].end_time() == 99);
  CHECK(found.items[0].start_time() == -5);

  std::string const folder = uri.substr(18) + "/";
  co_await client.put_proxied(folder + "a b/100%.txt", opens("hello"), 5);
  auto const listed = co_await client.list_artifacts_batch({{run_id, ""}, {run_id, "a b"}, {"unknown", ""}});
  REQUIRE(listed.size() == 3);
  REQUIRE(listed[1]);
  CHECK((*listed[1])[0].path == "a b/100%.txt");
  CHECK((*listed[1])[0].size == 5u);
  CHECK_FALSE(listed[2]);
  auto const one_by_one = co_await client.list_artifacts(run_id, "a b");
  CHECK(one_by_one.size() == 1);
  auto const proxied = co_await client.list_proxied(folder + "a b");
  CHECK(proxied.size() == 1);
  auto download = co_await client.open_run_artifact(run_id, "a b/100%.txt");
  auto const text = co_await async::read_all(*download.body, 100, "file");
  CHECK(text == "hello");
  auto second = co_await client.open_proxied(folder + "a b/100%.txt");
  auto const again = co_await async::read_all(*second.body, 100, "file");
  CHECK(again == "hello");

  co_await use_logged_models(client, experiment, run_id);
  co_await use_registry(client, run_id, uri);
  co_await client.delete_run(run_id);
  co_await client.delete_experiment(experiment);
  auto const counts = server.counts();
  CHECK(counts.deleted_experiments == 1);
  CHECK(counts.deleted_runs == 1);
  CHECK(counts.model_versions == 2);
  CHECK(counts.unparsable_bodies == 0);
  CHECK(server.protocol_errors().empty());
}

}  // namespace

TEST_SUITE("support") {
  TEST_CASE("fake server and client: every call") {
    boost::asio::io_context context;
    FakeMlflow server(context);
    http::Client connection(context.get_executor(), quick(server), nullptr);
    Client client(connection);
    run(context, use_everything(server, client));
  }

  TEST_CASE("fake server and client: every call again, with faults that change nothing") {
    boost::asio::io_context context;
    FakeOptions options;
    options.faults.seed = 11;
    options.faults.drip_pause = std::chrono::milliseconds(0);
    options.faults.set(Fault::throttle, 0.1)
        .set(Fault::throttle_retry_after, 0.05)
        .set(Fault::error_500, 0.1)
        .set(Fault::unavailable_503, 0.05)
        .set(Fault::slow_drip, 0.1);
    // After a 5xx to one of these nobody knows whether it was carried out: the client tells, and does not
    // repeat.
    options.faults.applies = [](std::string_view method, std::string_view path) {
      return method == "GET" || !(path.ends_with("runs/create") || path.ends_with("model-versions/create") ||
                                  path.ends_with("/logged-models") || path.ends_with("runs/outputs"));
    };
    FakeMlflow server(context, options);
    http::Client connection(context.get_executor(), quick(server), nullptr);
    Client client(connection);
    run(context, use_everything(server, client));
    CHECK(server.faults_injected() > 5);
  }

  TEST_CASE(
      "fake server and client: a create whose answer is lost is done once, and the client says it does not "
      "know") {
    boost::asio::io_context context;
    FakeOptions options;
    options.faults.script[1] = Fault::reset_after;
    FakeMlflow server(context, options);
    http::Client connection(context.get_executor(), quick(server), nullptr);
    Client client(connection);
    Client::NewRun wanted;
    wanted.experiment_id = "0";
    bool unknown = false;
    try {
      run(context, client.create_run(wanted));
    } catch (const http::TransportError& error) {
      unknown = error.outcome_unknown();
    }
    CHECK(unknown);
    CHECK(server.counts().runs == 1);
    CHECK(server.write_requests().size() == 1);
  }

  TEST_CASE("fake server and client: reading survives resets and short bodies") {
    boost::asio::io_context context;
    FakeOptions options;
    options.generated = {.runs = 300, .metrics = 1, .points = 4, .files = 1, .file_size = 50'000};
    for (auto fault : {Fault::reset_before, Fault::reset_after, Fault::reset_mid_body, Fault::short_body}) {
      options.faults.set(fault, 0.08);
    }
    FakeMlflow server(context, options);
    http::Client connection(context.get_executor(), quick(server), nullptr);
    Client client(connection);
    std::size_t seen = 0;
    std::size_t bytes = 0;
    auto body = [&]() -> Task<> {
      std::string token;
      do {
        auto const page = co_await client.search_runs({"1"}, "", View::all, 20, token);
        for (const auto& found : page.items) {
          ++seen;
          if (seen % 10 != 0) continue;
          auto const rows = co_await client.history_bulk({std::string(found.id())}, "m0");
          CHECK(rows.size() == 4);
          auto download = co_await client.open_run_artifact(std::string(found.id()), "file-0.bin");
          auto const file = co_await async::read_all(*download.body, 100'000, "file");
          auto const path = std::string(found.artifact_uri()).substr(18) + "/file-0.bin";
          CHECK(file == server.file(path));
          bytes += file.size();
        }
        token = page.next_token;
      } while (!token.empty());
    };
    run(context, body());
    CHECK(seen == 300);
    CHECK(bytes == 30 * 50'000);
    CHECK(server.faults_injected() > 10);
  }
}
