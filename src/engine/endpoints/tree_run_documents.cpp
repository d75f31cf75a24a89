#include <algorithm>
#include <tuple>

#include "engine/endpoints/tree_documents.hpp"

namespace mlferry::engine {

namespace {

json::object dataset_input(const json::object& input) {
  json::object dataset;
  auto const* from = mlflow::get_object(input, "dataset");
  for (auto const key : {"name", "digest", "source_type", "source", "schema", "profile"})
    dataset[key] = from == nullptr ? json::value() : field_or_null(*from, key);
  json::array tags;
  for (auto const& tag : mlflow::key_values(input, "tags"))
    tags.push_back(json::object{{"key", tag.key}, {"value", tag.value}});
  return {{"dataset", std::move(dataset)}, {"tags", std::move(tags)}};
}

// Runs of the package's older layouts have a list of dataset inputs in "inputs".
json::array dataset_inputs_of(const json::object& mlflow) {
  auto const inputs = field_or_null(mlflow, "inputs");
  auto const* list = inputs.if_array();
  if (auto const* object = inputs.if_object()) list = mlflow::get_array(*object, "dataset_inputs");
  json::array out;
  for (auto const& item : list == nullptr ? json::array() : *list) {
    auto const* input = item.if_object();
    auto const* dataset = input == nullptr ? nullptr : mlflow::get_object(*input, "dataset");
    if (dataset == nullptr) throw mlflow::JsonError("one of 'inputs' has no object 'dataset'");
    json::object kept;
    for (auto const& [key, value] : *dataset) {
      if (!value.is_null()) kept[key] = value;
    }
    out.push_back(json::object{{"tags", tag_list(*input, "tags")}, {"dataset", std::move(kept)}});
  }
  return out;
}

json::array models_of(const json::object& mlflow, std::string_view where, std::string_view field) {
  json::array out;
  auto const* object = mlflow::get_object(mlflow, where);
  auto const* list = object == nullptr ? nullptr : mlflow::get_array(*object, field);
  for (auto const& item : list == nullptr ? json::array() : *list) {
    auto const* model = item.if_object();
    if (model == nullptr || mlflow::get_string(*model, "model_id").empty())
      throw mlflow::JsonError("one of '" + std::string(field) + "' has no 'model_id'");
    json::object kept;
    take_fields(*model, kept, {"model_id", "step"});
    out.push_back(std::move(kept));
  }
  return out;
}

}  // namespace

json::object tree_run(const json::object& doc) {
  mlflow::Run const run{doc};
  json::object info;
  for (auto const key : {"run_id", "experiment_id", "user_id", "status", "start_time", "end_time",
                         "lifecycle_stage", "artifact_uri", "run_name"}) {
    info[key] = field_or_null(run.info(), key);
  }
  if (info.at("run_id").is_null()) info["run_id"] = run.id();
  info["_start_time"] = time_companion(run.start_time());
  info["_end_time"] = time_companion(run.end_time());

  json::array datasets, model_inputs, model_outputs;
  for (auto const& input : run.dataset_inputs()) {
    if (auto const* object = input.if_object()) datasets.push_back(dataset_input(*object));
  }
  for (auto const& id : run.model_input_ids()) model_inputs.push_back(json::object{{"model_id", id}});
  for (auto const& [id, step] : run.model_outputs())
    model_outputs.push_back(json::object{{"model_id", id}, {"step", step}});
  return {{"info", std::move(info)},
          {"params", tag_object(run.data(), "params", false)},
          {"metrics", json::object()},
          {"tags", tag_object(run.data(), "tags", true)},
          {"inputs",
           json::object{{"dataset_inputs", std::move(datasets)}, {"model_inputs", std::move(model_inputs)}}},
          {"outputs", json::object{{"model_outputs", std::move(model_outputs)}}}};
}

json::object run_from_tree(const json::object& mlflow, const std::vector<mlflow::MetricSeries>& history) {
  auto const* from = mlflow::get_object(mlflow, "info");
  if (from == nullptr) throw mlflow::JsonError("no object 'info'");
  json::object info;
  for (auto const& [key, value] : *from) {
    if (!value.is_null() && !key.starts_with("_")) info[key] = value;
  }
  if (!info.contains("run_id")) take_fields(*from, info, {"run_uuid"});
  // Metrics as a search gives them: of each key the last point.
  json::array metrics;
  for (auto const& series : history) {
    if (series.points.empty()) continue;
    auto const last = std::max_element(series.points.begin(), series.points.end(),
                                       [](const mlflow::MetricPoint& a, const mlflow::MetricPoint& b) {
                                         return std::tuple(a.step, a.timestamp, a.value) <
                                                std::tuple(b.step, b.timestamp, b.value);
                                       });
    metrics.push_back(json::object{
        {"key", series.key}, {"value", last->value}, {"timestamp", last->timestamp}, {"step", last->step}});
  }
  auto params = tag_list(mlflow, "params");
  auto tags = tag_list(mlflow, "tags");
  if (!info.contains("run_name")) {  // exports of old servers
    for (auto const& tag : tags) {
      if (mlflow::get_string(tag.get_object(), "key") == "mlflow.runName")
        info["run_name"] = tag.get_object().at("value");
    }
  }
  json::object doc{{"info", std::move(info)},
                   {"data", json::object{{"metrics", std::move(metrics)},
                                         {"params", std::move(params)},
                                         {"tags", std::move(tags)}}}};
  json::object inputs;
  auto datasets = dataset_inputs_of(mlflow);
  if (!datasets.empty()) inputs["dataset_inputs"] = std::move(datasets);
  auto model_inputs = models_of(mlflow, "inputs", "model_inputs");
  if (!model_inputs.empty()) inputs["model_inputs"] = std::move(model_inputs);
  if (!inputs.empty()) doc["inputs"] = std::move(inputs);
  auto outputs = models_of(mlflow, "outputs", "model_outputs");
  if (!outputs.empty()) doc["outputs"] = json::object{{"model_outputs", std::move(outputs)}};
  return doc;
}

}  // namespace mlferry::engine
