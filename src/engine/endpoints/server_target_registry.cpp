// Registered models and their versions: exact numbers, one version after the other within a model.

#include <algorithm>
#include <map>

#include "async/sleep.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/endpoints/version_numbers.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view no_stage = "None";
// The only source besides "prompt-template" that a server takes for a prompt (mlflow-rest 6.4).
constexpr const char* prompt_source = "dummy-source";
constexpr const char* placeholder_tag = "mlferry.placeholder";
constexpr const char* carriers_experiment = "mlferry: files of model versions";
constexpr std::string_view prompt_experiments_tag = "_mlflow_experiment_ids";
constexpr std::string_view prompt_runs_tag = "mlflow.prompt.associatedRunIds";

// The number that the server gave is not the one that was asked for.
class WrongNumber : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

bool is_bucket(std::string_view source) {
  auto const colon = source.find(':');
  if (colon == std::string_view::npos) return false;
  auto const scheme = source.substr(0, colon);
  return scheme != "mlflow-artifacts" && scheme != "file" && scheme != "runs" && scheme != "models";
}

}  // namespace

// A version that only takes a number, and is deleted at the end. Its tags outlive it (mlflow-rest 6.3): it
// has none but those that a prompt demands.
static mlflow::Client::NewModelVersion placeholder_of(const std::string& name, bool prompt) {
  mlflow::Client::NewModelVersion version;
  version.name = name;
  version.source = prompt ? prompt_source : placeholder_source;
  if (prompt) version.tags = {{std::string(mlflow::prompt_tag), "true"}, {placeholder_tag, "true"}};
  return version;
}

static bool is_placeholder(const mlflow::ModelVersion& version) {
  auto const tags = version.tags();
  return version.source() == placeholder_source || mlflow::find_value(tags, placeholder_tag) != nullptr;
}

// Tags of a prompt or its version: two of them list experiments and runs by id.
async::Task<mlflow::KeyValues> ServerTarget::map_prompt_tags(mlflow::KeyValues tags, Kind kind,
                                                             std::string id) {
  tags = without_markers(std::move(tags));
  for (auto& tag : tags) {
    if (tag.key == prompt_experiments_tag) {
      std::string mapped, left_out;
      for (auto const& experiment : split_list(tag.value)) {
        auto const found = containers_.find(experiment);
        // An experiment that is gone from the source, or was not copied: its old id would name another one.
        if (found == containers_.end()) {
          left_out += " " + experiment;
        } else {
          mapped += "," + found->second.id;
        }
      }
      if (!left_out.empty()) {
        context_.report.loss(kind, id, "",
                             "its links to experiments that were not copied are left out:" + left_out);
      }
      tag.value = mapped.empty() ? "" : mapped + ",";
    } else if (tag.key == prompt_runs_tag) {
      tag.value = replace_all(tag.value, co_await replacements_for(tag.value, nullptr));
    }
  }
  co_return tags;
}

async::Task<ServerTarget::MappedVersion> ServerTarget::map_prompt_version(
    const ModelVersionRecord& record) {
  auto const& version = record.version;
  MappedVersion mapped;
  auto& out = mapped.version;
  out.name = version.name();
  out.description = version.description();
  out.source = version.source();
  auto const id = source_id_of(record);
  out.tags = co_await map_prompt_tags(version.tags(), Kind::prompt_version, id);
  if (context_.options.marker_tags) {
    out.tags = with_markers(std::move(out.tags), source_server_, id,
                            {{"creation_time", field_text(version.doc, "creation_timestamp")},
                             {"last_update_time", field_text(version.doc, "last_updated_timestamp")},
                             {"user_id", field_text(version.doc, "user_id")}});
  }
  co_return mapped;
}

// Its run or logged model has no copy: a run of our own takes their place.
async::Task<ServerTarget::MappedVersion> ServerTarget::map_to_carrier(MappedVersion mapped,
                                                                      const ModelVersionRecord& record,
                                                                      Source& source_of_files) {
  if (options_.versions_need_files && record.files.empty()) {
    mapped.failure = "its files (" + std::string(record.version.source()) + ") are not among what is imported" +
                     (record.version.run_id().empty() ? "" : ", nor is its run " + std::string(record.version.run_id()));
    co_return mapped;
  }
  auto& out = mapped.version;
  auto const carrier = co_await make_carrier(record, source_of_files);
  out.source = carrier.uri;
  out.run_id = carrier.id;
  out.tags.push_back({carrier_tag, std::string(record.version.source())});
  context_.report.loss(Kind::model_version, source_id_of(record), "",
                       "its files belong to no run or logged model that was copied; run " + carrier.id +
                           " in experiment '" + carriers_experiment + "' carries them");
  co_return mapped;
}

// Where the version's files are in the destination: the same place within the copy of its run or logged
// model.
async::Task<ServerTarget::MappedVersion> ServerTarget::map_version(const ModelVersionRecord& record,
                                                                   Source& source_of_files) {
  auto const& version = record.version;
  MappedVersion mapped;
  auto& out = mapped.version;
  std::string const source(version.source());
  std::string const source_run(version.run_id());
  std::string const id = source_id_of(record);
  out.name = version.name();
  out.description = version.description();
  out.run_link = version.run_link();
  out.tags = without_markers(version.tags());
  if (context_.options.marker_tags) {
    out.tags = with_markers(std::move(out.tags), source_server_, id,
                            {{"creation_time", field_text(version.doc, "creation_timestamp")},
                             {"last_update_time", field_text(version.doc, "last_updated_timestamp")},
                             {"user_id", field_text(version.doc, "user_id")},
                             {"run_id", source_run}});
  }
  if (options_.linked_versions) {
    out.source = source;
    out.run_id = source_run;
    auto const models = find_ids(source).logged_models;
    if (!models.empty()) out.model_id = models.front();
    co_return mapped;
  }
  std::optional<Place> run;
  if (!source_run.empty()) run = co_await find_place(Kind::run, source_run);
  out.run_id = run ? run->id : source_run;

  auto const ids = find_ids(source);
  if (!ids.logged_models.empty()) {
    auto const model = co_await find_place(Kind::logged_model, ids.logged_models.front());
    if (!model && failed_now(ids.logged_models.front())) {
      mapped.failure = "its logged model " + ids.logged_models.front() + " was not copied";
      mapped.may_come = true;
      co_return mapped;
    }
    if (!model) co_return co_await map_to_carrier(std::move(mapped), record, source_of_files);
    auto const [below, moved] = move_uri(source, model->source_uri, model->uri);
    if (!capabilities_.logged_models) {  // a run carries the model
      auto const& model_id = ids.logged_models.front();
      out.source = below ? moved : model->uri + source.substr(source.find(model_id) + model_id.size());
      if (!run || !proxied_path(model->uri)) out.run_id = model->id;  // a local source must lie within its run
      out.tags.push_back({carrier_tag, source});
      context_.report.loss(Kind::model_version, id, "",
                           "its logged model is run " + model->id + " in the destination, and its source is there");
      co_return mapped;
    }
    out.source = below ? moved : replace_all(source, {{ids.logged_models.front(), model->id}});
    out.model_id = model->id;
    if (!run) out.run_id.clear();  // the server takes the model's source run
    co_return mapped;
  }
  if (run) {
    auto const [below, moved] = move_uri(source, run->source_uri, run->uri);
    if (below) {
      out.source = moved;
      co_return mapped;
    }
    if (source.starts_with("runs:/")) {
      out.source = replace_all(source, {{source_run, run->id}});
      co_return mapped;
    }
  }
  // Its run may still come with the next job.
  if (!run && !source_run.empty() && failed_now(source_run)) {
    mapped.failure = "its run " + source_run + " was not copied";
    mapped.may_come = true;
    co_return mapped;
  }
  if (!run && source.starts_with("runs:/")) co_return co_await map_to_carrier(std::move(mapped), record, source_of_files);
  if (source.starts_with("models:/") || is_bucket(source)) {
    out.source = source;
    if (!run && !source_run.empty()) {
      context_.report.loss(Kind::model_version, id, "",
                           "its run " + source_run + " was not copied; the version keeps the old id");
    }
    if (is_bucket(source)) {
      auto const models = co_await ledger_->deferred_for("version_model", id);
      for (auto const& model : models) {
        auto const place = co_await find_place(Kind::logged_model, model);
        if (place) out.model_id = place->id;
      }
    }
    co_return mapped;
  }
  if (!record.files.empty() || proxied_path(source))
    co_return co_await map_to_carrier(std::move(mapped), record, source_of_files);
  mapped.failure = source_run.empty()
                       ? "its files (" + source + ") belong to no run or logged model that could be copied"
                       : "its files (" + source + ") lie outside of its run " + source_run +
                             (run ? "" : ", which was not copied");
  co_return mapped;
}

namespace {

// Opens a carrier's files as those of its version.
class VersionFiles final : public Source {
 public:
  VersionFiles(Source& source, FileOwner owner) : source_(source), owner_(std::move(owner)) {}
  async::Task<SourceInfo> open() override { co_return SourceInfo{}; }
  std::unique_ptr<Pages<ExperimentRecord>> experiments() override { return nullptr; }
  std::unique_ptr<Pages<RunRecord>> runs(std::string, Known&) override { return nullptr; }
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string, Known&) override { return nullptr; }
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known&) override { return nullptr; }
  std::unique_ptr<Pages<TraceRecord>> traces(std::string, Known&) override { return nullptr; }
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind, Known&) override { return nullptr; }
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner, FileEntry file) override {
    return source_.open_file(owner_, std::move(file));
  }

 private:
  Source& source_;
  FileOwner owner_;
};

}  // namespace

// The experiment of runs of our own, once a job.
async::Task<> ServerTarget::open_home(std::string id, std::string name) {
  auto const turn = co_await carriers_turn_->acquire();
  auto const found = containers_.find(id);
  if (found != containers_.end() && (context_.options.dry_run || !found->second.id.empty())) co_return;
  ExperimentRecord experiment;
  experiment.experiment.doc = {{"experiment_id", id}, {"name", name}, {"lifecycle_stage", "active"}};
  co_await put_experiment(std::move(experiment));
}

// A run of our own that holds the files of one version: the destination takes a proxied source only inside a
// run or logged model (mlflow-rest 6.3). Made as any run is, so that a repeat finds it.
async::Task<Place> ServerTarget::make_carrier(const ModelVersionRecord& record, Source& source) {
  auto const id = source_id_of(record);
  std::string const home = "mlferry:carriers";
  co_await open_home(home, carriers_experiment);
  RunRecord run;
  auto const time = mlflow::get_int(record.version.doc, "creation_timestamp").value_or(0);
  run.run.doc = {{"info", json::object{{"run_id", "carrier:" + id},
                                       {"experiment_id", home},
                                       {"run_name", "files of " + id},
                                       {"status", "FINISHED"},
                                       {"start_time", time},
                                       {"end_time", time},
                                       {"lifecycle_stage", "active"},
                                       {"artifact_uri", record.version.source()}}},
                 {"data", json::object()}};
  run.files = record.files;
  run.gaps = record.gaps;
  VersionFiles files(source, owner_of(record));
  co_await put_run(std::move(run), files);
  auto const place = co_await find_place(Kind::run, "carrier:" + id);
  if (!place) throw std::runtime_error("the run that carries its files vanished during the job");
  co_return *place;
}

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
      bool updated = false;
      auto const failure = co_await attempt(put_version_details(version, there.at(step.number), updated));
      if (failure) {
        context_.report.failed(kind, id, name, *failure);
      } else if (updated) {
        context_.report.copied(kind, false);
      } else {
        context_.report.unchanged(kind);
      }
      changed = changed || updated;
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
