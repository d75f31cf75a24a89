#include <array>
#include <cmath>

#include "engine/endpoints/tree_documents.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view run_key = "mlflow.assessment.sourceRunId";

// "0.012s" -> 12
std::optional<std::int64_t> milliseconds(std::string_view duration) {
  if (!duration.ends_with('s')) return std::nullopt;
  try {
    auto const value = mlflow::parse_json(duration.substr(0, duration.size() - 1), "duration");
    json::object const named{{"s", value}};
    auto const seconds = mlflow::get_double(named, "s");
    if (!seconds || !(std::fabs(*seconds) < 1e12)) return std::nullopt;
    return std::llround(*seconds * 1000);
  } catch (const mlflow::JsonError&) {
    return std::nullopt;
  }
}

std::string duration(std::int64_t ms) {
  auto const text = std::to_string(1000 + std::abs(ms % 1000)).substr(1);
  return (ms < 0 ? "-" : "") + std::to_string(std::abs(ms / 1000)) + (text == "000" ? "" : "." + text) + "s";
}

json::value time_or_null(const json::object& doc, std::string_view key) {
  if (auto const ms = parse_rfc3339(mlflow::get_string(doc, key))) return *ms;
  return nullptr;
}

json::object tree_assessment(const json::object& doc) {
  auto const* feedback = mlflow::get_object(doc, "feedback");
  auto const* expectation = mlflow::get_object(doc, "expectation");
  json::object out;
  if (feedback != nullptr) out["assessment_type"] = "feedback";
  if (expectation != nullptr) out["assessment_type"] = "expectation";
  out["name"] = field_or_null(doc, "assessment_name");
  json::value source;
  if (auto const* from = mlflow::get_object(doc, "source")) {
    source = json::object{{"source_type", field_or_null(*from, "source_type")},
                          {"source_id", field_or_null(*from, "source_id")}};
  }
  out["source"] = source;
  auto const* metadata = mlflow::get_object(doc, "metadata");
  out["trace_id"] = field_or_null(doc, "trace_id");
  out["run_id"] = metadata == nullptr ? json::value() : field_or_null(*metadata, run_key);
  for (auto const key : {"rationale", "metadata", "span_id"}) out[key] = field_or_null(doc, key);
  out["create_time_ms"] = time_or_null(doc, "create_time");
  out["last_update_time_ms"] = time_or_null(doc, "last_update_time");
  out["assessment_id"] = field_or_null(doc, "assessment_id");
  auto const error = feedback == nullptr ? json::value() : field_or_null(*feedback, "error");
  out["error"] = error;
  out["expectation"] = nullptr;
  if (expectation != nullptr) {
    out["expectation"] = field_or_null(*expectation, "value");
    if (auto const* serialized = mlflow::get_object(*expectation, "serialized_value")) {
      try {
        out["expectation"] = mlflow::parse_json(mlflow::get_string(*serialized, "value"), "expectation");
      } catch (const mlflow::JsonError&) {
        out["expectation"] = field_or_null(*serialized, "value");
      }
    }
  }
  out["feedback"] = nullptr;
  if (feedback != nullptr)
    out["feedback"] = json::object{{"value", field_or_null(*feedback, "value")}, {"error", error}};
  for (auto const key : {"overrides", "valid"}) out[key] = field_or_null(doc, key);
  if (auto const* issue = doc.if_contains("issue")) out["issue"] = *issue;
  return out;
}

json::object assessment_from_tree(const json::object& from) {
  json::object doc;
  auto const take = [&](std::string_view to, std::string_view key) {
    if (auto value = field_or_null(from, key); !value.is_null()) doc[to] = std::move(value);
  };
  take("assessment_id", "assessment_id");
  take("assessment_name", "name");
  for (auto const key :
       {"trace_id", "span_id", "source", "rationale", "metadata", "overrides", "valid", "issue"})
    take(key, key);
  for (auto const& [to, key] :
       {std::pair{"create_time", "create_time_ms"}, std::pair{"last_update_time", "last_update_time_ms"}}) {
    if (auto const ms = mlflow::get_int(from, key)) doc[to] = rfc3339(*ms);
  }
  // The expectation's value lies bare in its field, so that only the other one tells which of the two it is.
  auto const type = mlflow::get_string(from, "assessment_type");
  auto const* feedback = mlflow::get_object(from, "feedback");
  if (type == "expectation" || (type.empty() && feedback == nullptr && !doc.contains("issue"))) {
    auto value = field_or_null(from, "expectation");
    if (value.is_structured()) {
      doc["expectation"] =
          json::object{{"serialized_value", json::object{{"serialization_format", "JSON_FORMAT"},
                                                         {"value", mlflow::to_json(value)}}}};
    } else {
      doc["expectation"] = json::object{{"value", std::move(value)}};
    }
  } else if (feedback != nullptr) {
    json::object kept{{"value", field_or_null(*feedback, "value")}};
    auto error = field_or_null(*feedback, "error");
    if (error.is_null()) error = field_or_null(from, "error");
    if (!error.is_null()) kept["error"] = std::move(error);
    doc["feedback"] = std::move(kept);
  }
  return doc;
}

}  // namespace

json::object tree_trace(const json::object& doc, const json::array& spans) {
  mlflow::Trace const trace{doc};
  json::object info;
  info["trace_id"] = trace.id();
  info["trace_location"] =
      json::object{{"type", "MLFLOW_EXPERIMENT"},
                   {"mlflow_experiment", json::object{{"experiment_id", trace.experiment_id()}}},
                   {"inference_table", nullptr}};
  info["request_time"] = time_or_null(doc, "request_time");
  for (auto const key : {"state", "request_preview", "response_preview", "client_request_id"})
    info[key] = field_or_null(doc, key);
  info["execution_duration"] = nullptr;
  if (auto const ms = milliseconds(mlflow::get_string(doc, "execution_duration")))
    info["execution_duration"] = *ms;
  for (auto const key : {"trace_metadata", "tags"}) {
    auto const* object = mlflow::get_object(doc, key);
    info[key] = object == nullptr ? json::object() : *object;
  }
  json::array assessments;
  auto const* list = mlflow::get_array(doc, "assessments");
  for (auto const& item : list == nullptr ? json::array() : *list) {
    if (auto const* assessment = item.if_object()) assessments.push_back(tree_assessment(*assessment));
  }
  info["assessments"] = std::move(assessments);
  json::array data;
  for (auto const& item : spans) {
    auto const* span = item.if_object();
    if (span == nullptr) continue;
    auto const parent = mlflow::get_string(*span, "parent_span_id");
    data.push_back(json::object{{"name", field_or_null(*span, "name")},
                                {"trace_id", trace.id()},
                                {"span_id", field_or_null(*span, "span_id")},
                                {"parent_id", parent.empty() ? json::value() : json::value(parent)}});
  }
  return {{"info", std::move(info)}, {"data", std::move(data)}};
}

json::object trace_from_tree(const json::object& mlflow) {
  auto const* found = mlflow::get_object(mlflow, "info");
  if (found == nullptr) throw mlflow::JsonError("no object 'info'");
  auto const& info = *found;
  // MLflow 2 has other names for the same.
  auto const text = [&](std::string_view now, std::string_view before) {
    auto const value = mlflow::get_string(info, now);
    return value.empty() ? mlflow::get_string(info, before) : value;
  };
  auto const time = [&](std::string_view now, std::string_view before) {
    auto const value = mlflow::get_int(info, now);
    return value ? value : mlflow::get_int(info, before);
  };
  json::object doc;
  auto const id = text("trace_id", "request_id");
  if (id.empty()) throw mlflow::JsonError("no 'trace_id'");
  doc["trace_id"] = id;
  auto const* location = mlflow::get_object(info, "trace_location");
  auto const* experiment = location == nullptr ? nullptr : mlflow::get_object(*location, "mlflow_experiment");
  doc["trace_location"] = json::object{
      {"type", "MLFLOW_EXPERIMENT"},
      {"mlflow_experiment",
       json::object{{"experiment_id",
                     mlflow::get_string(experiment == nullptr ? info : *experiment, "experiment_id")}}}};
  if (auto const ms = time("request_time", "timestamp_ms")) doc["request_time"] = rfc3339(*ms);
  if (auto const ms = time("execution_duration", "execution_time_ms"))
    doc["execution_duration"] = duration(*ms);
  auto const state = text("state", "status");
  doc["state"] = state.empty() ? "STATE_UNSPECIFIED" : state;
  for (auto const key : {"request_preview", "response_preview", "client_request_id"}) {
    if (auto value = field_or_null(info, key); !value.is_null()) doc[key] = std::move(value);
  }
  auto const* metadata = mlflow::get_object(info, "trace_metadata");
  if (metadata == nullptr) metadata = mlflow::get_object(info, "request_metadata");
  doc["trace_metadata"] = metadata == nullptr ? json::object() : *metadata;
  json::object tags;
  if (auto const* from = mlflow::get_object(info, "tags")) tags = *from;
  // Its spans come as a file, if at all.
  tags.erase("mlflow.trace.spansLocation");
  doc["tags"] = std::move(tags);
  json::array assessments;
  auto const* list = mlflow::get_array(info, "assessments");
  for (auto const& item : list == nullptr ? json::array() : *list) {
    auto const* assessment = item.if_object();
    if (assessment == nullptr) throw mlflow::JsonError("one of 'assessments' is no object");
    assessments.push_back(assessment_from_tree(*assessment));
  }
  if (!assessments.empty()) doc["assessments"] = std::move(assessments);
  return doc;
}

}  // namespace mlferry::engine
