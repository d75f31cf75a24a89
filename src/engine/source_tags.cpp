#include "engine/source_tags.hpp"

#include <algorithm>

#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/tree_documents.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view server_prefix = "mlflow.";
constexpr std::string_view tag_prefix = "mlflow_exim.mlflow_tag.";
constexpr std::string_view field_prefix = "mlflow_exim.field.";
constexpr std::string_view info_prefix = "mlflow_exim.run_info.";

std::string text_of(const json::value& value) {
  if (auto const* text = value.if_string()) return std::string(*text);
  return mlflow::to_json(value);
}

// Only the prefix goes: two keys never become one.
void add_server_tags(mlflow::KeyValues& out, const mlflow::KeyValues& tags) {
  for (auto const& tag : tags) {
    if (tag.key.starts_with(server_prefix))
      out.push_back({std::string(tag_prefix) + tag.key.substr(server_prefix.size()), tag.value});
  }
}

void add_fields(mlflow::KeyValues& out, std::string_view prefix, const json::object& fields,
                std::initializer_list<std::string_view> left_out) {
  for (auto const& [key, value] : fields) {
    if (value.is_null() || std::find(left_out.begin(), left_out.end(), key) != left_out.end()) continue;
    out.push_back({std::string(prefix) + std::string(key), text_of(value)});
  }
}

}  // namespace

mlflow::KeyValues tags_of_source(const mlflow::Experiment& experiment) {
  mlflow::KeyValues out;
  add_server_tags(out, experiment.tags());
  add_fields(out, field_prefix, tree_experiment(experiment.doc), {"tags"});
  return out;
}

mlflow::KeyValues tags_of_source(const mlflow::Run& run) {
  mlflow::KeyValues out;
  add_server_tags(out, run.tags());
  auto const fields = tree_run(run.doc);
  add_fields(out, info_prefix, fields.at("info").get_object(), {});
  return out;
}

mlflow::KeyValues tags_of_source(const mlflow::RegisteredModel& model) {
  mlflow::KeyValues out;
  add_fields(out, field_prefix, tree_registered_model(model.doc), {"tags", "versions", "latest_versions", "aliases"});
  return out;
}

mlflow::KeyValues tags_of_source(const mlflow::ModelVersion& version, const std::vector<std::string>& aliases) {
  mlflow::KeyValues out;
  add_fields(out, field_prefix, tree_version(version.doc, aliases), {"tags"});
  return out;
}

mlflow::KeyValues lineage_tags(const mlflow::ModelVersion& version, const VersionLineage& lineage) {
  mlflow::KeyValues out{{"mlflow_exim.src_version.name", std::string(version.name())},
                        {"mlflow_exim.src_version.version", std::to_string(version.number())},
                        {"mlflow_exim.src_client.tracking_uri", lineage.source_uri},
                        // The package doubles the prefix, and who searches for it knows that name.
                        {"mlflow_exim.mlflow_exim.dst_client.tracking_uri", lineage.destination_uri}};
  if (!version.run_id().empty()) out.push_back({"mlflow_exim.src_version.run_id", std::string(version.run_id())});
  for (auto const* key : {"mlflow.databricks.workspaceURL", "mlflow.databricks.webappURL",
                          "mlflow.databricks.workspaceID", "mlflow.user"}) {
    if (auto const* value = mlflow::find_value(lineage.run_tags, key))
      out.push_back({std::string("mlflow_exim.src_run.") + key, *value});
  }
  return out;
}

mlflow::KeyValues with_tags(mlflow::KeyValues tags, const mlflow::KeyValues& more) {
  for (auto const& tag : more) {
    auto const same = std::find_if(tags.begin(), tags.end(), [&](auto const& one) { return one.key == tag.key; });
    if (same != tags.end()) {
      same->value = tag.value;
    } else {
      tags.push_back(tag);
    }
  }
  return tags;
}

}  // namespace mlferry::engine
