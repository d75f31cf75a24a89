#include "protocol/mlflow/objects.hpp"

#include <algorithm>
#include <unordered_set>

namespace mlferry::mlflow {
namespace {

// What an absent object or list reads as: constants, so that accessors can return references.
const json::object& object_or_empty(const json::object& owner, std::string_view key) {
  static const json::object empty;
  const json::object* found = get_object(owner, key);
  return found != nullptr ? *found : empty;
}

const json::array& array_or_empty(const json::object& owner, std::string_view key) {
  static const json::array empty;
  const json::array* found = get_array(owner, key);
  return found != nullptr ? *found : empty;
}

}  // namespace

KeyValues key_values(const json::object& object, std::string_view field) {
  const json::array& list = array_or_empty(object, field);
  KeyValues result;
  result.reserve(list.size());
  for (const json::value& element : list) {
    const json::object* pair = element.if_object();
    if (pair == nullptr) continue;
    // The server leaves an empty value out.
    result.push_back({std::string(get_string(*pair, "key")), std::string(get_string(*pair, "value"))});
  }
  return result;
}

const std::string* find_value(const KeyValues& list, std::string_view key) {
  auto const found =
      std::find_if(list.begin(), list.end(), [&](const auto& pair) { return pair.key == key; });
  return found == list.end() ? nullptr : &found->value;
}

const json::object& Run::info() const {
  return object_or_empty(doc, "info");
}
const json::object& Run::data() const {
  return object_or_empty(doc, "data");
}

std::string_view Run::id() const {
  std::string_view const id = get_string(info(), "run_id");
  return id.empty() ? get_string(info(), "run_uuid") : id;
}

std::vector<std::string> Run::metric_keys() const {
  std::vector<std::string> keys;
  std::unordered_set<std::string_view> seen;
  for (const json::value& element : array_or_empty(data(), "metrics")) {
    const json::object* metric = element.if_object();
    if (metric == nullptr) continue;
    std::string_view const key = get_string(*metric, "key");
    if (seen.insert(key).second) keys.emplace_back(key);
  }
  return keys;
}

const json::array& Run::dataset_inputs() const {
  return array_or_empty(object_or_empty(doc, "inputs"), "dataset_inputs");
}

std::vector<std::string> Run::model_input_ids() const {
  std::vector<std::string> ids;
  for (const json::value& element : array_or_empty(object_or_empty(doc, "inputs"), "model_inputs")) {
    if (const json::object* input = element.if_object()) ids.emplace_back(get_string(*input, "model_id"));
  }
  return ids;
}

std::vector<std::pair<std::string, std::int64_t>> Run::model_outputs() const {
  std::vector<std::pair<std::string, std::int64_t>> outputs;
  for (const json::value& element : array_or_empty(object_or_empty(doc, "outputs"), "model_outputs")) {
    if (const json::object* output = element.if_object()) {
      outputs.emplace_back(get_string(*output, "model_id"), get_int(*output, "step").value_or(0));
    }
  }
  return outputs;
}

const json::object& LoggedModel::info() const {
  return object_or_empty(doc, "info");
}
const json::object& LoggedModel::data() const {
  return object_or_empty(doc, "data");
}
const json::array& LoggedModel::metrics() const {
  return array_or_empty(data(), "metrics");
}

std::string_view Trace::tag(std::string_view key) const {
  auto const* tags = get_object(doc, "tags");
  return tags == nullptr ? std::string_view() : get_string(*tags, key);
}

std::string_view Trace::metadata(std::string_view key) const {
  auto const* metadata = get_object(doc, "trace_metadata");
  return metadata == nullptr ? std::string_view() : get_string(*metadata, key);
}

std::string Trace::experiment_id() const {
  auto const* location = get_object(doc, "trace_location");
  auto const* experiment = location == nullptr ? nullptr : get_object(*location, "mlflow_experiment");
  return experiment == nullptr ? std::string() : std::string(get_string(*experiment, "experiment_id"));
}

namespace {

bool has_prompt_tag(const KeyValues& tags) {
  auto const* value = find_value(tags, prompt_tag);
  return value != nullptr && *value != "false";
}

}  // namespace

bool RegisteredModel::is_prompt() const {
  return has_prompt_tag(tags());
}

bool ModelVersion::is_prompt() const {
  return has_prompt_tag(tags());
}

std::vector<std::pair<std::string, std::string>> RegisteredModel::aliases() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (const json::value& element : array_or_empty(doc, "aliases")) {
    const json::object* alias = element.if_object();
    if (alias == nullptr) continue;
    // A string in open source MLflow, a number elsewhere.
    std::string version(get_string(*alias, "version"));
    if (version.empty()) {
      auto const number = get_int(*alias, "version");
      if (number) version = std::to_string(*number);
    }
    result.emplace_back(get_string(*alias, "alias"), std::move(version));
  }
  return result;
}

}  // namespace mlferry::mlflow
