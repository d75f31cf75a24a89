#pragma once
// MLflow's REST documents in the form that the Python package mlflow-export-import gives them in its files,
// and back. Pure functions; what the package's form cannot hold is lost here, which is why trees of mlferry
// hold the REST documents as well (tree_stanza.hpp). Reading takes what is missing for empty and throws
// mlflow::JsonError, naming the field, when one that matters is of another type.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/records.hpp"

namespace mlferry::engine {

// Values of fields as the package writes them.
// "2025-10-09 08:53:20": UTC, rounded to seconds, half to even; null for nothing and for the first second of
// 1970.
json::value time_companion(std::optional<std::int64_t> ms);
// RFC 3339 as the server writes it <-> milliseconds.
std::string rfc3339(std::int64_t ms);
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// `mlflow.experiment` of experiment.json.
json::object tree_experiment(const json::object& doc);
// Of the experiment.json beside a version.json, which has the server's fields.
json::object tree_plain_experiment(const json::object& doc);
json::object experiment_from_tree(const json::object& experiment);

// `mlflow` of run.json; "metrics" is there, but empty: the history goes into it.
json::object tree_run(const json::object& doc);
// `history`: what was in "metrics".
json::object run_from_tree(const json::object& mlflow, const std::vector<mlflow::MetricSeries>& history);

// `mlflow` of logged_model.json. `dataset_inputs`: of its source run, where it is known.
json::object tree_logged_model(const json::object& doc);
json::object logged_model_from_tree(const json::object& mlflow);

// `mlflow.registered_model` of model.json, without "versions".
json::object tree_registered_model(const json::object& doc);
json::object registered_model_from_tree(const json::object& model);
// One of its "versions". `aliases`: those that name it.
json::object tree_version(const json::object& doc, const std::vector<std::string>& aliases);
json::object version_from_tree(const json::object& version);

// `mlflow.prompt` of prompt.json, from the model version that a prompt's version is.
json::object tree_prompt(const json::object& version_doc);
json::object prompt_version_from_tree(const json::object& prompt);

// `mlflow` of trace.json. `spans`: as get-trace-artifact gives them, or the file's.
json::object tree_trace(const json::object& doc, const json::array& spans);
json::object trace_from_tree(const json::object& mlflow);

// `mlflow.evaluation_dataset` of evaluation_dataset.json.
json::object tree_dataset(const json::object& doc);
json::object dataset_from_tree(const json::object& dataset);

// For these functions and their callers: [{"key", "value"}] <-> {key: value}. The list may also be an object
// already, as in some exports.
json::object tag_object(const json::object& doc, std::string_view field, bool sorted);
json::array tag_list(const json::object& tree, std::string_view field);
// The field where it is there, else null.
json::value field_or_null(const json::object& doc, std::string_view key);
// Copies the fields that are there.
void take_fields(const json::object& from, json::object& to, std::initializer_list<std::string_view> keys);

}  // namespace mlferry::engine
