#include "engine/trace_ids.hpp"

#include "protocol/digest/sha256.hpp"
#include "protocol/mlflow/otlp.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view request_id_attribute = "mlflow.traceRequestId";

std::string digits_of(std::string_view text) {
  return digest::sha256_hex(std::string(text)).substr(0, 32);
}

void replace_text(json::object& object, std::string_view key, const Replacements& replacements) {
  auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return;
  *value = replace_all(value->get_string(), replacements);
}

}  // namespace

std::string other_trace_id(std::string_view source, std::string_view container, std::string_view id) {
  return "tr-" + digits_of(std::string(source) + '\n' + std::string(container) + '\n' + std::string(id));
}

Replacements trace_id_replacements(std::string_view id, std::string_view other) {
  Replacements out{{std::string(id), std::string(other)}};
  auto const text = mlflow::otlp_id_text(id);
  if (!text.empty()) out.emplace_back(text, mlflow::otlp_id_text(other));
  return out;
}

void give_trace_id(TraceRecord& record, const std::string& id) {
  auto const replacements = trace_id_replacements(record.trace.id(), id);
  auto& doc = record.trace.doc;
  doc["trace_id"] = id;
  auto const other_id = [&id](std::string_view assessment) {
    return assessment.empty() ? std::string() : "a-" + digits_of(id + '\n' + std::string(assessment));
  };
  if (auto* list = doc.if_contains("assessments"); list != nullptr && list->is_array()) {
    for (auto& item : list->get_array()) {
      auto* assessment = item.if_object();
      if (assessment == nullptr) continue;
      replace_text(*assessment, "trace_id", replacements);
      for (auto const* field : {"assessment_id", "overrides"}) {
        auto const old = std::string(mlflow::get_string(*assessment, field));
        if (!old.empty()) (*assessment)[field] = other_id(old);
      }
    }
  }
  for (auto& item : record.spans) {
    auto* span = item.if_object();
    if (span == nullptr) continue;
    replace_text(*span, "trace_id", replacements);
    if (auto* attributes = span->if_contains("attributes"); attributes != nullptr && attributes->is_object())
      replace_text(attributes->get_object(), request_id_attribute, replacements);
  }
}

}  // namespace mlferry::engine
