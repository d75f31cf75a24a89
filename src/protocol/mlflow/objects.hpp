#pragma once
// MLflow's objects as the server gave them: the whole JSON document, with accessors for the fields that the
// program uses. Unknown fields stay in the document and travel with it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::mlflow {

struct KeyValue {
  std::string key;
  std::string value;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};
using KeyValues = std::vector<KeyValue>;

// `[{"key":..,"value":..}]` of an object's field, in order.
KeyValues key_values(const json::object& object, std::string_view field);
// The value of `key`, or null.
const std::string* find_value(const KeyValues& list, std::string_view key);
const std::string* find_value(KeyValues&& list, std::string_view key) = delete;  // it would point into a temporary

// {experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, tags}
struct Experiment {
  json::object doc;
  std::string_view id() const { return get_string(doc, "experiment_id"); }
  std::string_view name() const { return get_string(doc, "name"); }
  std::string_view artifact_location() const { return get_string(doc, "artifact_location"); }
  bool deleted() const { return get_string(doc, "lifecycle_stage") == "deleted"; }
  KeyValues tags() const { return key_values(doc, "tags"); }
};

// {info:{run_id, experiment_id, status, start_time, ...}, data:{params, tags, metrics}, inputs, outputs}
struct Run {
  json::object doc;
  const json::object& info() const;  // an empty object when absent
  const json::object& data() const;
  std::string_view id() const;  // run_id, or run_uuid of old servers
  std::string_view experiment_id() const { return get_string(info(), "experiment_id"); }
  std::string_view name() const { return get_string(info(), "run_name"); }
  std::string_view status() const { return get_string(info(), "status"); }
  std::string_view user_id() const { return get_string(info(), "user_id"); }
  std::string_view artifact_uri() const { return get_string(info(), "artifact_uri"); }
  std::optional<std::int64_t> start_time() const { return get_int(info(), "start_time"); }
  std::optional<std::int64_t> end_time() const { return get_int(info(), "end_time"); }
  bool deleted() const { return get_string(info(), "lifecycle_stage") == "deleted"; }
  KeyValues params() const { return key_values(data(), "params"); }
  KeyValues tags() const { return key_values(data(), "tags"); }
  std::vector<std::string> metric_keys() const;  // of data.metrics (the last values), without repeats
  const json::array& dataset_inputs() const;     // inputs.dataset_inputs, or empty
  std::vector<std::string> model_input_ids()
      const;  // inputs.model_inputs[].model_id: only runs/get gives them
  std::vector<std::pair<std::string, std::int64_t>> model_outputs()
      const;  // outputs.model_outputs: (model_id, step)
};

// The tag that makes a registered model a prompt, and a model version a prompt version.
inline constexpr std::string_view prompt_tag = "mlflow.prompt.is_prompt";

// {info:{model_id, experiment_id, name, status, model_type, source_run_id, tags, artifact_uri, ..},
// data:{params, metrics}}
struct LoggedModel {
  json::object doc;
  const json::object& info() const;
  const json::object& data() const;
  std::string_view id() const { return get_string(info(), "model_id"); }
  std::string_view experiment_id() const { return get_string(info(), "experiment_id"); }
  std::string_view name() const { return get_string(info(), "name"); }
  std::string_view status() const { return get_string(info(), "status"); }
  std::string_view model_type() const { return get_string(info(), "model_type"); }
  std::string_view source_run_id() const { return get_string(info(), "source_run_id"); }
  std::string_view artifact_uri() const { return get_string(info(), "artifact_uri"); }
  KeyValues tags() const { return key_values(info(), "tags"); }
  KeyValues params() const { return key_values(data(), "params"); }
  const json::array& metrics()
      const;  // {key, value, timestamp, step, run_id, dataset_name?, dataset_digest?}
};

// {name, description, tags, aliases:[{alias, version}], latest_versions, ...}
struct RegisteredModel {
  json::object doc;
  std::string_view name() const { return get_string(doc, "name"); }
  std::string_view description() const { return get_string(doc, "description"); }
  KeyValues tags() const { return key_values(doc, "tags"); }
  std::vector<std::pair<std::string, std::string>> aliases() const;  // (alias, version)
  bool is_prompt() const;  // a prompt is a registered model with a tag (mlflow-rest 6.4)
};

// {name, version:"3", source, run_id, run_link, current_stage, status, description, tags, ...}
struct ModelVersion {
  json::object doc;
  std::string_view name() const { return get_string(doc, "name"); }
  std::int64_t number() const { return get_int(doc, "version").value_or(0); }
  std::string_view source() const { return get_string(doc, "source"); }
  std::string_view run_id() const { return get_string(doc, "run_id"); }
  std::string_view run_link() const { return get_string(doc, "run_link"); }
  std::string_view stage() const { return get_string(doc, "current_stage"); }
  std::string_view status() const { return get_string(doc, "status"); }
  std::string_view description() const { return get_string(doc, "description"); }
  KeyValues tags() const { return key_values(doc, "tags"); }
  bool is_prompt() const;
};

// A trace's info: {trace_id, trace_location, request_time, state, trace_metadata:{}, tags:{}, assessments:[]}
struct Trace {
  json::object doc;
  std::string_view id() const { return get_string(doc, "trace_id"); }
  std::string_view state() const { return get_string(doc, "state"); }
  // Of `tags` and `trace_metadata`; "" when absent.
  std::string_view tag(std::string_view key) const;
  std::string_view metadata(std::string_view key) const;
  std::string experiment_id() const;
  // The spans are in the server's database, not in an artifact file.
  bool spans_in_database() const { return tag("mlflow.trace.spansLocation") == "TRACKING_STORE"; }
  std::string_view artifact_uri() const { return tag("mlflow.artifactLocation"); }
};

// One row of a metric's history.
struct MetricPoint {
  double value = 0;            // NaN allowed; the server stores infinities as +-DBL_MAX
  std::int64_t timestamp = 0;  // ms
  std::int64_t step = 0;
  friend bool operator==(const MetricPoint&, const MetricPoint&) = default;
};
struct MetricSeries {
  std::string key;
  std::vector<MetricPoint> points;  // in the server's order: timestamp, step, value
};

// A row of get-history-bulk, which mixes runs.
struct HistoryRow {
  std::string run_id;
  MetricPoint point;
};

struct FileInfo {
  std::string path;  // from the artifact root of its owner, '/' between parts
  bool is_dir = false;
  std::optional<std::uint64_t> size;
};

}  // namespace mlferry::mlflow
