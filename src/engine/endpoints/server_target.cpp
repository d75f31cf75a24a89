#include "engine/endpoints/server_target.hpp"

#include <algorithm>
#include <set>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "engine/endpoints/adoption.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/failure.hpp"
#include "engine/workspaces.hpp"
#include "protocol/digest/sha256.hpp"
#include "protocol/mlflow/version.hpp"

namespace mlferry::engine {

namespace {

constexpr int copies_a_page = 1000;
constexpr auto lock_poll = std::chrono::milliseconds(100);

std::string place_data(std::string_view source_uri, std::string_view uri) {
  return mlflow::to_json(json::object{{"src", source_uri}, {"dst", uri}});
}

// Both kinds of links, of a server whose search leaves outputs out, too (3.1 to 3.5).
async::Task<> add_links(mlflow::Client& client, std::string run_id, std::set<std::string>& named) {
  auto const run = co_await client.get_run(std::move(run_id));
  if (!run) co_return;
  for (auto const& id : run->model_input_ids()) named.insert(id);
  for (auto const& [model, step] : run->model_outputs()) named.insert(model);
}

}  // namespace

ServerTarget::ServerTarget(const Context& context, mlflow::Client& client, std::string state_folder,
                           bool local_artifacts, TargetWorkspace workspace, ServerTargetOptions options)
    : context_(context),
      client_(client),
      state_folder_(std::move(state_folder)),
      local_artifacts_(local_artifacts),
      workspace_(std::move(workspace)),
      options_(std::move(options)) {}

std::string ServerTarget::describe() const {
  return client_.http().base_url() + (capabilities_.version.empty() ? "" : " (" + capabilities_.name() + ")");
}

async::Task<> ServerTarget::begin(const SourceInfo& source) {
  source_server_ = source.identity;
  auto const job = source.identity + " -> " + identity_in(client_.http().base_url(), workspace_.name);
  co_await open_ledger(job);
  if (!workspace_.name.empty()) {
    auto wanted = source.workspace;
    wanted["name"] = workspace_.name;
    co_await put_workspace(std::move(wanted));
  }
  capabilities_ = co_await client_.probe();
  auto const from = mlflow::parse_version(source.mlflow_version), here = mlflow::parse_version(capabilities_.version);
  if (from && here && from->front() > here->front()) {
    context_.log(LogLevel::warning, "the source is of MLflow " + source.mlflow_version + ", the destination is MLflow " +
                                        capabilities_.version + ": what that version does not have cannot arrive");
  }
  access_ = co_await find_access(client_, capabilities_);
  if (!context_.options.marker_tags) {
    context_.report.notes.push_back("no marker tags are written: only the ledger in " + state_folder_ +
                                    " protects this destination from second copies");
  }
  co_await look_for_traces();
  carriers_turn_ = std::make_unique<async::Semaphore>(context_.executor, 1);
  objects_turn_ = std::make_unique<async::Semaphore>(context_.executor, 1);
}

// Small imports are run side by side; two jobs with one ledger would make an object twice.
async::Task<> ServerTarget::open_ledger(std::string job) {
  auto const folder = state_folder_ + "/" + digest::sha256_hex(job).substr(0, 16);
  auto const end = std::chrono::steady_clock::now() + options_.lock_wait;
  for (bool told = false;;) {
    try {
      ledger_ = std::make_unique<Ledger>(folder, job);
      co_return;
    } catch (const LedgerLocked&) {
      if (std::chrono::steady_clock::now() >= end) throw;
    }
    if (!std::exchange(told, true))
      context_.log(LogLevel::info, "waits for another mlferry that imports from the same source");
    co_await async::sleep_for(lock_poll);
  }
}

async::Task<> ServerTarget::put_workspace(json::object wanted) {
  LedgerKey const key{Kind::workspace, workspace_.name, ""};
  context_.report.found(Kind::workspace);
  auto const existing = co_await get_workspace(*workspace_.server, workspace_.name);
  auto const entry = co_await ledger_->find(key);
  auto change = plan_workspace(wanted, existing, entry.has_value(), local_artifacts_);
  for (auto& loss : change.losses) context_.report.loss(Kind::workspace, workspace_.name, "", std::move(loss));
  if (!change.follow_up.empty())
    context_.report.follow_up(Kind::workspace, workspace_.name, workspace_.name, change.follow_up);
  if (change.body.empty()) {
    context_.report.unchanged(Kind::workspace);
    co_return;
  }
  if (!context_.options.dry_run) {
    if (existing) {
      co_await update_workspace(*workspace_.server, workspace_.name, std::move(change.body));
    } else {
      co_await create_workspace(*workspace_.server, std::move(change.body));
      co_await ledger_->put(key, {workspace_.name, true, "", true, false, ""});
    }
  }
  context_.report.copied(Kind::workspace, !existing);
}

ServerTarget::Container& ServerTarget::container_of(std::string_view source_experiment_id) {
  auto const found = containers_.find(source_experiment_id);
  if (found == containers_.end()) {
    throw std::runtime_error("its experiment (" + std::string(source_experiment_id) + ") was not copied");
  }
  return found->second;
}

async::Task<bool> ServerTarget::unchanged(Kind kind, std::string container, std::string id,
                                          std::string fingerprint) {
  if (is_object_kind(kind)) co_return co_await object_unchanged(kind, id, fingerprint);
  auto const found = containers_.find(container);
  if (found == containers_.end() || found->second.id.empty() || context_.options.full) co_return false;
  auto const entry = co_await find_copy({kind, id, found->second.id});
  co_return entry && entry->seen && entry->done && entry->fingerprint == fingerprint;
}

bool ServerTarget::holds(Kind kind) const {
  return kind != Kind::trace || capabilities_.traces_v3;
}

async::Task<std::vector<std::string>> ServerTarget::known_logged_models(std::string container) {
  auto const found = containers_.find(container);
  if (found == containers_.end() || found->second.id.empty()) co_return std::vector<std::string>();
  co_return co_await ledger_->logged_models_of(found->second.id);
}

async::Task<Outcome> ServerTarget::put_experiment(ExperimentRecord record) {
  auto const& experiment = record.experiment;
  std::string const name(experiment.name());
  std::string const source_id(experiment.id());
  auto& container = containers_[source_id];
  container.source_id = source_id;
  container.name = name;
  container.source_deleted = experiment.deleted();
  container.restoring = std::make_unique<async::Semaphore>(context_.executor, 1);
  container.new_datasets = std::make_unique<async::Semaphore>(context_.executor, 1);

  auto existing = co_await client_.get_experiment_by_name(name);
  if (existing) {
    bool changed = false;
    if (options_.keep_experiments && existing->deleted() && !container.source_deleted) {
      throw std::runtime_error("the destination has a deleted experiment of that name: restore it, or delete it for "
                               "good (mlflow gc), or give another name");
    }
    co_await adopt_experiment(record, std::move(*existing), changed);
    co_return changed ? Outcome::updated : Outcome::unchanged;
  }
  container.ours = true;
  if (context_.options.dry_run) co_return Outcome::created;
  auto tags = experiment.tags();
  if (context_.options.marker_tags) {
    tags = with_markers(std::move(tags), source_server_, source_id,
                        {{"creation_time", field_text(experiment.doc, "creation_time")},
                         {"last_update_time", field_text(experiment.doc, "last_update_time")},
                         {"artifact_location", std::string(experiment.artifact_location())}});
  }
  bool created_before = false;
  try {
    container.id = co_await client_.create_experiment(name, "", std::move(tags));
  } catch (const http::TransportError& error) {
    if (!error.outcome_unknown()) throw;
    created_before = true;
  } catch (const mlflow::ApiError& error) {
    // Made by the attempt whose answer was lost, or by somebody else just now.
    if (!error.already_exists()) throw;
    created_before = true;
  }
  if (created_before) {
    existing = co_await client_.get_experiment_by_name(name);
    if (!existing)
      throw std::runtime_error("it is not known whether the server created it: run the command again");
    bool changed = false;
    co_await adopt_experiment(record, std::move(*existing), changed);
  }
  co_await ledger_->put({Kind::experiment, source_id, ""},
                        {container.id, true, record.fingerprint, true, false, ""});
  if (container.source_deleted) co_await ledger_->defer_delete(DeleteKind::experiment, container.id);
  co_return Outcome::created;
}

// An experiment of that name is there: ours from an earlier job, or the user's own.
async::Task<> ServerTarget::adopt_experiment(const ExperimentRecord& record, mlflow::Experiment existing,
                                             bool& changed) {
  auto& container = container_of(record.experiment.id());
  container.id = existing.id();
  container.deleted = existing.deleted();
  auto const tags = existing.tags();
  auto const source = marked_source(tags, source_server_);
  auto const entry = co_await ledger_->find({Kind::experiment, container.source_id, ""});
  bool const known = entry && entry->destination_id == container.id;
  auto adoption = known ? Adoption::parse(entry->data) : std::nullopt;
  container.ours = source ? *source == container.source_id : known && !adoption;
  if (!container.ours && !adoption) adoption.emplace();
  co_await see_copies(container);
  if (options_.keep_experiments && !container.ours) {
    if (!context_.options.dry_run) {
      co_await ledger_->put({Kind::experiment, container.source_id, ""},
                            {container.id, true, record.fingerprint, true, container.deleted, adoption->data()});
    }
    if (!without_markers(record.experiment.tags()).empty()) {
      context_.report.loss(Kind::experiment, container.source_id, container.name,
                           "its tags are left out: the destination's own experiment of that name keeps what it has");
    }
    co_return;
  }

  auto wanted = record.experiment.tags();
  // The markers would say that it is a copy, and the next job would change what is the destination's.
  if (container.ours && context_.options.marker_tags && mlflow::find_value(tags, marker_server) == nullptr) {
    wanted = with_markers(std::move(wanted), source_server_, container.source_id, {});
  } else {
    wanted = without_markers(std::move(wanted));
  }
  for (auto const& tag : wanted) {
    auto const* value = mlflow::find_value(tags, tag.key);
    if (value != nullptr && *value == tag.value) continue;
    if (value != nullptr && !container.ours && !adoption->set(tag.key, *value)) {
      context_.report.loss(Kind::experiment, container.source_id, container.name,
                           "tag '" + tag.key + "' kept as it is in the destination's own experiment");
      continue;
    }
    changed = true;
    if (context_.options.dry_run) continue;
    co_await ensure_writable(container);
    co_await client_.set_experiment_tag(container.id, tag.key, tag.value);
    if (!container.ours) adoption->put(tag.key, tag.value);
  }
  if (context_.options.dry_run) co_return;
  co_await ledger_->put({Kind::experiment, container.source_id, ""},
                        {container.id, true, record.fingerprint, true, container.deleted,
                         container.ours ? "" : adoption->data()});
  // A killed job may have left the wish; the source has restored the experiment since.
  if (!container.source_deleted) co_await ledger_->drop_delete(DeleteKind::experiment, container.id);
  if (container.source_deleted && !container.deleted) {
    if (container.ours) {
      co_await ledger_->defer_delete(DeleteKind::experiment, container.id);
    } else {
      context_.report.loss(
          Kind::experiment, container.source_id, container.name,
          "deleted in the source, but the destination's own experiment of that name stays active");
    }
  }
}

// Learns which copies the experiment holds already. The markers are the truth; the ledger only adds "done".
async::Task<> ServerTarget::see_copies(Container& container) {
  std::set<std::string> named;
  std::string token;
  auto const filter = marker_filter(source_server_, std::nullopt);
  do {
    auto page = co_await client_.search_runs({container.id}, filter, mlflow::View::all, copies_a_page, token);
    std::vector<std::pair<LedgerKey, LedgerEntry>> seen;
    std::vector<std::string> unknown_runs, unlisted;
    for (auto const& run : page.items) {
      auto const tags = run.tags();
      auto const source = marked_source(tags, source_server_);
      if (!source) continue;
      auto const known = co_await ledger_->find({Kind::run, *source, container.id});
      if (!known) (run.doc.contains("outputs") ? unknown_runs : unlisted).emplace_back(run.id());
      auto const* source_uri = mlflow::find_value(tags, "mlferry.source.artifact_uri");
      seen.push_back({{Kind::run, *source, container.id},
                      {std::string(run.id()), false, "", true, run.deleted(),
                       place_data(source_uri == nullptr ? "" : *source_uri, run.artifact_uri())}});
      for (auto const& [model, step] : run.model_outputs()) named.insert(model);
    }
    co_await ledger_->put_all(std::move(seen));
    // Listings lack model inputs. A ledger that knows the runs knows their deleted models too; a lost one
    // does not.
    if (capabilities_.logged_models) {
      co_await add_model_inputs(std::move(unknown_runs), named);
      for (auto const& id : unlisted) co_await add_links(client_, id, named);
    }
    token = page.items.empty() ? std::string() : page.next_token;
  } while (!token.empty());
  co_await see_traces(container);
  if (!capabilities_.logged_models) co_return;
  do {
    auto page = co_await client_.search_logged_models({container.id}, filter, copies_a_page, token);
    std::vector<std::pair<LedgerKey, LedgerEntry>> seen;
    for (auto const& model : page.items) {
      auto const tags = model.tags();
      auto const source = marked_source(tags, source_server_);
      if (!source) continue;
      named.erase(std::string(model.id()));
      auto const* source_uri = mlflow::find_value(tags, "mlferry.source.artifact_uri");
      seen.push_back({{Kind::logged_model, *source, container.id},
                      {std::string(model.id()), false, "", true, false,
                       place_data(source_uri == nullptr ? "" : *source_uri, model.artifact_uri())}});
    }
    co_await ledger_->put_all(std::move(seen));
    token = page.items.empty() ? std::string() : page.next_token;
  } while (!token.empty());
  co_await see_deleted_models(container, {named.begin(), named.end()});
}

async::Task<> ServerTarget::add_model_inputs(std::vector<std::string> run_ids, std::set<std::string>& named) {
  constexpr std::size_t runs_a_request = 10;
  for (std::size_t i = 0; i < run_ids.size(); i += runs_a_request) {
    auto const end = std::min(run_ids.size(), i + runs_a_request);
    std::vector<std::string> part(run_ids.begin() + static_cast<std::ptrdiff_t>(i),
                                  run_ids.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::optional<std::vector<std::string>>> answers(part.size());
    if (capabilities_.graphql) answers = co_await client_.model_inputs_batch(part);
    for (std::size_t k = 0; k < part.size(); ++k) {
      if (!answers[k]) {
        auto const run = co_await client_.get_run(part[k]);
        answers[k] = run ? run->model_input_ids() : std::vector<std::string>();
      }
      named.insert(answers[k]->begin(), answers[k]->end());
    }
  }
}

// Deleted logged models are in no listing; copies of them are found as the source's were: through the runs
// that name them.
async::Task<> ServerTarget::see_deleted_models(Container& container, std::vector<std::string> ids) {
  for (auto const& id : ids) {
    auto const model = co_await client_.get_logged_model(id);
    if (!model || model->experiment_id() != container.id) continue;
    auto const tags = model->tags();
    auto const source = marked_source(tags, source_server_);
    if (!source) continue;
    auto const known = co_await ledger_->find({Kind::logged_model, *source, container.id});
    if (known && known->seen) continue;
    auto const* source_uri = mlflow::find_value(tags, "mlferry.source.artifact_uri");
    co_await ledger_->put({Kind::logged_model, *source, container.id},
                          {id, false, "", true, true,
                           place_data(source_uri == nullptr ? "" : *source_uri, model->artifact_uri())});
  }
}

async::Task<> ServerTarget::ensure_writable(Container& container) {
  if (!container.deleted) co_return;
  auto const turn = co_await container.restoring->acquire();
  if (!container.deleted) co_return;
  if (!container.source_deleted || !container.ours) {
    throw std::runtime_error("experiment '" + container.name +
                             "' is deleted in the destination; restore it there, or delete it for good "
                             "(mlflow gc), and run again");
  }
  co_await ledger_->defer_delete(DeleteKind::experiment, container.id);
  co_await ledger_->flush();
  co_await client_.restore_experiment(container.id);
  container.deleted = false;
}

// What the ledger knows of a run's or logged model's copy. Without marker tags no listing shows it, so it is
// looked up by its id, once a job.
async::Task<std::optional<LedgerEntry>> ServerTarget::find_copy(LedgerKey key) {
  auto entry = co_await ledger_->find(key);
  if (!entry || entry->seen || context_.options.marker_tags) co_return entry;
  bool there = false;
  if (key.kind == Kind::run) {
    auto const run = co_await client_.get_run(entry->destination_id);
    there = run && run->experiment_id() == key.container;
    entry->deleted = there && run->deleted();
  } else if (key.kind == Kind::logged_model && capabilities_.logged_models) {
    auto const model = co_await client_.get_logged_model(entry->destination_id);
    there = model && model->experiment_id() == key.container;
  }
  if (!there) co_return entry;
  entry->seen = true;
  co_await ledger_->put(key, *entry);
  co_return entry;
}

std::optional<Place> ServerTarget::place_of(const std::optional<LedgerEntry>& entry) const {
  if (!entry || !entry->seen) return std::nullopt;
  Place place{entry->destination_id, "", ""};
  if (!entry->data.empty()) {
    auto const data = mlflow::parse_json(entry->data, "ledger entry");
    if (auto const* object = data.if_object()) {
      place.source_uri = mlflow::get_string(*object, "src");
      place.uri = mlflow::get_string(*object, "dst");
    }
  }
  return place;
}

async::Task<std::optional<Place>> ServerTarget::find_place(Kind kind, std::string source_id) {
  co_return place_of(co_await ledger_->find_anywhere(kind, std::move(source_id)));
}

async::Task<Replacements> ServerTarget::replacements_for(std::string text,
                                                         std::vector<std::string>* unknown) {
  Replacements replacements;
  auto const ids = find_ids(text);
  for (auto const& id : ids.logged_models) {
    auto const place = co_await find_place(Kind::logged_model, id);
    if (!place) {
      if (unknown != nullptr) unknown->push_back(id);
      continue;
    }
    replacements.emplace_back(id, place->id);
    replacements.emplace_back(place->source_uri, place->uri);
  }
  for (auto const& id : ids.runs) {
    auto const place = co_await find_place(Kind::run, id);
    if (!place) {
      if (unknown != nullptr) unknown->push_back(id);
      continue;
    }
    replacements.emplace_back(id, place->id);
    replacements.emplace_back(place->source_uri, place->uri);
  }
  co_return replacements;
}

async::Task<> ServerTarget::delete_all(DeleteKind kind, Report& report) {
  auto ids = co_await ledger_->deferred_deletes(kind);
  async::Semaphore slots(context_.executor, context_.options.jobs);
  auto one = [](ServerTarget& self, DeleteKind kind, std::string id, async::Permit,
                Report& report) -> async::Task<> {
    auto remove = [](ServerTarget& self, DeleteKind kind, std::string id) -> async::Task<> {
      try {
        if (kind == DeleteKind::logged_model) {
          co_await self.client_.delete_logged_model(id);
          auto const model = co_await self.client_.get_logged_model(id);
          if (!model) {
            self.context_.report.loss(Kind::logged_model, id, "",
                                      "deleted in the destination as in the source, and before 3.9 nobody can see it there: "
                                      "verify will miss it, and only the ledger knows that it was copied");
          }
        }
        if (kind == DeleteKind::run) co_await self.client_.delete_run(id);
        if (kind == DeleteKind::experiment) {
          auto const experiment = co_await self.client_.get_experiment(id);
          if (experiment && !experiment->deleted()) co_await self.client_.delete_experiment(id);
        }
      } catch (const mlflow::ApiError& error) {
        if (!error.not_found()) throw;  // gone for good: nothing left to delete
      }
      co_await self.ledger_->drop_delete(kind, id);
    };
    auto const failure = co_await attempt(remove(self, kind, id));
    if (failure) {
      auto const what = kind == DeleteKind::experiment ? Kind::experiment
                        : kind == DeleteKind::run      ? Kind::run
                                                       : Kind::logged_model;
      report.failed_after(
          what, id, "",
          "copied, but could not be deleted in the destination as it is in the source: " + *failure);
    }
  };
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& id : ids) {
      auto slot = co_await slots.acquire();
      tasks.spawn(one(*this, kind, id, std::move(slot), report));
    }
  };
  co_await async::with_task_group(context_.executor, body);
}

async::Task<> ServerTarget::finish(Report& report) {
  if (context_.options.dry_run) co_return;
  co_await activate_objects(report);
  co_await delete_all(DeleteKind::logged_model, report);
  co_await delete_all(DeleteKind::run, report);
  co_await delete_all(DeleteKind::experiment, report);
  if (access_.logins && report.total_created() > 0) {
    report.notes.push_back("MLflow grants MANAGE on every new object to whoever makes it, so " +
                           named_login(access_) +
                           " of the destination has that on what this job made: it is left so");
  }
  co_await ledger_->flush();
}

}  // namespace mlferry::engine
