// Registered models and prompts: themselves, their aliases, and when their versions can be made.

#include <map>

#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"

namespace mlferry::engine {

async::Task<> ServerTarget::put_aliases(const RegisteredModelRecord& record,
                                        const mlflow::RegisteredModel& existing, bool ours,
                                        const std::map<std::int64_t, std::int64_t>& numbers, bool& changed) {
  std::string const name(record.model.name());
  if (!capabilities_.aliases && !record.model.aliases().empty()) {
    context_.report.loss(record.kind(), name, name,
                         "its aliases are left out: the destination (" + capabilities_.name() + ") has none");
    co_return;
  }
  std::map<std::string, std::string> now;
  for (auto const& [alias, version] : existing.aliases()) now[alias] = version;
  for (auto const& [alias, source_version] : record.model.aliases()) {
    auto const number = numbers.find(std::atoll(source_version.c_str()));
    if (number == numbers.end()) {
      context_.report.loss(record.kind(), name, name,
                           "alias '" + alias + "' is left out: its version " + source_version + " was not copied");
      continue;
    }
    auto const version = std::to_string(number->second);
    auto const found = now.find(alias);
    if (found != now.end() && found->second == version) continue;
    if (found != now.end() && !ours) {
      context_.report.loss(
          record.kind(), name, name,
          "alias '" + alias + "' stays at version " + found->second + " of the destination's own model");
      continue;
    }
    changed = true;
    if (!context_.options.dry_run) co_await client_.set_alias(name, alias, version);
  }
}

// Deletes the destination's model or prompt of that name, once it is known that each version can be made.
async::Task<> ServerTarget::make_room(const RegisteredModelRecord& record, Source& source) {
  std::string const name(record.model.name());
  for (auto const& item : record.versions) {
    auto const mapped = co_await (item.version.is_prompt() ? map_prompt_version(item) : map_version(item, source));
    if (!mapped.failure.empty()) {
      throw std::runtime_error("nothing was deleted in the destination, since version " +
                               std::to_string(item.version.number()) + " could not be made again: " + mapped.failure);
    }
  }
  if (record.versions.empty())
    throw std::runtime_error("nothing was deleted in the destination, since the source has no version of it");
  co_await client_.delete_registered_model(name);
  // What the ledger knows of the versions is gone with them.
  for (auto const& item : record.versions)
    co_await ledger_->forget_lost({record.version_kind(), source_id_of(item), name}, name);
}

// "models:/Name/3" or "models:/Name@alias" -> "Name"; "" for other sources, logged models among them.
static std::string referred_model(std::string_view source) {
  constexpr std::string_view scheme = "models:/";
  if (!source.starts_with(scheme) || !find_ids(source).logged_models.empty()) return {};
  source.remove_prefix(scheme.size());
  return std::string(source.substr(0, source.find_first_of("/@")));
}

async::Task<bool> ServerTarget::must_wait(const RegisteredModelRecord& record) {
  if (options_.linked_versions) co_return false;
  for (auto const& item : record.versions) {
    auto const source = item.version.source();
    auto const other = referred_model(source);
    if (other.empty() || other == record.model.name()) continue;
    auto const model = co_await client_.get_registered_model(other);
    if (!model) co_return true;
    auto const slash = source.rfind('/');
    auto const number = std::atoll(std::string(source.substr(slash + 1)).c_str());
    if (number <= 0) continue;
    auto const version = co_await client_.get_model_version(other, number);
    if (!version) co_return true;
  }
  co_return false;
}

async::Task<Outcome> ServerTarget::put_registered_model(RegisteredModelRecord record, Source& source,
                                                        bool last_try) {
  std::string const name(record.model.name());
  auto const source_name = record.source_name();
  auto const kind = record.kind();
  auto const version_kind = record.version_kind();
  if (!last_try && record.read_error.empty() && co_await must_wait(record)) co_return Outcome::waits;
  context_.report.found(version_kind, record.versions.size());
  auto fail_versions = [&](const std::string& cause) {
    for (auto const& version : record.versions) {
      context_.report.failed(version_kind, source_id_of(version), name, cause);
    }
  };
  if (kind == Kind::prompt && !capabilities_.prompts) {
    auto const reason = "the destination (" + capabilities_.name() +
                        ") has no prompts: they came with MLflow 2.21, so upgrade it and run again";
    for (auto const& version : record.versions) {
      context_.report.skipped(version_kind, source_id_of(version), name, reason);
    }
    throw NotHeld(reason);
  }
  if (!record.read_error.empty()) {
    fail_versions("the list of versions could not be read");
    throw std::runtime_error(record.read_error);
  }
  auto existing = co_await client_.get_registered_model(name);
  if (existing && existing->is_prompt() != record.model.is_prompt()) {
    fail_versions("the destination has something else of that name");
    throw std::runtime_error("the destination has a " +
                             std::string(existing->is_prompt() ? "prompt" : "registered model") +
                             " of that name: rename it there, and run again");
  }
  if (!existing && !options_.create_models) {
    fail_versions("its model is not in the destination");
    throw std::runtime_error("the destination has no " + std::string(kind == Kind::prompt ? "prompt" : "registered model") +
                             " of that name, and it was not to be created");
  }
  if (existing && options_.replaced.contains(kind) && !context_.options.dry_run) {
    if (auto const failure = co_await attempt(make_room(record, source))) {
      fail_versions("the model of that name in the destination could not be replaced");
      throw std::runtime_error(*failure);
    }
    existing.reset();
  }
  bool const exists = existing.has_value();
  bool changed = false;
  bool ours = true;
  if (!exists && context_.options.dry_run) {
    for (std::size_t i = 0; i < record.versions.size(); ++i) context_.report.copied(version_kind, true);
    co_return Outcome::created;
  }
  std::optional<std::string> failure;
  auto wanted_tags = kind == Kind::prompt ? co_await map_prompt_tags(record.model.tags(), kind, name)
                                          : without_markers(record.model.tags());
  if (!exists) {
    auto tags = std::move(wanted_tags);
    if (context_.options.marker_tags) {
      tags = with_markers(std::move(tags), source_server_, source_name,
                          {{"creation_time", field_text(record.model.doc, "creation_timestamp")},
                           {"last_update_time", field_text(record.model.doc, "last_updated_timestamp")}});
    }
    failure = co_await attempt(
        client_.create_registered_model(name, std::string(record.model.description()), std::move(tags)));
    existing = co_await client_.get_registered_model(name);
    // A lost answer: the marker shows that the model is ours all the same.
    if (failure && existing && marked_source(existing->tags(), source_server_) == source_name) failure.reset();
    if (!failure && !existing) failure = "created, but not found afterwards";
    if (!failure) {
      co_await ledger_->put({kind, source_name, record.renamed_from.empty() ? "" : name},
                            {name, true, record.fingerprint, true, false, ""});
    }
    if (failure) {
      fail_versions("its model could not be created");
      throw std::runtime_error(*failure);
    }
  } else {
    auto const tags = existing->tags();
    auto const entry = co_await ledger_->find({kind, source_name, record.renamed_from.empty() ? "" : name});
    ours = marked_source(tags, source_server_) == source_name ||
           (entry && entry->done && !context_.options.marker_tags);
    for (auto const& tag : wanted_tags) {
      auto const* value = mlflow::find_value(tags, tag.key);
      if (value != nullptr && (*value == tag.value || !ours)) continue;
      changed = true;
      if (!context_.options.dry_run) co_await client_.set_registered_model_tag(name, tag.key, tag.value);
    }
    if (existing->description() != record.model.description() && (ours || existing->description().empty())) {
      changed = true;
      if (!context_.options.dry_run)
        co_await client_.update_registered_model(name, std::string(record.model.description()));
    }
  }
  std::map<std::int64_t, std::int64_t> numbers;  // source's -> destination's
  if (options_.append_versions) {
    numbers = co_await append_versions(record, *existing, source, changed);
    ours = true;  // where its aliases go is what was asked for
  } else {
    co_await put_versions(record, *existing, source, changed);
    for (auto const& item : record.versions) numbers[item.version.number()] = item.version.number();
  }
  co_await put_aliases(record, *existing, ours, numbers, changed);
  if (!exists) co_return Outcome::created;
  co_return changed ? Outcome::updated : Outcome::unchanged;
}

}  // namespace mlferry::engine
