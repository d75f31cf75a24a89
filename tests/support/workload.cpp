#include "support/workload.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include <boost/json/array.hpp>

#include "protocol/mlflow/json.hpp"
#include "protocol/mlflow/otlp.hpp"

namespace mlferry::test {

namespace json = boost::json;

namespace {

constexpr std::string_view proxy = "mlflow-artifacts:/";

json::array pairs(std::initializer_list<std::pair<const char*, std::string>> items) {
  json::array list;
  for (auto const& [key, value] : items) list.push_back(json::object{{"key", key}, {"value", value}});
  return list;
}

std::string text(const json::object& object, std::string_view key) {
  return std::string(mlflow::get_string(object, key));
}

json::object run_info(FakeMlflow& server, const std::string& id) {
  return server.call("GET", "/api/2.0/mlflow/runs/get?run_id=" + id).at("run").at("info").as_object();
}

struct Model {
  std::string id, files;
};

Model make_logged_model(FakeMlflow& server, const std::string& experiment, const std::string& name,
                        const std::string& run) {
  auto const answer = server.call("POST", "/api/2.0/mlflow/logged-models",
                                  {{"experiment_id", experiment},
                                   {"name", name},
                                   {"model_type", "net"},
                                   {"source_run_id", run},
                                   {"params", pairs({{"depth", "3"}})},
                                   {"tags", pairs({{"colour", "blue"}})}});
  auto const& info = answer.at("model").at("info").as_object();
  Model model{text(info, "model_id"), text(info, "artifact_uri").substr(proxy.size())};
  server.put_file(model.files + "/MLmodel", "artifact_path: " + std::string(proxy) + model.files +
                                                "\nmodel_id: " + model.id + "\nrun_id: " + run +
                                                "\n# a comment\n");
  server.put_file(model.files + "/data/weights.bin", std::string(3000, '\x07') + name);
  return model;
}

void set_model_status(FakeMlflow& server, const Model& model) {
  server.call("PATCH", "/api/2.0/mlflow/logged-models/" + model.id,
              {{"model_id", model.id}, {"status", "LOGGED_MODEL_READY"}});
}

void make_version(FakeMlflow& server, const std::string& name, const std::string& source,
                  const std::string& run, const std::string& model_id = "") {
  json::object body{{"name", name}, {"source", source}, {"description", "from " + name}};
  if (!run.empty()) body["run_id"] = run;
  if (!model_id.empty()) body["model_id"] = model_id;
  body["tags"] = pairs({{"checked", "yes"}});
  server.post("model-versions/create", body);
}

void log_edge_metrics(FakeMlflow& server, const std::string& run) {
  using limits = std::numeric_limits<double>;
  std::int64_t step = 0;
  json::array metrics;
  auto const add = [&](json::value value) {
    metrics.push_back(json::object{
        {"key", "edge"}, {"value", std::move(value)}, {"timestamp", 7000 + step}, {"step", step}});
    ++step;
  };
  for (double const value : {0.1, 1.0 / 3, limits::max(), limits::lowest(), limits::denorm_min(),
                             limits::min(), 1e22, 5e-324, 0.0, -1.5, 123456789.123456789}) {
    add(value);
  }
  add("NaN");
  add("Infinity");
  add("-Infinity");
  server.post("runs/log-batch", {{"run_id", run}, {"metrics", std::move(metrics)}});
  // Equal steps and times, and a step below zero.
  log_metric(server, run, "loss", 0.5, -3, 1);
  log_metric(server, run, "loss", 0.25, 1, 2);
  log_metric(server, run, "loss", 0.125, 1, 2);
}

void fill_registry(FakeMlflow& server, const std::string& run, const Model& model) {
  server.post("registered-models/create",
              {{"name", "Net"}, {"description", "text"}, {"tags", pairs({{"team", "a"}})}});
  auto const run_source = std::string(proxy) + run_files(server, run) + "/model";
  make_version(server, "Net", run_source, run);
  make_version(server, "Net", run_source, run);
  make_version(server, "Net", std::string(proxy) + model.files, run, model.id);
  make_version(server, "Net", run_source, run);
  server.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "Net"}, {"version", "2"}});
  server.post("model-versions/transition-stage", {{"name", "Net"}, {"version", "1"}, {"stage", "Archived"}});
  server.post("registered-models/alias", {{"name", "Net"}, {"alias", "best"}, {"version", "4"}});
  server.post("registered-models/alias", {{"name", "Net"}, {"alias", "old"}, {"version", "1"}});
  // Comes before Net in the listing, and needs it.
  server.post("registered-models/create", {{"name", "Ahead"}});
  make_version(server, "Ahead", "models:/Net/3", "");
  server.post("registered-models/create", {{"name", "Empty"}, {"description", "no versions"}});
  server.post("registered-models/create", {{"name", "Gap first"}});
  make_version(server, "Gap first", "s3://bucket/a", "");
  make_version(server, "Gap first", "s3://bucket/b", "");
  server.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "Gap first"}, {"version", "1"}});
}

}  // namespace

FakeOptions destination(FakeOptions options) {
  options.generated.seed = 4711;
  return options;
}

std::string make_experiment(FakeMlflow& server, const std::string& name) {
  return text(server.post("experiments/create", {{"name", name}, {"tags", pairs({{"kind", "test"}})}}),
              "experiment_id");
}

std::string make_run(FakeMlflow& server, const std::string& experiment_id, const std::string& name,
                     std::int64_t start_time) {
  auto const answer = server.post("runs/create", {{"experiment_id", experiment_id},
                                                  {"run_name", name},
                                                  {"user_id", "someone"},
                                                  {"start_time", start_time},
                                                  {"tags", pairs({{"colour", "red"}})}});
  return text(answer.at("run").at("info").as_object(), "run_id");
}

void set_run_tag(FakeMlflow& server, const std::string& run_id, const std::string& key,
                 const std::string& value) {
  server.post("runs/set-tag", {{"run_id", run_id}, {"key", key}, {"value", value}});
}

void log_metric(FakeMlflow& server, const std::string& run_id, const std::string& key, double value,
                std::int64_t step, std::int64_t timestamp) {
  json::array one;
  one.push_back(json::object{{"key", key}, {"value", value}, {"timestamp", timestamp}, {"step", step}});
  server.post("runs/log-batch", {{"run_id", run_id}, {"metrics", std::move(one)}});
}

void finish_run(FakeMlflow& server, const std::string& run_id) {
  server.post("runs/update", {{"run_id", run_id}, {"status", "FINISHED"}, {"end_time", 9000}});
}

std::string make_trace(FakeMlflow& server, const std::string& experiment_id, int number) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  auto const letter = digits.at(static_cast<std::size_t>(number));
  // Base64 of 16 bytes, whose last one the letter is.
  auto const otlp_id = "q6urAAAAAAAAAAAAAAAA" + std::string(1, letter) + "A==";
  json::array spans;
  for (auto const* span_id : {"AAAAAAAAAAE=", "AAAAAAAAAAI="}) {
    json::array events;
    if (spans.empty()) {
      json::object const attributes{{"n", 1}, {"nan", std::numeric_limits<double>::quiet_NaN()}, {"text", "NaN"}};
      events.push_back(json::object{{"name", "e"}, {"time_unix_nano", 15}, {"attributes", attributes}});
    }
    spans.push_back(json::object{{"trace_id", otlp_id},
                                 {"span_id", span_id},
                                 {"parent_span_id", spans.empty() ? json::value() : json::value("AAAAAAAAAAE=")},
                                 {"name", "span " + std::to_string(spans.size())},
                                 {"start_time_unix_nano", 10},
                                 {"end_time_unix_nano", 20},
                                 {"status", json::object{{"code", "STATUS_CODE_OK"}, {"message", ""}}},
                                 {"attributes", json::object{{"a", "\"b\""}}},
                                 {"events", std::move(events)}});
  }
  server.put_spans(experiment_id, spans);
  auto const id = mlflow::otlp_trace_id(spans);
  json::object const location{{"type", "MLFLOW_EXPERIMENT"},
                              {"mlflow_experiment", json::object{{"experiment_id", experiment_id}}}};
  json::object const info{{"trace_id", id},
                          {"request_time", "2026-01-02T03:04:05.678Z"},
                          {"state", "OK"},
                          {"trace_location", location},
                          {"trace_metadata", json::object{{"m", "x"}}},
                          {"tags", json::object{{"mlflow.trace.spansLocation", "TRACKING_STORE"},
                                                {"mlflow.traceName", "trace " + std::to_string(number)}}}};
  server.call("POST", "/api/3.0/mlflow/traces", {{"trace", json::object{{"trace_info", info}}}});
  return id;
}

std::string trace_files(FakeMlflow& server, const std::string& trace_id) {
  auto const answer = server.call("GET", "/api/3.0/mlflow/traces/" + trace_id);
  auto const& tags = answer.at("trace").at("trace_info").at("tags").as_object();
  return text(tags, "mlflow.artifactLocation").substr(proxy.size());
}

std::string run_files(FakeMlflow& server, const std::string& run_id) {
  return text(run_info(server, run_id), "artifact_uri").substr(proxy.size());
}

std::string experiment_id(FakeMlflow& server, const std::string& name) {
  auto const answer = server.post("experiments/search", {{"view_type", "ALL"}, {"max_results", 1000}});
  for (auto const& value : answer.at("experiments").as_array()) {
    if (mlflow::get_string(value.as_object(), "name") == name)
      return text(value.as_object(), "experiment_id");
  }
  throw std::runtime_error("no experiment " + name);
}

std::string run_id(FakeMlflow& server, const std::string& name) {
  auto const answer = server.post("experiments/search", {{"view_type", "ALL"}, {"max_results", 1000}});
  json::array ids;
  for (auto const& value : answer.at("experiments").as_array()) ids.push_back(value.at("experiment_id"));
  auto const found = server.post(
      "runs/search", {{"experiment_ids", std::move(ids)}, {"run_view_type", "ALL"}, {"max_results", 50000}});
  for (auto const& value : found.at("runs").as_array()) {
    auto const& info = value.at("info").as_object();
    if (mlflow::get_string(info, "run_name") == name) return text(info, "run_id");
  }
  throw std::runtime_error("no run " + name);
}

std::string logged_model_id(FakeMlflow& server, const std::string& name) {
  auto const answer = server.post("experiments/search", {{"view_type", "ALL"}, {"max_results", 1000}});
  json::array ids;
  for (auto const& value : answer.at("experiments").as_array()) ids.push_back(value.at("experiment_id"));
  auto const found = server.post("logged-models/search", {{"experiment_ids", std::move(ids)}});
  for (auto const& value : found.at("models").as_array()) {
    auto const& info = value.at("info").as_object();
    if (mlflow::get_string(info, "name") == name) return text(info, "model_id");
  }
  throw std::runtime_error("no logged model " + name);
}

void fill_workload(FakeMlflow& server) {
  set_run_tag(server, make_run(server, "0", "in default"), "t", "u");

  auto const alpha = make_experiment(server, "alpha / \"quoted\"");
  auto const first = make_run(server, alpha, "first", 1000);
  server.post("runs/log-batch", {{"run_id", first},
                                 {"params", pairs({{"lr", "0.1"}, {"long", std::string(5000, 'p')}})},
                                 {"tags", pairs({{"note", "two\nlines \xc3\xa4"}})}});
  log_edge_metrics(server, first);
  json::array datasets;
  datasets.push_back(json::object{
      {"tags", pairs({{"context", "train"}})},
      {"dataset", json::object{{"name", "d"}, {"digest", "1"}, {"source_type", "local"}, {"source", "{}"}}}});
  server.post("runs/log-inputs", {{"run_id", first}, {"datasets", std::move(datasets)}});
  auto const files = run_files(server, first);
  server.put_file(files + "/notes.txt", "plain");
  server.put_file(files + "/empty", "");
  server.put_file(files + "/model/MLmodel", "run_id: " + first + "\nx: 1\n");
  server.put_file(files + "/model/a b 100% \xc3\xa4.bin", std::string("\0\1\2", 3));
  finish_run(server, first);

  // Its parent and the model that it used come later in every listing.
  auto const child = make_run(server, alpha, "child", 500);
  auto const deleted = make_run(server, alpha, "deleted", 1500);
  log_metric(server, deleted, "m", 1, 0);
  auto const running = make_run(server, alpha, "still running", 1600);
  log_metric(server, running, "m", 2, 0);

  auto const beta = make_experiment(server, "beta");
  auto const parent = make_run(server, beta, "parent", 2000);
  set_run_tag(server, child, "mlflow.parentRunId", parent);
  auto const model = make_logged_model(server, beta, "net", parent);
  json::array rows;
  rows.push_back(json::object{{"key", "acc"},
                              {"value", 0.75},
                              {"timestamp", 10},
                              {"step", 1},
                              {"model_id", model.id},
                              {"dataset_name", "d"},
                              {"dataset_digest", "1"}});
  server.post("runs/log-batch", {{"run_id", parent}, {"metrics", std::move(rows)}});
  set_model_status(server, model);
  auto const gone_model = make_logged_model(server, alpha, "deleted net", first);
  set_model_status(server, gone_model);
  auto const gone_input = make_logged_model(server, alpha, "deleted input", first);
  set_model_status(server, gone_input);
  auto const output = [](const std::string& id, std::int64_t step) {
    return json::array{json::object{{"model_id", id}, {"step", step}}};
  };
  server.post("runs/outputs", {{"run_id", parent}, {"models", output(model.id, 4)}});
  server.post("runs/outputs", {{"run_id", first}, {"models", output(gone_model.id, 0)}});
  server.post("runs/log-inputs", {{"run_id", child},
                                  {"models", json::array{json::object{{"model_id", model.id}},
                                                         json::object{{"model_id", gone_input.id}}}}});
  set_run_tag(server, parent, "mlflow.log-model.history",
              R"([{"run_id": ")" + parent + R"(", "model_id": ")" + model.id + "\"}]");
  finish_run(server, child);
  finish_run(server, parent);
  fill_registry(server, first, model);
  server.call("DELETE", "/api/2.0/mlflow/logged-models/" + gone_model.id);
  server.call("DELETE", "/api/2.0/mlflow/logged-models/" + gone_input.id);
  finish_run(server, deleted);
  server.post("runs/delete", {{"run_id", deleted}});

  auto const gone = make_experiment(server, "gone");
  auto const in_gone = make_run(server, gone, "in gone", 3000);
  log_metric(server, in_gone, "m", 3, 0);
  server.put_file(run_files(server, in_gone) + "/f", "kept");
  finish_run(server, in_gone);
  server.post("experiments/delete", {{"experiment_id", gone}});
}

void add_prompt_and_traces(FakeMlflow& server) {
  constexpr const char* is_prompt = "mlflow.prompt.is_prompt";
  auto const beta = experiment_id(server, "beta");
  server.post("registered-models/create",
              {{"name", "ask"}, {"tags", pairs({{is_prompt, "true"}, {"_mlflow_experiment_ids", "," + beta + ","}})}});
  for (auto const* words : {"one", "two {{x}}", "three"}) {
    server.post("model-versions/create", {{"name", "ask"},
                                          {"source", "dummy-source"},
                                          {"description", "why"},
                                          {"tags", pairs({{is_prompt, "true"}, {"mlflow.prompt.text", words}})}});
  }
  server.call("DELETE", "/api/2.0/mlflow/model-versions/delete", {{"name", "ask"}, {"version", "2"}});
  server.post("registered-models/alias", {{"name", "ask"}, {"alias", "live"}, {"version", "3"}});

  auto const first = make_trace(server, beta, 1);
  server.put_file(trace_files(server, first) + "/attachments/a.bin", "attached");
  auto const assess = [&](json::object assessment) {
    server.call("POST", "/api/3.0/mlflow/traces/" + first + "/assessments", {{"assessment", std::move(assessment)}});
  };
  assess({{"assessment_id", "a-1"}, {"assessment_name", "good"}, {"feedback", json::object{{"value", true}}}});
  assess({{"assessment_id", "a-2"}, {"assessment_name", "good"}, {"feedback", json::object{{"value", false}}}, {"overrides", "a-1"}});
  auto const second = make_trace(server, beta, 2);
  server.post("traces/link-to-run", {{"trace_ids", json::array{second}}, {"run_id", run_id(server, "parent")}});
  server.post("traces/link-prompts", {{"trace_id", second},
                                      {"prompt_versions", json::array{json::object{{"name", "ask"}, {"version", "3"}}}}});
  auto const passing = make_experiment(server, "with a trace, deleted");
  make_trace(server, passing, 3);
  server.post("experiments/delete", {{"experiment_id", passing}});
}

}  // namespace mlferry::test
