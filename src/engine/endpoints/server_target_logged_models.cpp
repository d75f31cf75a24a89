// Logged models: made after the runs that made them, with their params, tags, metrics, files and status.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "async/sleep.hpp"
#include "engine/endpoints/log_batches.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view versions_tag =
    "mlflow.modelVersions";  // the server's own: it would be stale in the copy
// On a server without logged models.
constexpr const char* carriers_home = "mlferry:logged_models";
constexpr const char* carriers_experiment = "mlferry: logged models";

struct ModelMetric {
  std::string key;
  mlflow::MetricPoint point;
  std::string dataset_name, dataset_digest;
};

// The model's rows, by the run that logged them.
std::map<std::string, std::vector<ModelMetric>> metrics_by_run(const mlflow::LoggedModel& model) {
  std::map<std::string, std::vector<ModelMetric>> by_run;
  for (auto const& value : model.metrics()) {
    auto const* row = value.if_object();
    if (row == nullptr) continue;
    ModelMetric metric;
    metric.key = mlflow::get_string(*row, "key");
    metric.point.value = mlflow::get_double(*row, "value").value_or(0);
    metric.point.timestamp = mlflow::get_int(*row, "timestamp").value_or(0);
    metric.point.step = mlflow::get_int(*row, "step").value_or(0);
    metric.dataset_name = mlflow::get_string(*row, "dataset_name");
    metric.dataset_digest = mlflow::get_string(*row, "dataset_digest");
    by_run[std::string(mlflow::get_string(*row, "run_id"))].push_back(std::move(metric));
  }
  return by_run;
}

// Whether a deleted model is there, on servers before 3.9 that show none: its tags can be set all the same.
async::Task<bool> takes_tags(mlflow::Client& client, std::string id, std::string source_id) {
  bool there = true;
  try {
    mlflow::KeyValues tags{{std::string(marker_id), std::move(source_id)}};
    co_await client.set_logged_model_tags(std::move(id), std::move(tags));
  } catch (const mlflow::ApiError& error) {
    if (!error.not_found()) throw;
    there = false;
  }
  co_return there;
}

// A run that stands for the model: what of it a run can hold, but for its files.
RunRecord carrier_of(const LoggedModelRecord& record, std::string id) {
  json::array tags, params;
  for (auto const& tag : without_markers(record.model.tags())) {
    if (tag.key != versions_tag) tags.push_back(json::object{{"key", tag.key}, {"value", tag.value}});
  }
  for (auto const& param : record.model.params())
    params.push_back(json::object{{"key", param.key}, {"value", param.value}});
  auto const status = record.model.status();
  auto const& info = record.model.info();
  RunRecord run;
  run.run.doc = {
      {"info", json::object{{"run_id", std::move(id)},
                            {"experiment_id", carriers_home},
                            {"run_name", record.model.name()},
                            {"status", status == "LOGGED_MODEL_READY"     ? "FINISHED"
                                       : status == "LOGGED_MODEL_PENDING" ? "RUNNING"
                                                                          : "FAILED"},
                            {"start_time", mlflow::get_int(info, "creation_timestamp_ms").value_or(0)},
                            {"end_time", mlflow::get_int(info, "last_updated_timestamp_ms").value_or(0)},
                            {"lifecycle_stage", record.deleted ? "deleted" : "active"},
                            {"artifact_uri", record.model.artifact_uri()}}},
      {"data", json::object{{"tags", std::move(tags)}, {"params", std::move(params)}}}};
  return run;
}

}  // namespace

// A destination before MLflow 3 has no logged models: a run of ours takes the model's place, so that its files
// are there and versions can point to them. Made as any run is, so that a repeat finds it.
async::Task<Outcome> ServerTarget::carry_logged_model(LoggedModelRecord record, Source& source) {
  std::string const source_id(record.model.id());
  std::string const name(record.model.name());
  std::string const carrier = "carrier:" + source_id;
  co_await open_home(carriers_home, carriers_experiment);
  auto& container = container_of(record.model.experiment_id());
  bool const known = co_await unchanged(Kind::run, carriers_home, carrier, record.fingerprint);
  auto outcome = Outcome::unchanged;
  if (!known) {
    auto run = carrier_of(record, carrier);
    if (context_.options.dry_run) {
      run.files = record.files;
      run.gaps = record.gaps;
    }
    outcome = co_await put_run(std::move(run), source);
  }
  if (context_.options.dry_run) co_return outcome;
  auto const run = co_await find_place(Kind::run, carrier);
  if (!run) throw std::runtime_error("the run that carries it vanished during the job");
  Place const place{run->id, std::string(record.model.artifact_uri()), run->uri};
  co_await ledger_->put({Kind::logged_model, source_id, container.id},
                        {place.id, false, "", true, false,
                         mlflow::to_json(json::object{{"src", place.source_uri}, {"dst", place.uri}})});
  if (known) {
    report_unchanged_files(record, Kind::logged_model, source_id, name);
    co_return outcome;
  }
  context_.report.loss(Kind::logged_model, source_id, name,
                       "the destination (" + capabilities_.name() + ") has no logged models: run " + place.id +
                           " in experiment '" + carriers_experiment +
                           "' carries its files, params and tags; its type, its source run and which metrics "
                           "are its own are left out");
  bool const complete = co_await put_files(Kind::logged_model, owner_of(record), place, record, name, source,
                                           outcome == Outcome::created);
  auto const& home = container_of(carriers_home);
  LedgerKey const key{Kind::run, carrier, home.id};
  if (complete) co_await ledger_->set_done(key, record.fingerprint);
  co_return outcome;
}

async::Task<mlflow::LoggedModel> ServerTarget::create_logged_model(const LoggedModelRecord& record,
                                                                   const Container& container) {
  mlflow::Client::NewLoggedModel model;
  std::string const source_id(record.model.id());
  model.experiment_id = container.id;
  model.name = record.model.name();
  model.model_type = record.model.model_type();
  model.params = record.model.params();
  model.tags = without_markers(record.model.tags());
  std::erase_if(model.tags, [](const mlflow::KeyValue& tag) { return tag.key == versions_tag; });
  std::string const run(record.model.source_run_id());
  if (!run.empty()) {
    auto const place = co_await find_place(Kind::run, run);
    // It can never be changed: the model waits for a run that may come with the next job.
    if (!place && failed_now(run)) throw std::runtime_error("its source run " + run + " was not copied");
    if (!place)
      context_.report.loss(Kind::logged_model, source_id, model.name,
                           "its source run " + run + " was not copied; the model keeps the old id");
    model.source_run_id = place ? place->id : run;
  }
  if (context_.options.marker_tags) {
    auto const& info = record.model.info();
    model.tags = with_markers(std::move(model.tags), source_server_, source_id,
                              {{"artifact_uri", std::string(record.model.artifact_uri())},
                               {"creation_time", field_text(info, "creation_timestamp_ms")},
                               {"last_update_time", field_text(info, "last_updated_timestamp_ms")}});
  }
  for (int i = 1;; ++i) {
    std::string unclear;
    try {
      co_return co_await client_.create_logged_model(model);
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || i == create_attempts) throw;
      unclear = error.what();
    }
    auto const filter = marker_filter(source_server_, source_id);
    if (!context_.options.marker_tags || filter.empty()) {
      throw std::runtime_error(
          "it is not known whether the server created it, and there is no marker to look for: " + unclear);
    }
    co_await async::sleep_for(std::chrono::milliseconds(200 * i));
    auto page = co_await client_.search_logged_models({container.id}, filter, 2, "");
    if (!page.items.empty()) co_return std::move(page.items.front());
  }
}

// Model metrics are rows of a run's history with the model's id on them: the equal row of the run collapses
// with it. A NaN shows as 0.0 here (mlflow-rest 6.1), and logging 0.0 would add a row to the run that never
// was: so zeros are looked up in the run first.
async::Task<> ServerTarget::put_model_metrics(const LoggedModelRecord& record, std::string model_id) {
  std::string const source_id(record.model.id());
  std::string const name(record.model.name());
  for (auto& [source_run, rows] : metrics_by_run(record.model)) {
    auto const run = co_await find_place(Kind::run, source_run);
    if (!run) {
      context_.report.loss(
          Kind::logged_model, source_id, name,
          std::to_string(rows.size()) + " metric values of run " + source_run + ", which was not copied");
      continue;
    }
    std::map<std::string, std::vector<mlflow::MetricPoint>> histories;
    for (auto& row : rows) {
      if (row.point.value != 0) continue;
      if (!histories.contains(row.key)) {
        auto& points = histories[row.key];
        std::string token;
        do {
          auto page = co_await client_.history(run->id, row.key, mlflow::Client::history_a_page, token);
          points.insert(points.end(), page.items.begin(), page.items.end());
          token = page.items.empty() ? std::string() : page.next_token;
        } while (!token.empty());
      }
      bool zero = false, nan = false;
      for (auto const& point : histories[row.key]) {
        if (point.timestamp != row.point.timestamp || point.step != row.point.step) continue;
        zero = zero || point.value == 0;
        nan = nan || point.value != point.value;
      }
      if (!zero && nan) row.point.value = std::numeric_limits<double>::quiet_NaN();
    }
    for (std::size_t i = 0; i < rows.size(); i += items_a_batch) {
      std::vector<mlflow::Client::BatchMetric> batch;
      for (std::size_t k = i; k < std::min(rows.size(), i + items_a_batch); ++k) {
        batch.push_back({rows[k].key, rows[k].point, model_id, rows[k].dataset_name, rows[k].dataset_digest});
      }
      bool refused = false;
      try {
        co_await client_.log_batch(run->id, batch, {}, {});
      } catch (const mlflow::ApiError& error) {
        if (error.status() != 400) throw;
        refused = true;
      }
      if (!refused) continue;
      // Servers up to 3.1 at least refuse a NaN that the run has, together with its batch.
      auto const left_out = std::erase_if(batch, [](const mlflow::Client::BatchMetric& metric) {
        return std::isnan(metric.point.value);
      });
      co_await client_.log_batch(run->id, batch, {}, {});
      context_.report.loss(Kind::logged_model, source_id, name,
                           std::to_string(left_out) + " metric values that are NaN, which the destination refuses");
    }
  }
}

// Without a ledger the deleted copy of a deleted model is found through the copies of the runs that name it:
// outputs were seen with the runs; inputs are looked up here, through the links that wait for this model.
async::Task<std::optional<LedgerEntry>> ServerTarget::find_deleted_copy(std::string source_id,
                                                                        std::string container) {
  auto const links = co_await ledger_->deferred_to("input", source_id);
  for (auto const& link : links) {
    auto const place = place_of(co_await ledger_->find({Kind::run, link.owner, link.container}));
    if (!place) continue;
    auto const run = co_await client_.get_run(place->id);
    if (!run) continue;
    for (auto const& id : run->model_input_ids()) {
      auto const model = co_await client_.get_logged_model(id);
      if (!model || model->experiment_id() != container ||
          marked_source(model->tags(), source_server_) != source_id) {
        continue;
      }
      LedgerEntry entry;
      entry.destination_id = id;
      entry.seen = true;
      entry.deleted = true;
      co_return entry;
    }
  }
  co_return std::nullopt;
}

async::Task<Outcome> ServerTarget::put_logged_model(LoggedModelRecord record, Source& source) {
  std::string const source_id(record.model.id());
  std::string const name(record.model.name());
  if (record.unchanged) {
    report_unchanged_files(record, Kind::logged_model, source_id, name);
    co_return Outcome::unchanged;
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  if (!capabilities_.logged_models) co_return co_await carry_logged_model(std::move(record), source);
  auto& container = container_of(record.model.experiment_id());
  LedgerKey const key{Kind::logged_model, source_id, container.id};
  std::optional<LedgerEntry> entry;
  if (!container.id.empty()) entry = co_await find_copy(key);
  bool exists = entry && entry->seen;
  if (!exists && entry && !entry->destination_id.empty()) {
    // A deleted copy is in no listing; the ledger may still know its id.
    auto const model = co_await client_.get_logged_model(entry->destination_id);
    exists = model && model->experiment_id() == container.id &&
             marked_source(model->tags(), source_server_) == source_id;
    bool const complete = entry->done && entry->fingerprint == record.fingerprint && context_.options.marker_tags;
    if (!model && record.deleted && complete) exists = co_await takes_tags(client_, entry->destination_id, source_id);
    if (exists) {
      entry->deleted = true;
      co_await ledger_->put(key, {entry->destination_id, false, "", true, true, entry->data});
    }
  }
  if (!exists && record.deleted && !container.id.empty()) {
    if (auto found = co_await find_deleted_copy(source_id, container.id)) {
      entry = std::move(found);
      exists = true;
    }
  }
  if (exists && entry->done && entry->fingerprint == record.fingerprint && !context_.options.full) {
    report_unchanged_files(record, Kind::logged_model, source_id, name);
    co_return Outcome::unchanged;
  }
  if (context_.options.dry_run) {
    context_.report.found(Kind::artifact, record.files.size());
    for (std::size_t i = 0; i < record.files.size(); ++i) context_.report.copied(Kind::artifact, true);
    report_gaps(record, source_id, name);
    co_return exists ? Outcome::updated : Outcome::created;
  }
  co_await ensure_writable(container);
  Place place;
  if (exists) {
    auto const existing = co_await client_.get_logged_model(entry->destination_id);
    if (!existing)
      throw std::runtime_error("the copy " + entry->destination_id +
                               " vanished from the destination during the job");
    place = {entry->destination_id, std::string(record.model.artifact_uri()),
             std::string(existing->artifact_uri())};
    auto tags = without_markers(record.model.tags());
    auto const known = existing->tags();
    std::erase_if(tags, [&](const mlflow::KeyValue& tag) {
      auto const* value = mlflow::find_value(known, tag.key);
      return tag.key == versions_tag || (value != nullptr && *value == tag.value);
    });
    if (!tags.empty()) co_await client_.set_logged_model_tags(place.id, std::move(tags));
  } else {
    auto const created = co_await create_logged_model(record, container);
    place = {std::string(created.id()), std::string(record.model.artifact_uri()),
             std::string(created.artifact_uri())};
  }
  co_await ledger_->put(key, {place.id, false, "", true, exists && entry->deleted,
                              mlflow::to_json(json::object{{"src", place.source_uri}, {"dst", place.uri}})});
  if (record.deleted && !(exists && entry->deleted))
    co_await ledger_->defer_delete(DeleteKind::logged_model, place.id);
  // A version's model id can only be read here (mlflow-rest 6.1); the registry step asks for it.
  auto const source_tags = record.model.tags();
  if (auto const* versions = mlflow::find_value(source_tags, versions_tag)) {
    try {
      auto const list = mlflow::parse_json(*versions, "tag mlflow.modelVersions");
      for (auto const& value : list.is_array() ? list.get_array() : json::array{}) {
        auto const* item = value.if_object();
        if (item == nullptr) continue;
        auto const owner = std::string(mlflow::get_string(*item, "name")) + "/" +
                           std::to_string(mlflow::get_int(*item, "version").value_or(0));
        co_await ledger_->defer({0, "version_model", owner, container.id, source_id});
      }
    } catch (const mlflow::JsonError&) {
      context_.report.loss(Kind::logged_model, source_id, name,
                           "tag mlflow.modelVersions is not JSON: the link to its versions is lost");
    }
  }
  co_await put_model_metrics(record, place.id);
  bool const complete =
      co_await put_files(Kind::logged_model, owner_of(record), place, record, name, source, !exists);
  std::string const status(record.model.status());
  if (!status.empty() && status != "LOGGED_MODEL_PENDING")
    co_await client_.set_logged_model_status(place.id, status);
  if (complete) co_await ledger_->set_done(key, record.fingerprint);
  co_return exists ? Outcome::updated : Outcome::created;
}

}  // namespace mlferry::engine
