#include <array>
#include <set>

#include "engine/endpoints/tree_documents.hpp"

namespace mlferry::engine {

namespace {

struct Status {
  std::string_view server, tree;
};
constexpr std::array logged_model_statuses{
    Status{"LOGGED_MODEL_STATUS_UNSPECIFIED", "UNSPECIFIED"}, Status{"LOGGED_MODEL_PENDING", "PENDING"},
    Status{"LOGGED_MODEL_READY", "READY"}, Status{"LOGGED_MODEL_UPLOAD_FAILED", "FAILED"}};

constexpr std::string_view text_tag = "mlflow.prompt.text";
constexpr std::string_view type_tag = "_mlflow_prompt_type";
constexpr std::string_view prompt_source = "prompt-template";  // as MLflow's own client has it

bool is_reserved_prompt_tag(std::string_view key) {
  return key == mlflow::prompt_tag || key == text_tag || key == type_tag ||
         key == "_mlflow_prompt_response_format" || key == "_mlflow_prompt_model_config";
}

bool is_word(char c, bool first) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

// Names in {{ }}, each once, in order of appearance.
json::array variables_in(std::string_view text) {
  json::array names;
  std::set<std::string_view> seen;
  for (auto at = text.find("{{"); at != text.npos; at = text.find("{{", at + 2)) {
    auto const end = text.find("}}", at + 2);
    if (end == text.npos) break;
    auto name = text.substr(at + 2, end - at - 2);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    bool good = !name.empty(), first = true;
    for (char const c : name) {
      good = good && (c == '.' ? !first : is_word(c, first));
      first = c == '.';
    }
    if (good && !first && seen.insert(name).second) names.emplace_back(name);
  }
  return names;
}

void collect_texts(const json::value& value, std::string& out) {
  if (auto const* text = value.if_string()) out.append(*text) += '\n';
  if (auto const* list = value.if_array()) {
    for (auto const& item : *list) collect_texts(item, out);
  }
  if (auto const* object = value.if_object()) {
    for (auto const& member : *object) collect_texts(member.value(), out);
  }
}

// Not the names with '_' before them, which were added for people.
json::object without_companions(const json::object& from) {
  json::object out;
  for (auto const& [key, value] : from) {
    if (!value.is_null() && !key.starts_with("_")) out[key] = value;
  }
  return out;
}

void set_times(json::object& out, const json::object& doc) {
  out["_creation_timestamp"] = time_companion(mlflow::get_int(doc, "creation_timestamp"));
  out["_last_updated_timestamp"] = time_companion(mlflow::get_int(doc, "last_updated_timestamp"));
}

}  // namespace

json::object tree_logged_model(const json::object& doc) {
  mlflow::LoggedModel const model{doc};
  auto const& info = model.info();
  json::object out{{"experiment_id", field_or_null(info, "experiment_id")},
                   {"model_id", field_or_null(info, "model_id")},
                   {"name", field_or_null(info, "name")},
                   {"artifact_location", field_or_null(info, "artifact_uri")},
                   {"creation_time", field_or_null(info, "creation_timestamp_ms")},
                   {"last_updated_timestamp", field_or_null(info, "last_updated_timestamp_ms")},
                   {"model_type", field_or_null(info, "model_type")},
                   {"source_run_id", field_or_null(info, "source_run_id")}};
  out["status"] = model.status();
  for (auto const& status : logged_model_statuses) {
    if (status.server == model.status()) out["status"] = status.tree;
  }
  out["status_message"] = field_or_null(info, "status_message");
  out["tags"] = tag_object(info, "tags", false);
  out["params"] = tag_object(model.data(), "params", false);
  json::array metrics;
  for (auto const& item : model.metrics()) {
    auto const* metric = item.if_object();
    if (metric == nullptr) continue;
    json::object point;
    for (auto const key :
         {"key", "value", "timestamp", "step", "model_id", "dataset_name", "dataset_digest", "run_id"})
      point[key] = field_or_null(*metric, key);
    if (auto const value = mlflow::get_double(*metric, "value")) point["value"] = *value;
    metrics.push_back(std::move(point));
  }
  out["metrics"] = std::move(metrics);
  out["model_uri"] = "models:/" + std::string(model.id());
  return out;
}

json::object logged_model_from_tree(const json::object& mlflow) {
  json::object info;
  take_fields(without_companions(mlflow), info,
              {"model_id", "experiment_id", "name", "model_type", "source_run_id", "status_message"});
  if (mlflow::get_string(info, "model_id").empty()) throw mlflow::JsonError("no 'model_id'");
  auto const set_time = [&](const char* to, const char* from) {
    if (auto const time = mlflow::get_int(mlflow, from)) info[to] = *time;
  };
  set_time("creation_timestamp_ms", "creation_time");
  set_time("last_updated_timestamp_ms", "last_updated_timestamp");
  if (auto const uri = mlflow::get_string(mlflow, "artifact_location"); !uri.empty())
    info["artifact_uri"] = uri;
  auto const status = mlflow::get_string(mlflow, "status");
  info["status"] = status;
  for (auto const& one : logged_model_statuses) {
    if (one.tree == status) info["status"] = one.server;
  }
  info["tags"] = tag_list(mlflow, "tags");
  json::array metrics;
  auto const* list = mlflow::get_array(mlflow, "metrics");
  for (auto const& item : list == nullptr ? json::array() : *list) {
    auto const* point = item.if_object();
    if (point == nullptr || !mlflow::get_double(*point, "value") || mlflow::get_string(*point, "key").empty())
      throw mlflow::JsonError("one of 'metrics' has no 'key' or 'value'");
    metrics.push_back(without_companions(*point));
  }
  return {{"info", std::move(info)},
          {"data", json::object{{"params", tag_list(mlflow, "params")}, {"metrics", std::move(metrics)}}}};
}

json::object tree_registered_model(const json::object& doc) {
  json::object out;
  take_fields(doc, out, {"name", "creation_timestamp", "last_updated_timestamp", "user_id", "description"});
  for (auto const& [key, value] : doc) {
    if (key != "latest_versions" && key != "tags" && key != "aliases") out[key] = value;
  }
  set_times(out, doc);
  for (auto const key : {"tags", "aliases"}) {
    auto const* list = mlflow::get_array(doc, key);
    if (list != nullptr && !list->empty()) out[key] = *list;
  }
  return out;
}

json::object registered_model_from_tree(const json::object& model) {
  auto doc = without_companions(model);
  if (mlflow::get_string(doc, "name").empty()) throw mlflow::JsonError("a registered model without a 'name'");
  for (auto const key :
       {"versions", "latest_versions", "permissions", "tags", "aliases", "id", "permission_level"})
    doc.erase(key);
  auto tags = tag_list(model, "tags");
  if (!tags.empty()) doc["tags"] = std::move(tags);
  // Of the model, and of each version.
  json::array aliases;
  std::set<std::string> seen;
  auto const add = [&](std::string_view alias, std::string_view version) {
    if (alias.empty() || version.empty() || !seen.emplace(alias).second) return;
    aliases.push_back(json::object{{"alias", alias}, {"version", version}});
  };
  if (auto const* list = mlflow::get_array(model, "aliases")) {
    for (auto const& item : *list) {
      auto const* alias = item.if_object();
      if (alias == nullptr || mlflow::get_int(*alias, "version").value_or(0) <= 0)
        throw mlflow::JsonError("one of 'aliases' has no number in 'version'");
      add(mlflow::get_string(*alias, "alias"), mlflow::get_string(*alias, "version"));
    }
  }
  if (auto const* versions = mlflow::get_array(model, "versions")) {
    for (auto const& item : *versions) {
      auto const* version = item.if_object();
      auto const* names = version == nullptr ? nullptr : mlflow::get_array(*version, "aliases");
      for (auto const& alias : names == nullptr ? json::array() : *names) {
        if (auto const* text = alias.if_string()) add(*text, mlflow::get_string(*version, "version"));
      }
    }
  }
  if (!aliases.empty()) doc["aliases"] = std::move(aliases);
  return doc;
}

json::object tree_version(const json::object& doc, const std::vector<std::string>& aliases) {
  json::object out;
  for (auto const key :
       {"name", "version", "creation_timestamp", "last_updated_timestamp", "description", "user_id",
        "current_stage", "source", "run_id", "run_link", "status", "status_message"})
    out[key] = field_or_null(doc, key);
  out["tags"] = tag_object(doc, "tags", false);
  out["aliases"] = json::array(aliases.begin(), aliases.end());
  take_fields(doc, out, {"model_id"});
  set_times(out, doc);
  return out;
}

json::object version_from_tree(const json::object& version) {
  auto doc = without_companions(version);
  for (auto const key : {"tags", "aliases", "params", "metrics"}) doc.erase(key);
  auto const number = mlflow::get_int(version, "version");
  if (!number || *number <= 0) throw mlflow::JsonError("a version without a number in 'version'");
  doc["version"] = std::to_string(*number);
  auto tags = tag_list(version, "tags");
  if (!tags.empty()) doc["tags"] = std::move(tags);
  return doc;
}

json::object tree_prompt(const json::object& version_doc) {
  mlflow::ModelVersion const version{version_doc};
  auto const tags = version.tags();
  json::object own_tags;
  for (auto const& tag : tags) {
    if (!is_reserved_prompt_tag(tag.key)) own_tags[tag.key] = tag.value;
  }
  auto const* text = mlflow::find_value(tags, text_tag);
  auto const* type = mlflow::find_value(tags, type_tag);
  json::value content = text == nullptr ? json::value() : json::value(*text);
  if (text != nullptr && type != nullptr && *type == "chat") {
    try {
      content = mlflow::parse_json(*text, "chat prompt");
    } catch (const mlflow::JsonError&) {
      // Not as MLflow's client writes it: the text as it is.
    }
  }
  std::string texts;
  collect_texts(content, texts);
  auto const name = std::string(version.name());
  json::object out{{"name", name},
                   {"version", version.number()},
                   {"template", content},
                   {"tags", std::move(own_tags)},
                   {"creation_timestamp", field_or_null(version_doc, "creation_timestamp")},
                   {"last_updated_timestamp", field_or_null(version_doc, "last_updated_timestamp")},
                   {"user_id", field_or_null(version_doc, "user_id")},
                   {"description", field_or_null(version_doc, "description")},
                   {"commit_message", field_or_null(version_doc, "description")},
                   {"variables", text == nullptr ? json::value() : json::value(variables_in(texts))},
                   {"uri", "prompts:/" + name + "/" + std::to_string(version.number())}};
  set_times(out, version_doc);
  return out;
}

json::object prompt_version_from_tree(const json::object& prompt) {
  auto const number = mlflow::get_int(prompt, "version");
  auto const name = mlflow::get_string(prompt, "name");
  if (name.empty() || !number || *number <= 0)
    throw mlflow::JsonError("a prompt without 'name' or number in 'version'");
  auto const content = field_or_null(prompt, "template");
  if (!content.is_string() && !content.is_array())
    throw mlflow::JsonError("'template' is neither a text nor a list");
  json::object doc{
      {"name", name}, {"version", std::to_string(*number)}, {"source", prompt_source}, {"status", "READY"}};
  for (auto const key : {"creation_timestamp", "last_updated_timestamp"}) {
    if (auto const time = mlflow::get_int(prompt, key)) doc[key] = *time;
  }
  auto const message = mlflow::get_string(prompt, "commit_message");
  auto const description = message.empty() ? mlflow::get_string(prompt, "description") : message;
  if (!description.empty()) doc["description"] = description;
  if (auto const user = mlflow::get_string(prompt, "user_id"); !user.empty()) doc["user_id"] = user;
  auto tags = tag_list(prompt, "tags");
  auto const add = [&tags](std::string_view key, std::string_view value) {
    tags.push_back(json::object{{"key", key}, {"value", value}});
  };
  add(mlflow::prompt_tag, "true");
  add(text_tag, content.is_string() ? std::string(content.get_string()) : mlflow::to_json(content));
  add(type_tag, content.is_string() ? "text" : "chat");
  doc["tags"] = std::move(tags);
  return doc;
}

}  // namespace mlferry::engine
