// Runs: three requests and what their size needs, then the links whose other end comes later.

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "async/sleep.hpp"
#include "async/task_group.hpp"
#include "engine/endpoints/log_batches.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view parent_tag = "mlflow.parentRunId";
constexpr std::string_view history_tag = "mlflow.log-model.history";
constexpr std::string_view name_tag = "mlflow.runName";
constexpr std::size_t links_a_page = 500;

// The bytes of at most `most` characters.
std::size_t end_of_characters(std::string_view utf8, std::size_t most) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    if ((utf8[i] & 0xC0) != 0x80 && characters++ == most) return i;
  }
  return utf8.size();
}

// A point as the server keeps it: infinities as the largest numbers, one NaN, no sign of zero.
using StoredPoint = std::tuple<std::int64_t, std::int64_t, bool, double>;
StoredPoint stored_point(const mlflow::MetricPoint& point) {
  constexpr double most = std::numeric_limits<double>::max();
  bool const nan = std::isnan(point.value);
  double const value = nan || point.value == 0 ? 0.0 : std::clamp(point.value, -most, most);
  return {point.timestamp, point.step, nan, value};
}

// Takes out what the run has already. Repeating rows is fine, except that servers up to 3.1 at least refuse a NaN
// that they have, together with its batch.
async::Task<> drop_logged(mlflow::Client& client, std::string run_id, std::vector<mlflow::MetricSeries>& history) {
  for (auto& series : history) {
    std::set<StoredPoint> there;
    std::string token;
    do {
      auto page = co_await client.history(run_id, series.key, mlflow::Client::history_a_page, token);
      for (auto const& point : page.items) there.insert(stored_point(point));
      token = page.items.empty() ? std::string() : page.next_token;
    } while (!token.empty());
    std::erase_if(series.points,
                  [&there](const mlflow::MetricPoint& point) { return there.contains(stored_point(point)); });
  }
}

// Walks all points of all series in order.
class PointCursor {
 public:
  explicit PointCursor(const std::vector<mlflow::MetricSeries>& history) : history_(history) {}
  void take(std::size_t n, std::vector<mlflow::Client::BatchMetric>& out) {
    out.clear();
    while (out.size() < n && series_ < history_.size()) {
      auto const& series = history_[series_];
      if (point_ == series.points.size()) {
        ++series_;
        point_ = 0;
        continue;
      }
      out.push_back({series.key, series.points[point_++], {}, {}, {}});
    }
  }

 private:
  const std::vector<mlflow::MetricSeries>& history_;
  std::size_t series_ = 0;
  std::size_t point_ = 0;
};

// Name and digest of each dataset: what makes it one row of its experiment.
std::vector<std::string> dataset_keys(const json::array& inputs) {
  std::vector<std::string> keys;
  for (auto const& value : inputs) {
    auto const* input = value.if_object();
    auto const* dataset = input == nullptr ? nullptr : mlflow::get_object(*input, "dataset");
    if (dataset == nullptr) continue;
    keys.push_back(std::string(mlflow::get_string(*dataset, "name")) + '\n' +
                   std::string(mlflow::get_string(*dataset, "digest")));
  }
  return keys;
}

// Tags of `wanted` that `existing` lacks or holds with another value.
mlflow::KeyValues missing_from(const mlflow::KeyValues& existing, mlflow::KeyValues wanted) {
  std::erase_if(wanted, [&](const mlflow::KeyValue& tag) {
    auto const* value = mlflow::find_value(existing, tag.key);
    return value != nullptr && *value == tag.value;
  });
  return wanted;
}

}  // namespace

async::Task<ServerTarget::MappedTags> ServerTarget::map_tags(const RunRecord& record,
                                                             const Container& container) {
  MappedTags mapped;
  std::string const id(record.run.id());
  for (auto& tag : without_markers(record.run.tags())) {
    if (tag.key == parent_tag) {
      auto const parent = co_await find_place(Kind::run, tag.value);
      if (!parent) {
        mapped.deferred.push_back({0, "parent", id, container.id, tag.value});
        continue;
      }
      tag.value = parent->id;
    } else if (tag.key == history_tag) {
      std::vector<std::string> unknown;
      auto replacements = co_await replacements_for(tag.value, &unknown);
      // Its own id is not in the ledger yet, nor are its logged models, which come after all runs.
      if (!unknown.empty() || tag.value.find(id) != std::string::npos) {
        mapped.deferred.push_back({0, "history", id, container.id, tag.value});
      }
      tag.value = replace_all(tag.value, replacements);
    } else if (tag.key == name_tag && tag.value != record.run.name() && !record.run.name().empty()) {
      continue;  // the server refuses two names; the run's own wins
    }
    mapped.tags.push_back(std::move(tag));
  }
  if (context_.options.marker_tags) {
    mapped.tags = with_markers(std::move(mapped.tags), source_server_, id,
                               {{"artifact_uri", std::string(record.run.artifact_uri())}});
  }
  co_return mapped;
}

// runs/create makes a new run each time, so an unclear answer is cleared up by the marker before it is
// repeated.
async::Task<mlflow::Run> ServerTarget::create_run(const RunRecord& record, const Container& container,
                                                  mlflow::KeyValues tags) {
  mlflow::Client::NewRun run;
  run.experiment_id = container.id;
  run.start_time = record.run.start_time().value_or(0);
  run.user_id = record.run.user_id();
  run.run_name = record.run.name();
  run.tags = std::move(tags);
  for (int i = 1;; ++i) {
    std::string unclear;
    try {
      co_return co_await client_.create_run(run);
    } catch (const http::TransportError& error) {
      if (!error.outcome_unknown() || i == create_attempts) throw;
      unclear = error.what();
    }
    auto const filter = marker_filter(source_server_, record.run.id());
    if (!context_.options.marker_tags || filter.empty()) {
      throw std::runtime_error(
          "it is not known whether the server created it, and there is no marker to look for: " + unclear);
    }
    co_await async::sleep_for(std::chrono::milliseconds(200 * i));
    auto page = co_await client_.search_runs({container.id}, filter, mlflow::View::all, 2, "");
    if (!page.items.empty()) co_return std::move(page.items.front());
  }
}

// Repeating it changes nothing: the server lets equal params, rows and tags collapse.
async::Task<> ServerTarget::fill_run(const RunRecord& record, std::string id, mlflow::KeyValues tags,
                                     mlflow::KeyValues params) {
  std::size_t points = 0;
  for (auto const& series : record.history) points += series.points.size();
  PointCursor cursor(record.history);
  std::vector<mlflow::Client::BatchMetric> metrics;
  for (auto const& batch : plan_batches(params.size(), points, tags.size())) {
    cursor.take(batch.metrics_to - batch.metrics_from, metrics);
    co_await client_.log_batch(
        id, metrics, std::span(params).subspan(batch.params_from, batch.params_to - batch.params_from),
        std::span(tags).subspan(batch.tags_from, batch.tags_to - batch.tags_from));
  }
  std::string const status(record.run.status());
  auto const end = record.run.end_time();
  if (end || (!status.empty() && status != "RUNNING")) co_await client_.update_run(id, status, end);
  if (record.run.dataset_inputs().empty()) co_return;
  if (capabilities_.log_inputs) {
    co_await put_dataset_inputs(record, id);
  } else {
    context_.report.loss(Kind::run, std::string(record.run.id()), std::string(record.run.name()),
                         "its dataset inputs are left out: the destination (" + capabilities_.name() + ") has none");
  }
}

// What the server would cut without a word, or refuse together with the rest of the batch.
void ServerTarget::fit_params(const RunRecord& record, mlflow::KeyValues& params) {
  std::string const id(record.run.id());
  std::string const name(record.run.name());
  std::erase_if(params, [&](const mlflow::KeyValue& param) {
    if (capabilities_.colon_in_keys || param.key.find(':') == std::string::npos) return false;
    context_.report.loss(Kind::run, id, name,
                         "param '" + param.key + "' is left out: the destination (" + capabilities_.name() +
                             ") takes no ':' in keys");
    return true;
  });
  for (auto& param : params) {
    auto const end = end_of_characters(param.value, capabilities_.param_characters);
    if (end == param.value.size()) continue;
    param.value.resize(end);
    context_.report.loss(Kind::run, id, name,
                         "param '" + param.key + "' is cut to the " +
                             std::to_string(capabilities_.param_characters) +
                             " characters that the destination takes");
  }
}

void ServerTarget::fit_history(RunRecord& record) {
  if (capabilities_.colon_in_keys) return;
  std::erase_if(record.history, [&](const mlflow::MetricSeries& series) {
    if (series.key.find(':') == std::string::npos) return false;
    context_.report.loss(Kind::run, std::string(record.run.id()), std::string(record.run.name()),
                         "metric '" + series.key + "' is left out: the destination (" + capabilities_.name() +
                             ") takes no ':' in keys");
    return true;
  });
}

// Links to logged models, which come after all runs.
async::Task<> ServerTarget::note_links(const RunRecord& record, const Container& container) {
  std::string const id(record.run.id());
  auto const inputs = record.run.model_input_ids();
  auto const outputs = record.run.model_outputs();
  if (!capabilities_.logged_models) {
    if (inputs.empty() && outputs.empty()) co_return;
    context_.report.loss(Kind::run, id, std::string(record.run.name()),
                         "its links to " + std::to_string(inputs.size() + outputs.size()) +
                             " logged models are left out: the destination (" + capabilities_.name() +
                             ") has no logged models");
    co_return;
  }
  for (auto const& model : inputs) co_await ledger_->defer({0, "input", id, container.id, model});
  for (auto const& [model, step] : outputs) {
    co_await ledger_->defer({0, "output", id, container.id,
                             mlflow::to_json(json::object{{"model", model}, {"step", step}})});
  }
}

// An experiment keeps one row for each (name, digest), and the server refuses the second of two runs that
// bring the same new dataset at the same time (400, UNIQUE constraint). So what is new in the experiment goes
// in turn.
async::Task<> ServerTarget::put_dataset_inputs(const RunRecord& record, std::string id) {
  auto& container = container_of(record.run.experiment_id());
  auto keys = dataset_keys(record.run.dataset_inputs());
  auto const known = [&container](const std::string& key) { return container.datasets.contains(key); };
  async::Permit turn;
  if (!std::all_of(keys.begin(), keys.end(), known)) turn = co_await container.new_datasets->acquire();
  co_await client_.log_inputs(id, record.run.dataset_inputs(), {});
  container.datasets.insert(keys.begin(), keys.end());
}

async::Task<Outcome> ServerTarget::put_run(RunRecord record, Source& source) {
  std::string const source_id(record.run.id());
  std::string const name(record.run.name());
  if (record.unchanged) {
    report_unchanged_files(record, Kind::run, source_id, name);
    co_return Outcome::unchanged;
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  auto& container = container_of(record.run.experiment_id());
  LedgerKey const key{Kind::run, source_id, container.id};
  std::optional<LedgerEntry> entry;
  if (!container.id.empty()) entry = co_await find_copy(key);
  bool const exists = entry && entry->seen;
  if (exists && record.stands_in) co_return Outcome::unchanged;
  if (context_.options.dry_run) {
    context_.report.found(Kind::artifact, record.files.size());
    for (std::size_t i = 0; i < record.files.size(); ++i) context_.report.copied(Kind::artifact, true);
    report_gaps(record, source_id, name);
    co_return exists ? Outcome::updated : Outcome::created;
  }
  co_await ensure_writable(container);

  auto mapped = co_await map_tags(record, container);
  auto params = record.run.params();
  fit_params(record, params);
  fit_history(record);
  Place place;
  if (exists) {
    auto const existing = co_await client_.get_run(entry->destination_id);
    if (!existing)
      throw std::runtime_error("the copy " + entry->destination_id +
                               " vanished from the destination during the job");
    place = {entry->destination_id, std::string(record.run.artifact_uri()),
             std::string(existing->artifact_uri())};
    bool const delete_again = record.run.deleted() && !container.source_deleted;
    if (existing->deleted()) {
      if (delete_again) {  // on disk before it is restored: a crash in between must not leave it active
        co_await ledger_->defer_delete(DeleteKind::run, place.id);
        co_await ledger_->flush();
      }
      co_await client_.restore_run(place.id);
    }
    // A killed job may have left the wish; the source has restored the run since.
    if (!delete_again) co_await ledger_->drop_delete(DeleteKind::run, place.id);
    auto const known = existing->params();
    std::erase_if(params, [&](const mlflow::KeyValue& param) {
      auto const* value = mlflow::find_value(known, param.key);
      if (value != nullptr && *value != param.value) {
        context_.report.loss(
            Kind::run, source_id, name,
            "param '" + param.key + "' has another value in the copy, and MLflow never changes one");
      }
      return value != nullptr;
    });
    mapped.tags = missing_from(existing->tags(), std::move(mapped.tags));
  } else {
    auto const created = co_await create_run(record, container, std::exchange(mapped.tags, {}));
    place = {std::string(created.id()), std::string(record.run.artifact_uri()),
             std::string(created.artifact_uri())};
    if (name.empty())
      context_.report.loss(Kind::run, source_id, name, "it has no name; the server gave the copy one");
  }
  co_await ledger_->put(key, {place.id, false, "", true, false,
                              mlflow::to_json(json::object{{"src", place.source_uri}, {"dst", place.uri}})});
  if (record.run.deleted() && !container.source_deleted)
    co_await ledger_->defer_delete(DeleteKind::run, place.id);
  bool refused = false;
  try {
    co_await fill_run(record, place.id, mapped.tags, params);
  } catch (const mlflow::ApiError& error) {
    if (!exists || error.status() != 400) throw;
    refused = true;
  }
  if (refused) {
    co_await drop_logged(client_, place.id, record.history);
    co_await fill_run(record, place.id, std::move(mapped.tags), std::move(params));
  }
  for (auto& link : mapped.deferred) co_await ledger_->defer(std::move(link));
  co_await note_links(record, container);
  bool const complete = co_await put_files(Kind::run, owner_of(record), place, record, name, source, !exists);
  if (complete) co_await ledger_->set_done(key, record.fingerprint);
  co_return exists ? Outcome::updated : Outcome::created;
}

async::Task<> ServerTarget::put_outputs(std::string run_id, std::string model_id, std::int64_t step) {
  std::exception_ptr refused;
  std::vector<std::pair<std::string, std::int64_t>> one;
  one.emplace_back(model_id, step);
  try {
    co_await client_.log_outputs(run_id, std::move(one));
  } catch (const mlflow::ApiError& error) {
    if (error.status() != 400) throw;
    refused = std::current_exception();
  }
  if (!refused) co_return;
  // A repeat is refused too: it is fine when the link is there.
  auto const run = co_await client_.get_run(run_id);
  if (run) {
    for (auto const& [model, at] : run->model_outputs()) {
      if (model == model_id) co_return;
    }
  }
  std::rethrow_exception(refused);
}

// Whether a run or logged model that nobody has seen in the destination may be there after the next job: it
// failed in this one, or is in a listing that could not be read. Else it is not in the source.
// A run or logged model that has no copy since it failed in this job.
bool ServerTarget::failed_now(const std::string& source_id) const {
  auto const& report = context_.report;
  auto const kind = source_id.starts_with("m-") ? Kind::logged_model : Kind::run;
  return report.counts(Kind::experiment).failed > 0 || report.may_have_failed(kind, source_id);
}

// Whether the same job run again, or a wider one, may bring what this one did not.
bool ServerTarget::may_come_now(const std::string& source_id) const {
  return failed_now(source_id) || !context_.options.selection.everything();
}

// Whether a later job may bring what this one did not: then links to it stay open.
bool ServerTarget::may_come(const std::string& source_id) const {
  return options_.links_stay_open || may_come_now(source_id);
}

async::Task<> ServerTarget::put_link(DeferredLink link) {
  auto const entry = co_await ledger_->find({Kind::run, link.owner, link.container});
  auto const run = place_of(entry);
  if (!run) co_return;  // its run failed in this job: it is reported, and the next job defers the link again
  bool settled = true;
  auto const miss = [&](const char* what, const std::string& id, const char* meanwhile) {
    settled = !may_come(id);
    context_.report.loss(Kind::run, link.owner, "",
                         std::string("its ") + what + " " + id + " was not copied; " +
                             (settled ? "the link keeps the old id" : meanwhile));
  };
  if (link.kind == "parent") {
    auto const parent = co_await find_place(Kind::run, link.data);
    if (!parent) miss("parent run", link.data, "the tag keeps the old id until it is");
    co_await client_.set_run_tag(run->id, std::string(parent_tag), parent ? parent->id : link.data);
  } else if (link.kind == "history") {
    std::vector<std::string> unknown;
    auto const replacements = co_await replacements_for(link.data, &unknown);
    settled =
        std::none_of(unknown.begin(), unknown.end(), [this](const std::string& id) { return may_come_now(id); });
    co_await client_.set_run_tag(run->id, std::string(history_tag), replace_all(link.data, replacements));
  } else if (link.kind == "input" || link.kind == "output") {
    std::string model = link.data;
    std::int64_t step = 0;
    if (link.kind == "output") {
      auto const data = mlflow::parse_json(link.data, "ledger link");
      model = mlflow::get_string(data.as_object(), "model");
      step = mlflow::get_int(data.as_object(), "step").value_or(0);
    }
    auto const place = co_await find_place(Kind::logged_model, model);
    // Inputs and outputs cannot be taken back: an old id is written only when no copy will ever come.
    if (!place)
      miss(link.kind == "input" ? "input model" : "output model", model, "the link is written when it is");
    if (!settled) co_return;
    auto const id = place ? place->id : model;
    if (link.kind == "input") {
      std::vector<std::string> ids;
      ids.push_back(id);
      co_await client_.log_inputs(run->id, {}, std::move(ids));
    } else {
      co_await put_outputs(run->id, id, step);
    }
  }
  if (settled) co_await ledger_->drop_deferred(link.row);
}

async::Task<> ServerTarget::put_links_of_kind(std::string kind) {
  async::Semaphore slots(context_.executor, context_.options.jobs);
  auto one = [](ServerTarget& self, DeferredLink link, async::Permit) -> async::Task<> {
    auto const owner = link.owner;
    auto const what = link.kind;
    auto const failure = co_await attempt(self.put_link(std::move(link)));
    if (failure)
      self.context_.report.failed_after(
          Kind::run, owner, "", "copied, but its " + what + " link could not be written: " + *failure);
  };
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    std::int64_t after = 0;
    while (true) {
      auto links = co_await ledger_->deferred(kind, after, links_a_page);
      if (links.empty()) co_return;
      after = links.back().row;
      for (auto& link : links) {
        auto slot = co_await slots.acquire();
        tasks.spawn(one(*this, std::move(link), std::move(slot)));
      }
    }
  };
  co_await async::with_task_group(context_.executor, body);
}

async::Task<> ServerTarget::put_links() {
  if (context_.options.dry_run) co_return;
  for (auto const* kind : {"parent", "history", "input", "output"}) co_await put_links_of_kind(kind);
}

}  // namespace mlferry::engine
