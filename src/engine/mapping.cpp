#include "engine/mapping.hpp"

#include <algorithm>

#include "engine/id_text.hpp"
#include "engine/source_tags.hpp"
#include "protocol/digest/sha256.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view user_tag = "mlflow.user";
constexpr std::string_view model_scheme = "models:/";

json::array to_list(const mlflow::KeyValues& tags) {
  json::array list;
  for (auto const& tag : tags) list.push_back(json::object{{"key", tag.key}, {"value", tag.value}});
  return list;
}

json::object& object_in(json::object& parent, std::string_view key) {
  auto& value = parent[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

std::vector<std::string> aliases_of(const mlflow::RegisteredModel& model, std::int64_t number) {
  std::vector<std::string> out;
  for (auto const& [alias, version] : model.aliases()) {
    if (version == std::to_string(number)) out.push_back(alias);
  }
  return out;
}

void add_to(std::string& fingerprint, const std::string& suffix) {
  if (!fingerprint.empty()) fingerprint += suffix;
}

}  // namespace

std::string Mapping::identity_suffix(const std::vector<std::string>& source_experiments) const {
  std::string out;
  bool const same = experiment_metadata && source_experiments.size() == 1 && source_experiments[0] == into_experiment;
  if (!into_experiment.empty() && !same) out += "#into=" + into_experiment;
  if (!dataset.empty()) out += "#dataset=" + dataset;
  return out;
}

std::string Mapping::fingerprint_suffix() const {
  std::string text;
  if (source_tags) text += "source tags\n";
  if (source_user) text += "source user\n";
  if (text.empty()) return {};
  return "+" + digest::sha256_hex(text).substr(0, 8);
}

void Mapping::apply(ExperimentRecord& record) const {
  auto& doc = record.experiment.doc;
  auto tags = record.experiment.tags();
  if (source_tags && !record.experiment.name().empty())
    tags = with_tags(std::move(tags), tags_of_source(record.experiment));
  if (!into_experiment.empty()) {
    doc["name"] = into_experiment;
    if (!experiment_metadata) {
      tags.clear();
      doc["lifecycle_stage"] = "active";
      record.fingerprint.clear();
    }
  } else {
    doc["name"] = experiments.apply(record.experiment.name());
  }
  doc["tags"] = to_list(tags);
  add_to(record.fingerprint, fingerprint_suffix());
}

void Mapping::apply(RunRecord& record, const std::string& experiment_id) const {
  add_to(record.fingerprint, fingerprint_suffix());
  auto tags = record.run.tags();
  if (source_tags) tags = with_tags(std::move(tags), tags_of_source(record.run));
  if (source_user && !record.run.user_id().empty())
    tags = with_tags(std::move(tags), {{std::string(user_tag), std::string(record.run.user_id())}});
  if (source_tags || source_user) object_in(record.run.doc, "data")["tags"] = to_list(tags);
  if (!experiment_id.empty()) object_in(record.run.doc, "info")["experiment_id"] = experiment_id;
}

void Mapping::apply(LoggedModelRecord& record, const std::string& experiment_id) const {
  add_to(record.fingerprint, fingerprint_suffix());
  if (!experiment_id.empty()) object_in(record.model.doc, "info")["experiment_id"] = experiment_id;
}

void Mapping::apply(TraceRecord& record, const std::string& experiment_id) const {
  add_to(record.fingerprint, fingerprint_suffix());
  if (experiment_id.empty()) return;
  record.trace.doc["trace_location"] = json::object{
      {"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", json::object{{"experiment_id", experiment_id}}}};
}

std::string Mapping::model_name(std::string_view name) const {
  return model.empty() ? models.apply(name) : model;
}

void Mapping::apply(RegisteredModelRecord& record) const {
  bool const is_prompt = record.model.is_prompt();
  auto const old = std::string(record.model.name());
  auto const name = is_prompt ? (prompt.empty() ? old : prompt) : model_name(old);
  if (version) std::erase_if(record.versions, [&](const auto& item) { return item.version.number() != *version; });

  // Before anything is taken away that they tell of.
  std::vector<mlflow::KeyValues> version_sources;
  if (source_tags && !is_prompt) {
    for (auto const& item : record.versions)
      version_sources.push_back(tags_of_source(item.version, aliases_of(record.model, item.version.number())));
  }
  auto& doc = record.model.doc;
  auto tags = record.model.tags();
  if (source_tags && !is_prompt) tags = with_tags(std::move(tags), tags_of_source(record.model));
  if (!model_metadata && !is_prompt) {
    tags.clear();
    doc.erase("description");
  }
  doc["tags"] = to_list(tags);
  if (!stages_and_aliases) doc.erase("aliases");
  if (version) {
    json::array kept;
    for (auto const& [alias, number] : record.model.aliases()) {
      if (number == std::to_string(*version)) kept.push_back(json::object{{"alias", alias}, {"version", number}});
    }
    doc["aliases"] = std::move(kept);
  }
  if (name != old) {
    record.renamed_from = old;
    doc["name"] = name;
  }
  add_to(record.fingerprint, fingerprint_suffix());

  for (std::size_t i = 0; i < record.versions.size(); ++i) {
    auto& item = record.versions[i];
    auto& version_doc = item.version.doc;
    if (name != old) item.source_model = old;
    version_doc["name"] = name;
    if (!stages_and_aliases) version_doc.erase("current_stage");
    auto version_tags_now = item.version.tags();
    if (!version_sources.empty()) version_tags_now = with_tags(std::move(version_tags_now), version_sources[i]);
    version_tags_now = with_tags(std::move(version_tags_now), version_tags);
    version_doc["tags"] = to_list(version_tags_now);
    // "models:/Name/3": of another registered model, or of this one.
    auto const source = std::string(item.version.source());
    if (!is_prompt && source.starts_with(model_scheme) && find_ids(source).logged_models.empty()) {
      auto const end = std::min(source.find_first_of("/@", model_scheme.size()), source.size());
      auto const other = source.substr(model_scheme.size(), end - model_scheme.size());
      auto const other_now = other == old ? name : models.apply(other);
      version_doc["source"] = std::string(model_scheme) + other_now + source.substr(end);
    }
    add_to(item.fingerprint, fingerprint_suffix());
  }
}

void Mapping::apply(ObjectRecord& record, const std::string& experiment_id) const {
  add_to(record.fingerprint, fingerprint_suffix());
  if (!experiment_id.empty() && !record.parent.empty()) {
    record.parent = experiment_id;
    if (record.doc.contains("experiment_id")) record.doc["experiment_id"] = experiment_id;
  }
  if (record.kind == Kind::evaluation_dataset && !dataset.empty()) {
    record.doc["name"] = dataset;
    record.name = dataset;
  }
}

}  // namespace mlferry::engine
