// Traces and prompts on whole jobs between fake servers. What arrived is judged by asking the servers.

#include <doctest/doctest.h>

#include <filesystem>

#include "protocol/mlflow/json.hpp"
#include "support/archive_fixture.hpp"
#include "support/contents.hpp"
#include "support/ferry.hpp"
#include "support/workload.hpp"

using namespace mlferry;
using namespace mlferry::engine;
using mlferry::test::FakeMlflow;
using mlferry::test::FakeOptions;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* infos = "/api/3.0/mlflow/traces";

struct Two {
  explicit Two(FakeOptions options = {}) : from(loop, std::move(options)), to(loop, test::destination()) {}
  std::string state() const { return (scratch.path() / "state").string(); }
  std::string archive() const { return (scratch.path() / "archive").string(); }
  Report copy(JobOptions options = {}) { return test::copied(loop, from, to, state(), options); }
  Report export_it(JobOptions options = {}) { return test::exported(loop, from, archive(), options); }
  Report import_it(JobOptions options = {}) { return test::imported(loop, archive(), to, state(), options); }
  Report compare() { return test::compared(loop, from, to); }

  test::ScratchFolder scratch;
  boost::asio::io_context loop;
  FakeMlflow from, to;
};

std::string text(const json::value& value) {
  return std::string(value.as_string());
}

json::object parsed(const std::string& text) {
  return mlflow::parse_json(text, "test").as_object();
}

json::object info_of(FakeMlflow& server, const std::string& id) {
  return server.call("GET", std::string(infos) + "/" + id).at("trace").at("trace_info").as_object();
}

std::string spans_of(FakeMlflow& server, const std::string& id) {
  return mlflow::to_json(server.call("GET", "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=" + id));
}

constexpr const char* trace_id = "tr-abababababababababababababababab";

// One trace with two spans, assessments, one that overrides another, a run, and a prompt.
void make_trace(FakeMlflow& server, const std::string& experiment, const std::string& run, const std::string& linked) {
  auto trace = parsed(R"({"trace":{"trace_info":{"trace_id":"tr-abababababababababababababababab",
    "request_time":"2026-01-02T03:04:05.678Z","execution_duration":"1.5s","state":"ERROR","request_preview":"q",
    "trace_metadata":{"m":"x"},"tags":{"mlflow.trace.spansLocation":"TRACKING_STORE","t":"é"},
    "assessments":[{"assessment_id":"a-1","assessment_name":"c","feedback":{"value":true}}]}}})");
  auto& info = trace["trace"].as_object()["trace_info"].as_object();
  info["trace_location"] = json::object{{"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", json::object{{"experiment_id", experiment}}}};
  info["trace_metadata"].as_object()["mlflow.sourceRun"] = run;
  server.call("POST", infos, trace);
  server.call("POST", std::string(infos) + "/" + trace_id + "/assessments",
              parsed(R"({"assessment":{"assessment_id":"a-2","assessment_name":"c","overrides":"a-1","feedback":{"value":false}}})"));
  server.post("traces/link-to-run", {{"trace_ids", json::array{trace_id}}, {"run_id", linked}});
  server.post("traces/link-prompts", {{"trace_id", trace_id}, {"prompt_versions", json::array{json::object{{"name", "p"}, {"version", "1"}}}}});
}

void make_prompt(FakeMlflow& server, const std::string& experiment) {
  json::object const tag{{"key", "mlflow.prompt.is_prompt"}, {"value", "true"}};
  json::object const homes{{"key", "_mlflow_experiment_ids"}, {"value", "," + experiment + ","}};
  server.post("registered-models/create", {{"name", "p"}, {"tags", json::array{tag, homes}}});
  for (int i = 0; i < 4; ++i) {
    json::object const text{{"key", "mlflow.prompt.text"}, {"value", "version {{" + std::to_string(i) + "}}"}};
    server.post("model-versions/create", {{"name", "p"}, {"source", "dummy-source"}, {"description", "why"},
                                          {"tags", json::array{tag, text}}});
  }
  server.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "p"}, {"version", "2"}});
  server.post("registered-models/alias", {{"name", "p"}, {"alias", "live"}, {"version", "3"}});
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("prompts: versions, gaps, aliases and links to experiments arrive") {
    Two servers;
    auto const experiment = test::make_experiment(servers.to, "takes an id");  // so that ids differ
    auto const home = test::make_experiment(servers.from, "home");
    make_prompt(servers.from, home);
    for (bool through_archive : {false, true}) {
      CAPTURE(through_archive);
      Report report;
      if (through_archive) {
        CHECK(servers.export_it().counts(Kind::prompt_version).created == 3);
        report = servers.import_it();
        CHECK(report.total_created() == 0);
      } else {
        report = servers.copy();
        CHECK(report.counts(Kind::prompt_version).created == 3);
        CHECK(report.counts(Kind::prompt).created == 1);
      }
      CHECK(report.total_failed() == 0);
      CHECK(report.counts(Kind::registered_model).found == 0);
      CHECK(test::wrong_sums(report).empty());
    }
    auto const prompt = servers.to.call("GET", "/api/2.0/mlflow/registered-models/get?name=p").at("registered_model").as_object();
    CHECK(prompt.at("aliases").at(0).at("version") == "3");
    bool mapped = false;
    for (auto const& tag : prompt.at("tags").as_array()) {
      if (tag.at("key") == "_mlflow_experiment_ids") mapped = text(tag.at("value")) != "," + home + ",";
    }
    CHECK(mapped);
    CHECK(experiment == home);
    auto const third = servers.to.call("GET", "/api/2.0/mlflow/model-versions/get?name=p&version=3");
    CHECK(third.at("model_version").at("description") == "why");
    CHECK(servers.to.counts().model_versions == 3);
    auto const verified = servers.compare();
    CHECK(verified.total_different() == 0);
    CHECK(verified.counts(Kind::prompt_version).verified == 3);
  }

  TEST_CASE("traces: infos, spans, assessments and links arrive, ids kept; again is nothing") {
    Two servers;
    test::make_experiment(servers.to, "takes an id");
    auto const home = test::make_experiment(servers.from, "home");
    auto const run = test::make_run(servers.from, home, "made it");
    auto const linked = test::make_run(servers.from, "0", "looked at it");
    make_prompt(servers.from, home);
    make_trace(servers.from, home, run, linked);
    auto const exported = servers.export_it();
    CHECK(exported.counts(Kind::trace).created == 1);
    auto const imported = servers.import_it();
    CHECK(test::findings(imported, Severity::failed) == "");
    CHECK(test::findings(imported, Severity::loss) == "");
    CHECK(imported.counts(Kind::trace).created == 1);

    auto copy = info_of(servers.to, trace_id);
    CHECK(copy.at("request_time") == "2026-01-02T03:04:05.678Z");
    CHECK(copy.at("execution_duration") == "1.5s");
    CHECK(copy.at("state") == "ERROR");
    CHECK(copy.at("tags").at("t") == "é");
    CHECK(text(copy.at("trace_metadata").at("mlflow.sourceRun")) == test::run_id(servers.to, "made it"));
    CHECK(copy.at("assessments").at(0).at("valid") == false);  // by the one that overrides it
    CHECK(copy.at("assessments").as_array().size() == 2);
    CHECK(spans_of(servers.to, trace_id) == spans_of(servers.from, trace_id));
    auto const found = servers.to.call("POST", std::string(infos) + "/search",
                                       parsed(R"({"locations":[{"mlflow_experiment":{"experiment_id":")" +
                                              std::string(copy.at("trace_location").at("mlflow_experiment").at("experiment_id").as_string()) +
                                              R"("}}],"filter":"attributes.run_id = ')" + test::run_id(servers.to, "looked at it") + "'\"}"));
    CHECK(found.contains("traces"));

    CHECK(servers.compare().total_different() == 0);
    servers.to.clear_log();
    auto const again = servers.import_it();
    CHECK(again.total_created() == 0);
    CHECK(again.counts(Kind::trace).skipped == 1);
    CHECK(servers.to.write_requests().empty());
    // Without the ledger it is written again, over itself.
    fs::remove_all(servers.state());
    CHECK(servers.import_it().total_created() == 0);
    CHECK(servers.to.counts().traces == 1);
    CHECK(servers.compare().total_different() == 0);

    // A tag that is set later comes along; a byte in a span is seen by verify.
    auto trace = json::object{{"trace", json::object{{"trace_info", info_of(servers.from, trace_id)}}}};
    trace["trace"].as_object()["trace_info"].as_object()["tags"].as_object()["later"] = "1";
    servers.from.call("POST", infos, trace);
    servers.export_it();
    CHECK(servers.import_it().counts(Kind::trace).copied == 1);
    CHECK(info_of(servers.to, trace_id).at("tags").at("later") == "1");
  }

  TEST_CASE("traces: the prompts that they may be linked with are looked for without the rest of the registry") {
    Two servers;
    make_prompt(servers.from, "0");
    for (auto const* name : {"a", "b", "c"}) {
      servers.from.post("registered-models/create", {{"name", name}});
      servers.from.post("model-versions/create", {{"name", name}, {"source", "s3://bucket/x"}});
    }
    auto const trace = test::make_trace(servers.from, "0", 1);
    servers.from.post("traces/link-prompts", {{"trace_id", trace}, {"prompt_versions", json::array{json::object{{"name", "p"}, {"version", "3"}}}}});
    CHECK(servers.copy().counts(Kind::trace).created == 1);
    CHECK(servers.compare().total_different() == 0);
    std::size_t walks = 0;
    servers.from.clear_log();
    servers.copy();
    for (auto const& request : servers.from.log()) walks += request.path.ends_with("/model-versions/search");
    CHECK(walks == 3 + 2);  // each model once, the prompt twice
  }

  TEST_CASE("traces: NaN of an event is a number in the copy, and verify tells it from the text") {
    for (bool const archived : {false, true}) {
      CAPTURE(archived);
      Two servers;
      auto const trace = test::make_trace(servers.from, "0", 1);
      if (archived) servers.export_it();
      auto const report = archived ? servers.import_it() : servers.copy();
      CHECK(report.counts(Kind::trace).created == 1);
      CHECK(servers.compare().total_different() == 0);
      auto spans = servers.from.call("GET", "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=" + trace).at("spans").as_array();
      CHECK(spans.at(0).at("events").at(0).at("attributes").at("nan") == "NaN");  // of the parser that the test uses
      servers.to.put_spans("0", spans);
      CHECK(servers.compare().total_different() == 1);
    }
  }

  TEST_CASE("traces: many are streamed, and counted") {
    FakeOptions options;
    options.generated.traces = 1500;  // three pages
    options.generated.trace_spans = 3;
    Two servers(options);
    auto const report = servers.copy();
    CHECK(report.counts(Kind::trace).created == 1500);
    CHECK(servers.to.counts().spans == 4500);
    CHECK(test::wrong_sums(report).empty());
    CHECK(servers.compare().counts(Kind::trace).verified == 1500);
    auto const again = servers.copy();
    CHECK(again.counts(Kind::trace).skipped == 1500);
  }

  TEST_CASE("traces: one of another experiment in the destination is not overwritten") {
    Two servers;
    auto const home = test::make_experiment(servers.from, "home");
    auto const run = test::make_run(servers.from, home, "made it");
    make_prompt(servers.from, home);
    make_trace(servers.from, home, run, run);
    auto const foreign = test::make_experiment(servers.to, "somebody else's");
    auto const other = test::make_run(servers.to, foreign, "x");
    make_prompt(servers.to, foreign);
    servers.to.call("DELETE", "/api/2.0/mlflow/registered-models/delete", {{"name", "p"}});
    make_trace(servers.to, foreign, other, other);
    auto const report = servers.copy();
    CHECK(report.counts(Kind::trace).failed == 1);
    CHECK(test::findings(report, Severity::failed).find("in another experiment") != std::string::npos);
    CHECK(text(info_of(servers.to, trace_id).at("trace_metadata").at("mlflow.sourceRun")) == other);
  }

  TEST_CASE("traces: --dry-run writes nothing and says what would come") {
    FakeOptions options;
    options.generated.traces = 10;
    Two servers(options);
    JobOptions dry;
    dry.dry_run = true;
    auto const report = servers.copy(dry);
    CHECK(report.counts(Kind::trace).created == 10);
    CHECK(servers.to.write_requests().empty());
  }
}
