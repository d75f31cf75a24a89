#include "engine/records.hpp"

#include <cmath>
#include <string>

namespace mlferry::engine {

namespace {

const json::object& part(const json::object& object, std::string_view key) {
  auto const* found = mlflow::get_object(object, key);
  if (found == nullptr) throw mlflow::JsonError("record has no object '" + std::string(key) + "'");
  return *found;
}

json::value to_value(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

// The places of doubles that JSON has no numbers for, as lists of keys and indices: their texts alone cannot be told
// from strings.
void find_non_finite(const json::value& value, json::array& path, json::array& places) {
  if (auto const* number = value.if_double()) {
    if (!std::isfinite(*number)) places.push_back(path);
  } else if (auto const* list = value.if_array()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      path.emplace_back(static_cast<std::int64_t>(i));
      find_non_finite((*list)[i], path, places);
      path.pop_back();
    }
  } else if (auto const* object = value.if_object()) {
    for (auto const& [key, member] : *object) {
      path.emplace_back(key);
      find_non_finite(member, path, places);
      path.pop_back();
    }
  }
}

void restore_non_finite(json::array& spans, const json::value& place) {
  auto const fail = [] { throw mlflow::JsonError("record: 'non_finite' names no text in 'spans'"); };
  auto const* path = place.if_array();
  if (path == nullptr || path->empty()) return fail();
  json::array* list = &spans;
  json::value* value = nullptr;
  for (auto const& step : *path) {
    auto* object = value == nullptr ? nullptr : value->if_object();
    if (value != nullptr) list = value->if_array();
    if (auto const* key = step.if_string(); key != nullptr && object != nullptr) {
      value = object->if_contains(*key);
    } else if (auto const* index = step.if_int64(); index != nullptr && list != nullptr) {
      value = *index >= 0 ? list->if_contains(static_cast<std::size_t>(*index)) : nullptr;
    } else {
      return fail();
    }
    if (value == nullptr) return fail();
  }
  json::object const named{{"value", *value}};
  auto const number = mlflow::get_double(named, "value");
  if (!value->is_string() || !number) return fail();
  *value = *number;
}

mlflow::MetricPoint to_point(const json::value& value, std::string_view key) {
  auto const* row = value.if_array();
  auto fail = [&]() -> mlflow::MetricPoint {
    throw mlflow::JsonError("record: history of metric '" + std::string(key) +
                            "' is not [value, timestamp, step]");
  };
  if (row == nullptr || row->size() != 3) return fail();
  json::object const named{{"value", (*row)[0]}, {"timestamp", (*row)[1]}, {"step", (*row)[2]}};
  auto const number = mlflow::get_double(named, "value");
  auto const timestamp = mlflow::get_int(named, "timestamp");
  auto const step = mlflow::get_int(named, "step");
  if (!number || !timestamp || !step) return fail();
  return {*number, *timestamp, *step};
}

}  // namespace

json::object to_archive(const ExperimentRecord& record) {
  return {{"experiment", record.experiment.doc}};
}

json::object to_archive(const RunRecord& record) {
  json::object history;
  for (auto const& series : record.history) {
    json::array points;
    points.reserve(series.points.size());
    for (auto const& point : series.points) {
      points.push_back(json::array{to_value(point.value), point.timestamp, point.step});
    }
    history[series.key] = std::move(points);
  }
  return {{"run", record.run.doc}, {"history", std::move(history)}};
}

json::object to_archive(const LoggedModelRecord& record) {
  return {{"logged_model", record.model.doc}, {"deleted", record.deleted}};
}

json::object to_archive(const RegisteredModelRecord& record) {
  return {{"registered_model", record.model.doc}};
}

json::object to_archive(const ModelVersionRecord& record) {
  return {{"model_version", record.version.doc}};
}

json::object to_archive(const TraceRecord& record) {
  json::object out{{"trace", record.trace.doc}, {"spans", record.spans}};
  json::array path, places;
  find_non_finite(record.spans, path, places);
  if (!places.empty()) out["non_finite"] = std::move(places);
  json::array runs, prompts;
  for (auto const& run : record.linked_runs) runs.emplace_back(run);
  for (auto const& [name, version] : record.linked_prompts) {
    prompts.push_back(json::object{{"name", name}, {"version", version}});
  }
  if (!runs.empty()) out["linked_runs"] = std::move(runs);
  if (!prompts.empty()) out["linked_prompts"] = std::move(prompts);
  return out;
}

json::object to_archive(const ObjectRecord& record) {
  return {{"object", record.doc}};
}

void from_archive(const json::object& object, ObjectRecord& record) {
  record.doc = part(object, "object");
}

void from_archive(const json::object& object, TraceRecord& record) {
  record.trace.doc = part(object, "trace");
  if (auto const* spans = mlflow::get_array(object, "spans")) record.spans = *spans;
  if (auto const* places = mlflow::get_array(object, "non_finite")) {
    for (auto const& place : *places) restore_non_finite(record.spans, place);
  }
  if (auto const* runs = mlflow::get_array(object, "linked_runs")) {
    for (auto const& run : *runs) {
      if (auto const* id = run.if_string()) record.linked_runs.emplace_back(*id);
    }
  }
  if (auto const* prompts = mlflow::get_array(object, "linked_prompts")) {
    for (auto const& value : *prompts) {
      auto const* prompt = value.if_object();
      if (prompt == nullptr) continue;
      record.linked_prompts.emplace_back(mlflow::get_string(*prompt, "name"),
                                         mlflow::get_string(*prompt, "version"));
    }
  }
}

void from_archive(const json::object& object, ExperimentRecord& record) {
  record.experiment.doc = part(object, "experiment");
}

void from_archive(const json::object& object, RunRecord& record) {
  record.run.doc = part(object, "run");
  for (auto const& [key, value] : part(object, "history")) {
    auto& series = record.history.emplace_back();
    series.key = key;
    auto const* points = value.if_array();
    if (points == nullptr)
      throw mlflow::JsonError("record: history of metric '" + series.key + "' is not a list");
    series.points.reserve(points->size());
    for (auto const& point : *points) series.points.push_back(to_point(point, series.key));
  }
}

void from_archive(const json::object& object, LoggedModelRecord& record) {
  record.model.doc = part(object, "logged_model");
  record.deleted = mlflow::get_bool(object, "deleted");
}

void from_archive(const json::object& object, RegisteredModelRecord& record) {
  record.model.doc = part(object, "registered_model");
}

void from_archive(const json::object& object, ModelVersionRecord& record) {
  record.version.doc = part(object, "model_version");
}

std::size_t footprint(const RunRecord& record) {
  std::size_t bytes = 1024;
  for (auto const& series : record.history) {
    bytes += series.key.size() + 64 + series.points.size() * sizeof(mlflow::MetricPoint);
  }
  auto const items = [](const json::object& object, std::string_view key) {
    auto const* list = mlflow::get_array(object, key);
    std::size_t sum = 0;
    if (list == nullptr) return sum;
    for (auto const& value : *list) {
      sum += 200;
      if (auto const* item = value.if_object()) sum += mlflow::get_string(*item, "value").size();
    }
    return sum;
  };
  bytes += items(record.run.data(), "params") + items(record.run.data(), "tags") +
           items(record.run.data(), "metrics");
  for (auto const& file : record.files) bytes += file.path.size() + 96;
  return bytes;
}

}  // namespace mlferry::engine
