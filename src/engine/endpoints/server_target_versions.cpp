// The versions of a registered model or prompt: each under its own number, one after the other, or behind those that are
// there.

#include <algorithm>
#include <map>

#include "async/sleep.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/endpoints/version_numbers.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr auto ready_poll = std::chrono::milliseconds(200);
constexpr std::string_view no_stage = "None";
// The only source besides "prompt-template" that a server takes for a prompt (mlflow-rest 6.4).
constexpr const char* prompt_source = "dummy-source";
constexpr const char* placeholder_tag = "mlferry.placeholder";

// The number that the server gave is not the one that was asked for.
class WrongNumber : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A version that only takes a number, and is deleted at the end. Its tags outlive it (mlflow-rest 6.3): it
// has none but those that a prompt demands.
mlflow::Client::NewModelVersion placeholder_of(const std::string& name, bool prompt) {
  mlflow::Client::NewModelVersion version;
  version.name = name;
  version.source = prompt ? prompt_source : placeholder_source;
  if (prompt) version.tags = {{std::string(mlflow::prompt_tag), "true"}, {placeholder_tag, "true"}};
  return version;
}

bool is_placeholder(const mlflow::ModelVersion& version) {
  auto const tags = version.tags();
  return version.source() == placeholder_source || mlflow::find_value(tags, placeholder_tag) != nullptr;
}

}  // namespace

// Throws WrongNumber when the server gave another number; the wrong version is deleted again then.
async::Task<> ServerTarget::create_version(mlflow::Client::NewModelVersion version, std::int64_t number) {
  std::int64_t got = 0;
  for (int i = 1; got == 0; ++i) {
    bool unclear = false;
    try {
      auto const created = co_await client_.create_model_version(version);
      got = created.number();
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || i == create_attempts) throw;
      unclear = true;
    }
    if (unclear) {
      co_await async::sleep_for(std::chrono::milliseconds(200 * i));
      // Nobody else writes to this model: a version of the wanted number is the one whose answer was lost.
      auto const there = co_await client_.get_model_version(version.name, number);
      if (there) got = there->number();
    }
  }
  if (got == number) co_return;
  co_await client_.delete_model_version(version.name, got);
  throw WrongNumber("the destination numbered it " + std::to_string(got) + " instead of " +
                    std::to_string(number) +
                    ": versions of this model were deleted there before, or somebody else is adding "
                    "versions; it was removed again");
}

async::Task<> ServerTarget::put_version_details(const mlflow::ModelVersion& wanted,
                                                const mlflow::ModelVersion* existing, bool& changed) {
  std::string const name(wanted.name());
  auto const number = wanted.number();
  if (existing != nullptr) {
    auto const wanted_tags =
        wanted.is_prompt()
            ? co_await map_prompt_tags(wanted.tags(), Kind::prompt_version, version_id(name, number))
            : without_markers(wanted.tags());
    for (auto const& tag : wanted_tags) {
      auto const tags = existing->tags();
      auto const* value = mlflow::find_value(tags, tag.key);
      if (value != nullptr && *value == tag.value) continue;
      changed = true;
      if (!context_.options.dry_run) co_await client_.set_model_version_tag(name, number, tag.key, tag.value);
    }
    if (existing->description() != wanted.description()) {
      changed = true;
      if (!context_.options.dry_run)
        co_await client_.update_model_version(name, number, std::string(wanted.description()));
    }
  }
  auto const stage = wanted.stage().empty() ? no_stage : wanted.stage();
  auto const now = existing == nullptr || existing->stage().empty() ? no_stage : existing->stage();
  if (stage != now) {
    changed = true;
    if (!context_.options.dry_run) co_await client_.transition_stage(name, number, std::string(stage));
  }
}

// Reports the version, which is there. The answer: whether something was added to it.
async::Task<bool> ServerTarget::update_version(mlflow::ModelVersion wanted, mlflow::ModelVersion existing,
                                               std::string source_id) {
  auto const kind = wanted.is_prompt() ? Kind::prompt_version : Kind::model_version;
  std::string const name(wanted.name());
  bool updated = false;
  auto const failure = co_await attempt(put_version_details(wanted, &existing, updated));
  if (failure) {
    context_.report.failed(kind, source_id, name, *failure);
  } else if (updated) {
    context_.report.copied(kind, false);
  } else {
    context_.report.unchanged(kind);
  }
  co_return updated;
}

async::Task<> ServerTarget::delete_placeholders(std::string name) {
  auto const model = co_await client_.get_registered_model(name);
  if (!model) co_return;
  auto const versions = co_await list_versions(client_, *model);
  for (auto const& version : versions) {
    if (is_placeholder(version)) co_await client_.delete_model_version(name, version.number());
  }
}

async::Task<Holder> ServerTarget::holder_of(const mlflow::ModelVersion& version, Kind kind, std::string source_id,
                                            std::string model) {
  if (is_placeholder(version)) co_return Holder::placeholder;
  if (marked_source(version.tags(), source_server_) == source_id) co_return Holder::ours;
  auto const entry = co_await ledger_->find({kind, source_id, model});
  co_return entry && entry->done ? Holder::ours : Holder::foreign;
}

async::Task<> ServerTarget::put_versions(const RegisteredModelRecord& record,
                                         mlflow::RegisteredModel existing, Source& source, bool& changed) {
  using What = VersionStep::What;
  std::string const name(record.model.name());
  auto const source_name = record.source_name();
  bool const prompt = record.model.is_prompt();
  auto const kind = record.version_kind();
  std::map<std::int64_t, const ModelVersionRecord*> records;
  std::vector<std::int64_t> wanted;
  for (auto const& item : record.versions) {
    records[item.version.number()] = &item;
    wanted.push_back(item.version.number());
  }
  auto const listed = co_await list_versions(client_, existing);
  std::map<std::int64_t, const mlflow::ModelVersion*> there;
  std::map<std::int64_t, Holder> present;
  bool placeholders = false;
  for (auto const& version : listed) {
    there[version.number()] = &version;
    auto const holder = co_await holder_of(version, kind, version_id(source_name, version.number()), name);
    placeholders = placeholders || holder == Holder::placeholder;
    present[version.number()] = holder;
  }
  std::string blocked;  // why no later version of this model can get its number in this job
  for (auto const& step : plan_versions(wanted, present)) {
    auto const id = version_id(source_name, step.number);
    if (step.what == What::placeholder) {
      if (context_.options.dry_run || !blocked.empty()) continue;
      auto const failure = co_await attempt(create_version(placeholder_of(name, prompt), step.number));
      if (failure)
        blocked = "the gap at " + std::to_string(step.number) + " could not be filled: " + *failure;
      placeholders = true;
      continue;
    }
    auto const& item = *records.at(step.number);
    auto const& version = item.version;
    if (step.what == What::conflict) {
      context_.report.failed(kind, id, name,
                             present.at(step.number) == Holder::placeholder
                                 ? "could not be created by an earlier job, and its number is used up since: "
                                   "delete the model in the destination and run again"
                                 : "the destination has another version of this number");
      continue;
    }
    if (step.what == What::lost) {
      context_.report.failed(kind, id, name,
                             "its number is used up: a version of it was deleted in the destination");
      continue;
    }
    if (step.what == What::update) {
      if (co_await update_version(version, *there.at(step.number), id)) changed = true;
      continue;
    }
    changed = true;
    if (context_.options.dry_run) {
      context_.report.copied(kind, true);
      continue;
    }
    if (!blocked.empty()) {
      context_.report.failed(kind, id, name, "not tried, so that its number stays free: " + blocked);
      continue;
    }
    // Each by its own tag: a prompt may have a version without it, a model one with it (mlflow-rest 6.4).
    auto mapped = co_await (version.is_prompt() ? map_prompt_version(item) : map_version(item, source));
    std::string cause = mapped.failure;
    // What it needs may have failed in this job only: then its number must stay free for the next.
    if (mapped.may_come) blocked = "version " + std::to_string(step.number) + ": " + cause;
    if (cause.empty()) {
      try {
        co_await create_version(std::move(mapped.version), step.number);
      } catch (const mlflow::ApiError& error) {
        if (ends_the_job(std::current_exception())) throw;
        cause = describe_failure(std::current_exception());
        // 404: the version of another model that it refers to.
        if (error.temporary() || error.status() >= 500 ||
            (error.not_found() && context_.report.counts(kind).failed > 0))
          blocked = "version " + std::to_string(step.number) + ": " + cause;
      } catch (const std::exception&) {
        if (ends_the_job(std::current_exception())) throw;
        cause = describe_failure(std::current_exception());
        blocked = "version " + std::to_string(step.number) + ": " + cause;
      }
    }
    if (!cause.empty()) {
      // Refused for good: its number is kept, so that the later versions get theirs.
      if (blocked.empty()) {
        auto const failure = co_await attempt(create_version(placeholder_of(name, prompt), step.number));
        if (failure) blocked = *failure;
        placeholders = true;
      }
      context_.report.failed(kind, id, name, cause);
      continue;
    }
    co_await ledger_->put({kind, id, name}, {std::to_string(step.number), true, "", true, false, ""});
    bool ignored = false;
    if (auto const late = co_await attempt(await_ready(name, step.number))) {
      context_.report.failed(kind, id, name, *late);
      continue;
    }
    auto const failure = co_await attempt(put_version_details(version, nullptr, ignored));
    if (failure) {
      context_.report.failed(kind, id, name, "created, but its stage could not be set: " + *failure);
    } else {
      context_.report.copied(kind, true);
      auto const status = version.status();
      if (!status.empty() && status != "READY") {
        context_.report.loss(kind, id, name,
                             "its status " + std::string(status) + " cannot be set: the copy is READY");
      }
    }
  }
  // While a version waits, the placeholders before it stay: deleted ones cannot be made again.
  if (placeholders && blocked.empty() && !context_.options.dry_run) co_await delete_placeholders(name);
}

// The number that the server gave it.
async::Task<std::int64_t> ServerTarget::append_version(mlflow::Client::NewModelVersion version, std::string source_id) {
  for (int i = 1;; ++i) {
    std::string unclear;
    try {
      auto const created = co_await client_.create_model_version(version);
      co_return created.number();
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || i == create_attempts) throw;
      unclear = error.what();
    }
    if (!context_.options.marker_tags) {
      throw std::runtime_error(
          "it is not known whether the server created it, and there is no marker to look for: " + unclear);
    }
    co_await async::sleep_for(std::chrono::milliseconds(200 * i));
    auto const model = co_await client_.get_registered_model(version.name);
    if (!model) continue;
    auto const there = co_await list_versions(client_, *model);
    for (auto const& one : there) {
      if (marked_source(one.tags(), source_server_) == source_id) co_return one.number();
    }
  }
}

// Throws when it is not READY in time.
async::Task<> ServerTarget::await_ready(std::string name, std::int64_t number) {
  if (!options_.await_ready) co_return;
  auto const end = std::chrono::steady_clock::now() + *options_.await_ready;
  for (;;) {
    auto const version = co_await client_.get_model_version(name, number);
    std::string const status(version ? version->status() : std::string_view("gone"));
    if (status == "READY" || status.empty()) co_return;
    if (status == "FAILED_REGISTRATION" || !version)
      throw std::runtime_error("created, but the destination says that it is " + status);
    auto const now = std::chrono::steady_clock::now();
    if (now >= end) {
      throw std::runtime_error("created, but not READY after " + std::to_string(options_.await_ready->count()) +
                               " s (--await-creation-for): the destination says " + status);
    }
    co_await async::sleep_for(std::min<std::chrono::nanoseconds>(ready_poll, end - now));
  }
}

// Finds earlier copies by their markers, whatever number they got. The answer: source's number -> destination's.
async::Task<std::map<std::int64_t, std::int64_t>> ServerTarget::append_versions(const RegisteredModelRecord& record,
                                                                                mlflow::RegisteredModel existing,
                                                                                Source& source, bool& changed) {
  std::map<std::int64_t, std::int64_t> numbers;
  std::string const name(record.model.name());
  auto const kind = record.version_kind();
  auto const there = co_await list_versions(client_, existing);
  for (auto const& item : record.versions) {
    auto const id = source_id_of(item);
    auto const entry = co_await ledger_->find({kind, id, name});
    auto const copy = std::find_if(there.begin(), there.end(), [&](const mlflow::ModelVersion& version) {
      bool const known = entry && entry->done && !context_.options.marker_tags &&
                         entry->destination_id == std::to_string(version.number());
      return known || marked_source(version.tags(), source_server_) == id;
    });
    std::int64_t number = copy == there.end() ? 0 : copy->number();
    auto numbered = [&]() -> mlflow::ModelVersion {
      auto version = item.version;
      version.doc["version"] = std::to_string(number);
      return version;
    };
    if (number != 0) {
      if (co_await update_version(numbered(), *copy, id)) changed = true;
      numbers[item.version.number()] = number;
      continue;
    }
    changed = true;
    if (context_.options.dry_run) {
      context_.report.copied(kind, true);
      continue;
    }
    std::optional<std::string> failure;
    auto make = [&]() -> async::Task<> {
      auto mapped = co_await (item.version.is_prompt() ? map_prompt_version(item) : map_version(item, source));
      if (!mapped.failure.empty()) throw std::runtime_error(mapped.failure);
      number = co_await append_version(std::move(mapped.version), id);
      co_await ledger_->put({kind, id, name}, {std::to_string(number), true, "", true, false, ""});
      co_await await_ready(name, number);
      bool ignored = false;
      co_await put_version_details(numbered(), nullptr, ignored);
    };
    failure = co_await attempt(make());
    if (failure) {
      context_.report.failed(kind, id, name, *failure);
      continue;
    }
    numbers[item.version.number()] = number;
    context_.report.copied(kind, true);
    context_.log(LogLevel::info, "version " + id + " is version " + std::to_string(number) + " of '" + name + "'");
  }
  co_return numbers;
}

}  // namespace mlferry::engine
