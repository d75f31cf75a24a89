// Servers of other generations as source and destination: what the one has and the other cannot hold.

#include <doctest/doctest.h>

#include <filesystem>

#include "protocol/mlflow/json.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/run.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* old_id = "00000000000000000000000000000abc";
constexpr const char* issues = "/api/3.0/mlflow/issues/search";

struct Two {
  explicit Two(FakeOptions from_options = {}, FakeOptions to_options = {})
      : from(loop, std::move(from_options)), to(loop, test::destination(std::move(to_options))) {}
  std::string state() const { return (scratch.path() / "state").string(); }
  std::string archive() const { return (scratch.path() / "archive").string(); }
  Report copy() { return test::copied(loop, from, to, state()); }
  Report through_archive() {
    test::exported(loop, from, archive());
    return test::imported(loop, archive(), to, state());
  }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from, to;
};

json::object parsed(const std::string& text) {
  return mlflow::parse_json(text, "test").as_object();
}

// As 2.22: no logged models, and traces of the older form only.
FakeOptions before_3() {
  FakeOptions options;
  options.faults.version = "2.22.5";
  options.faults.no_logged_models = options.faults.no_traces_v3 = true;
  return options;
}

std::string failures(const Report& report) {
  return test::findings(report, Severity::failed) + test::wrong_sums(report);
}

void add_old_trace(FakeMlflow& server) {
  auto trace = parsed(R"({"experiment_id":"0","timestamp_ms":1767322000123,"execution_time_ms":1500,"status":"OK",
    "request_metadata":[{"key":"mlflow.trace_schema.version","value":"2"}],"tags":[{"key":"mlflow.traceName","value":"old"}]})");
  auto const folder = "0/traces/" + std::string(old_id) + "/artifacts";
  trace["request_id"] = old_id;
  trace["tags"].as_array().push_back(json::object{{"key", "mlflow.artifactLocation"}, {"value", "mlflow-artifacts:/" + folder}});
  server.set_answer("/api/2.0/mlflow/traces", {{"traces", json::array{trace}}});
  server.put_file(folder + "/traces.json", "{\"spans\": [{\"name\":  \"x\"}], \"request\": 2.50}\n");
}

void add_issue(FakeMlflow& server) {
  server.set_answer(issues, parsed(R"({"issues":[{"issue_id":"i-1","experiment_id":"0","name":"n","description":"d","status":"open",
                                       "x_future":{"deep":[1,{"a":null}]}}]})"));
}

// Every document of an archive, by what it is; what jobs write about it (history, files) is left out.
struct Documents {
  std::vector<std::pair<std::string, json::object>> all;

  async::Task<> read(test::Ferry& ferry, std::string folder) {
    auto archive = test::open_archive(ferry, folder);
    ArchiveSource source(ferry.context, *archive, folder, "latest");
    co_await source.open();
    KnowsNothing nothing;
    std::vector<std::string> experiments;
    auto pages = source.experiments();
    while (auto page = co_await pages->next()) {
      for (auto const& record : *page) {
        experiments.emplace_back(record.experiment.id());
        all.emplace_back("experiment", record.experiment.doc);
      }
    }
    for (auto const& id : experiments) {
      auto runs = source.runs(id, nothing);
      while (auto page = co_await runs->next()) {
        for (auto const& record : *page) all.emplace_back("run", record.run.doc);
      }
      auto models = source.logged_models(id, nothing);
      while (auto page = co_await models->next()) {
        for (auto const& record : *page) {
          if (!record.deleted) all.emplace_back("logged model", record.model.doc);  // deleted ones are in no listing
        }
      }
      auto traces = source.traces(id, nothing);
      while (auto page = co_await traces->next()) {
        for (auto const& record : *page) all.emplace_back("trace", record.trace.doc);
      }
    }
    auto registered = source.registered_models(nothing);
    while (auto page = co_await registered->next()) {
      for (auto const& record : *page) {
        all.emplace_back("registered model", record.model.doc);
        if (record.model.is_prompt()) continue;  // their versions are read one by one
        for (auto const& item : record.versions) all.emplace_back("model version", item.version.doc);
      }
    }
    auto objects = source.objects(Kind::issue, nothing);
    while (auto page = co_await objects->next()) {
      for (auto const& record : *page) all.emplace_back("issue", record.doc);
    }
  }
};

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("versions: a trace of the older form keeps id, times and file in the newer one") {
    for (bool const archived : {false, true}) {
      CAPTURE(archived);
      Two servers(before_3());
      add_old_trace(servers.from);
      auto const report = archived ? servers.through_archive() : servers.copy();
      CHECK(failures(report) == "");
      CHECK(report.counts(Kind::trace).created == 1);
      CHECK(!report.not_copied.contains("traces"));
      auto const info = servers.to.call("GET", std::string("/api/3.0/mlflow/traces/") + old_id).at("trace").at("trace_info").as_object();
      CHECK(info.at("request_time") == "2026-01-02T02:46:40.123Z");
      CHECK(info.at("execution_duration") == "1.500s");
      CHECK(info.at("state") == "OK");
      CHECK(info.at("trace_metadata").at("mlflow.trace_schema.version") == "2");
      CHECK(servers.to.file(test::trace_files(servers.to, old_id) + "/traces.json") ==
            "{\"spans\": [{\"name\":  \"x\"}], \"request\": 2.50}\n");
      CHECK((archived ? servers.through_archive() : servers.copy()).total_created() == 0);
      auto const compared = test::compared(servers.loop, servers.from, servers.to);
      CHECK(test::findings(compared, Severity::difference) == "");
      CHECK(compared.counts(Kind::trace).verified == 1);
    }
  }

  TEST_CASE("versions: traces are skipped where they cannot keep their ids, and their spans are not read") {
    Two servers({}, before_3());
    test::make_trace(servers.from, "0", 1);
    auto const report = servers.copy();
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::trace).skipped == 1);
    CHECK(report.total_failed() == 0);
    auto const reasons = test::findings(report, Severity::skipped);
    CHECK(reasons.find("the destination (MLflow 2.22.5) cannot keep a trace under its id") != std::string::npos);
    CHECK(reasons.find("upgrade it and run again") != std::string::npos);
    for (auto const& request : servers.from.log()) CHECK(!request.path.ends_with("get-trace-artifact"));
  }

  TEST_CASE("versions: a run carries what a logged model is, and versions point into it") {
    for (bool const archived : {false, true}) {
      CAPTURE(archived);
      Two servers({}, before_3());
      test::fill_workload(servers.from);
      auto const report = archived ? servers.through_archive() : servers.copy();
      CHECK(failures(report) == "");
      CHECK(report.counts(Kind::logged_model).created == report.counts(Kind::logged_model).found);
      CHECK(report.counts(Kind::artifact).created == report.counts(Kind::artifact).found);
      CHECK(report.counts(Kind::model_version).created == report.counts(Kind::model_version).found);

      auto const version = servers.to.call("GET", "/api/2.0/mlflow/model-versions/get?name=Net&version=3").at("model_version").as_object();
      std::string const source(version.at("source").as_string());
      auto const folder = source.substr(std::string("mlflow-artifacts:/").size());
      auto const carrier = folder.substr(folder.find('/') + 1, 32);
      auto const text = servers.to.file(folder + "/MLmodel").value_or("");
      CHECK(text.find("artifact_path: " + source + "\nmodel_id: " + carrier + "\n") == 0);
      auto const run = servers.to.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + carrier).at("run");
      CHECK(run.at("data").at("params").at(0).at("key") == "depth");
      CHECK(run.at("info").at("status") == "FINISHED");
      // The version still names the run that made the model.
      CHECK(version.at("run_id") != json::value(carrier));
      CHECK(test::findings(report, Severity::loss).find("run " + carrier + " in experiment 'mlferry: logged models' carries") !=
            std::string::npos);

      for (bool const lost : {false, true}) {
        CAPTURE(lost);
        if (lost) fs::remove_all(servers.state());
        auto const again = archived ? servers.through_archive() : servers.copy();
        CHECK(again.total_created() == 0);
        CHECK(failures(again) == "");
      }
    }
  }

  TEST_CASE("versions: a run with NaN is written again where a repeated NaN is refused") {
    FakeOptions options;
    options.faults.refuses_known_nan = true;
    Two servers({}, options);
    auto const run = test::make_run(servers.from, "0", "r");
    json::array rows;
    for (auto const& value : {json::value("NaN"), json::value(0.0), json::value(-0.0), json::value("-Infinity"), json::value(0.1)}) {
      auto const step = static_cast<std::int64_t>(rows.size());
      rows.push_back(json::object{{"key", "m"}, {"value", value}, {"timestamp", 5}, {"step", step}});
    }
    servers.from.post("runs/log-batch", {{"run_id", run}, {"metrics", rows}});
    CHECK(failures(servers.copy()) == "");
    fs::remove_all(servers.state());
    test::log_metric(servers.from, run, "m", 7, 9);
    auto const again = servers.copy();
    CHECK(failures(again) == "");
    CHECK(again.total_created() == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("versions: outputs that the search of 3.1 to 3.5 leaves out arrive all the same") {
    FakeOptions options;
    options.faults.version = "3.1.4";
    options.faults.no_listed_outputs = true;
    Two servers(options, options);
    test::fill_workload(servers.from);
    CHECK(failures(servers.copy()) == "");
    CHECK(test::difference(servers.from, servers.to) == "");
    CHECK(test::findings(test::compared(servers.loop, servers.from, servers.to), Severity::difference) == "");
    fs::remove_all(servers.state());
    auto const again = servers.copy();  // finds its copies of deleted logged models by the outputs that name them
    CHECK(again.total_created() == 0);
    CHECK(test::difference(servers.from, servers.to) == "");
  }

  TEST_CASE("versions: --dry-run tells what would come to a server without logged models and traces") {
    Two servers({}, before_3());
    test::fill_workload(servers.from);
    test::add_prompt_and_traces(servers.from);
    JobOptions dry;
    dry.dry_run = true;
    auto const report = test::copied(servers.loop, servers.from, servers.to, servers.state(), dry);
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::logged_model).created == report.counts(Kind::logged_model).found);
    CHECK(report.counts(Kind::trace).skipped == 3);
    // The question whether there is such a call; it names no run.
    for (auto const& request : servers.to.write_requests()) CHECK(request.path == "/api/2.0/mlflow/runs/log-inputs");
  }

  TEST_CASE("versions: what MLflow 2.3 cannot hold is left out and named, and the runs arrive") {
    FakeOptions oldest = before_3();
    oldest.faults.version = "2.3.2";
    oldest.faults.no_log_inputs = oldest.faults.no_aliases = true;
    Two servers({}, oldest);
    auto const run = test::make_run(servers.from, "0", "r");
    test::log_metric(servers.from, run, "a:b", 1, 1);
    test::log_metric(servers.from, run, "kept", 1, 1);
    std::string const value = std::string(499, 'x') + "\xc3\xa9\xc3\xa9";  // 501 characters
    servers.from.post("runs/log-batch", {{"run_id", run}, {"params", json::array{json::object{{"key", "long"}, {"value", value}},
                                                                                 json::object{{"key", "c:d"}, {"value", "x"}}}}});
    servers.from.post("runs/log-inputs", {{"run_id", run}, {"datasets", json::array{parsed(R"({"dataset":{"name":"d","digest":"1","source_type":"s","source":"x"}})")}}});
    servers.from.post("registered-models/create", {{"name", "M"}});
    servers.from.post("model-versions/create", {{"name", "M"}, {"source", "s3://b/x"}});
    servers.from.post("registered-models/alias", {{"name", "M"}, {"alias", "best"}, {"version", "1"}});
    auto const tag = parsed(R"({"key":"mlflow.prompt.is_prompt","value":"true"})");
    servers.from.post("registered-models/create", {{"name", "p"}, {"tags", json::array{tag}}});
    servers.from.post("model-versions/create", {{"name", "p"}, {"source", "dummy-source"}, {"tags", json::array{tag}}});
    auto const report = servers.copy();
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::prompt).skipped == 1);
    CHECK(report.counts(Kind::prompt_version).skipped == 1);
    auto const lost = test::findings(report, Severity::loss);
    for (auto const* text : {"metric 'a:b' is left out", "param 'c:d' is left out", "param 'long' is cut to the 500 characters",
                             "its dataset inputs are left out", "its aliases are left out"}) {
      CAPTURE(std::string(text));
      CHECK(lost.find(text) != std::string::npos);
    }
    auto const data = servers.to.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + test::run_id(servers.to, "r")).at("run").at("data");
    REQUIRE(data.at("params").as_array().size() == 1);
    CHECK(data.at("params").at(0).at("value") == json::value(std::string(499, 'x') + "\xc3\xa9"));
    CHECK(data.at("metrics").as_array().size() == 1);
    CHECK(servers.copy().total_created() == 0);
  }

  TEST_CASE("versions: kinds that the destination does not have are skipped, not failed") {
    Two servers;
    add_issue(servers.from);
    auto const report = servers.copy();
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::issue).skipped == 1);
    CHECK(test::findings(report, Severity::skipped).find("the destination (MLflow 3.17.2) has no issues: upgrade it") !=
          std::string::npos);
  }

  TEST_CASE("versions: fields, features and forms that are not known yet do no harm and survive in archives") {
    FakeOptions newer;
    newer.faults.version = "5.1.0.dev0";
    newer.faults.unknown_fields = true;
    Two servers(newer);
    servers.from.set_answer("/api/3.0/mlflow/server-info",
                            parsed(R"({"store_type":"Teleporter","features_enabled":{"teleport":{"x":[1]}},"kinds":["beam"]})"));
    test::fill_workload(servers.from);
    test::add_prompt_and_traces(servers.from);
    add_issue(servers.from);
    auto const report = servers.through_archive();
    CHECK(failures(report) == "");
    CHECK(report.counts(Kind::run).created == report.counts(Kind::run).found);
    CHECK(test::difference(servers.from, servers.to) == "");

    test::Ferry ferry(servers.loop);
    Documents archived;
    test::run(servers.loop, archived.read(ferry, servers.archive()));
    std::map<std::string, int> kinds;
    auto const field = mlflow::parse_json(R"({"a":[1,null,0.1,"é"]})", "test");
    for (auto const& [kind, doc] : archived.all) {
      ++kinds[kind];
      CAPTURE(kind);
      REQUIRE(doc.contains("x_future"));
      CHECK(doc.at("x_future") == field);
    }
    CHECK(kinds.size() == 7);
  }
}
