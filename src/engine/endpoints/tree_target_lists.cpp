// The files that say what is in a tree: written when everything they name is there.

#include <algorithm>
#include <cmath>

#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_target.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

json::array texts(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}

// As the package rounds them.
double in_seconds(std::chrono::steady_clock::duration time) {
  return std::round(std::chrono::duration<double>(time).count() * 10) / 10;
}

}  // namespace

double TreeTarget::seconds() const {
  return in_seconds(Clock::now() - begun_);
}

async::Task<> TreeTarget::write_experiment(const Container& container) {
  using State = Listed::State;
  auto const& experiment = container.record.experiment;
  auto const& runs = container.runs;
  auto const& models = container.logged_models;
  auto const& traces = container.traces;
  json::object info{{"num_total_runs", runs.items.size()},
                    {"num_ok_runs", runs.ok()},
                    {"num_failed_runs", runs.count(State::failed)},
                    {"failed_runs", runs.ids(State::failed)},
                    {"ok_logged_models", models.ok()},
                    {"failed_logged_models", models.count(State::failed)},
                    {"ok_traces", traces.ok()},
                    {"failed_traces", traces.count(State::failed)}};
  auto listed_runs = runs;
  if (export_.deleted_in_lists) {
    for (auto& [id, state] : listed_runs.items) {
      if (state == State::deleted) state = State::active;
    }
  }
  json::object mlflow{{"experiment", tree_experiment(experiment.doc)},
                      {"runs", listed_runs.ids(State::active)},
                      {"logged_models", models.ids(State::active)},
                      {"traces", traces.ids(State::active)}};
  OwnStanza own;
  own.fingerprint = container.record.fingerprint;
  own.of = content_hash(mlflow);
  own.document = to_archive(container.record);
  auto stanza = export_.form == TreeForm::experiment ? objects_->stanza(own, "") : to_json(own);
  // The package cannot import an experiment that lists a deleted run.
  stanza["deleted_runs"] = listed_runs.ids(State::deleted);
  stanza["deleted_logged_models"] = models.ids(State::deleted);

  if (!models.items.empty()) {
    co_await write_index(Kind::logged_model, {&container},
                         path_below(container.place, "logged_models/logged_models.json"), false);
  }
  if (!traces.items.empty())
    co_await write_index(Kind::trace, {&container}, path_below(container.place, "traces/traces.json"), false);
  co_await writer_->put_json(path_below(container.place, "experiment.json"),
                             objects_->file(std::move(info), std::move(mlflow), std::move(stanza)));
}

// logged_models.json and traces.json. `is_root`: they are a directory's own file.
async::Task<> TreeTarget::write_index(Kind kind, std::vector<const Container*> containers, std::string file,
                                      bool is_root) {
  bool const models = kind == Kind::logged_model;
  std::string const field = models ? "logged_models" : "traces";
  std::size_t total = 0, ok = 0;
  json::array failed, entries, deleted;
  for (auto const* container : containers) {
    auto const& list = models ? container->logged_models : container->traces;
    total += list.items.size();
    ok += list.ok();
    auto const bad = list.ids(Listed::State::failed);
    failed.insert(failed.end(), bad.begin(), bad.end());
    auto const gone = list.ids(Listed::State::deleted);
    deleted.insert(deleted.end(), gone.begin(), gone.end());
    if (list.items.empty()) continue;
    auto const& experiment = container->record.experiment;
    entries.push_back(json::object{
        {"id", experiment.id()}, {"name", experiment.name()}, {field, list.ids(Listed::State::active)}});
  }
  json::object info{{models ? "num_total_logged_models" : "num_total_trace", total},
                    {"num_ok_" + field, ok},
                    {"num_failed_" + field, failed.size()},
                    {"failed_" + field, std::move(failed)}};
  json::object own;
  if (is_root) {
    own = root_stanza();
    own["format"] = tree_format;
    json::array experiments;  // what the entries belong to
    for (auto const* container : containers) {
      auto const& list = models ? container->logged_models : container->traces;
      if (!list.items.empty()) experiments.push_back(to_archive(container->record));
    }
    own["experiments"] = std::move(experiments);
    if (models) own["deleted_logged_models"] = std::move(deleted);
  }
  co_await writer_->put_json(
      std::move(file),
      objects_->file(std::move(info), {{"experiments", std::move(entries)}}, std::move(own)));
}

async::Task<json::object> TreeTarget::write_experiments() {
  json::array names, entries;
  std::size_t ok = 0, failed = 0;
  for (auto const& id : order_) {
    auto const& container = containers_.at(id);
    co_await write_experiment(container);
    auto const bad = container.runs.count(Listed::State::failed);
    auto const good = container.runs.items.size() - bad;
    ok += good;
    failed += bad;
    auto const name = container.record.experiment.name();
    names.emplace_back(name);
    entries.push_back(json::object{{"id", tree::safe_name(id)},
                                   {"name", name},
                                   {"ok_runs", good},
                                   {"failed_runs", bad},
                                   {"duration", in_seconds(container.last - container.begun)}});
  }
  bool const is_root = export_.form == TreeForm::experiments;
  json::object options{
      {"experiments", export_.experiments},
      {"output_dir", is_root ? export_.output_dir : path_below(export_.output_dir, "experiments")},
      {"export_permissions", false},
      {"run_start_time", export_.run_start_time},
      {"runs_until", export_.runs_until},
      {"export_deleted_runs", export_.export_deleted_runs},
      {"notebook_formats", json::array()},
      {"use_threads", export_.use_threads}};
  json::object status{{"duration", seconds()},
                      {"experiments", entries.size()},
                      {"total_runs", ok + failed},
                      {"ok_runs", ok},
                      {"failed_runs", failed}};
  json::object info{
      {"experiment_names", std::move(names)}, {"options", std::move(options)}, {"status", std::move(status)}};
  json::object own;
  if (is_root) {
    own = root_stanza();
    own["format"] = tree_format;
  }
  co_await writer_->put_json(is_root ? "experiments.json" : "experiments/experiments.json",
                             objects_->file(info, {{"experiments", std::move(entries)}}, std::move(own)));
  co_return info;
}

async::Task<json::object> TreeTarget::write_models() {
  auto names = models_;
  names.insert(names.end(), failed_models_.begin(), failed_models_.end());
  json::object info{{"model_names", texts(names)},
                    {"stages", export_.stages},
                    {"export_latest_versions", export_.export_latest_versions},
                    {"notebook_formats", json::array()},
                    {"use_threads", export_.use_threads},
                    {"output_dir", path_below(export_.output_dir, "models")},
                    {"num_total_models", names.size()},
                    {"num_ok_models", models_.size()},
                    {"num_failed_models", failed_models_.size()},
                    {"duration", seconds()},
                    {"failed_models", texts(failed_models_)}};
  co_await writer_->put_json("models/models.json", objects_->file(info, {{"models", texts(models_)}}, {}));
  co_return info;
}

async::Task<json::object> TreeTarget::write_prompts(const Report& report) {
  auto const& counts = report.counts(Kind::prompt_version);
  json::object summary{{"total_prompts", counts.found},
                       {"successful_exports", counts.found - counts.failed},
                       {"failed_exports", counts.failed}};
  bool const is_root = export_.form == TreeForm::prompts;
  auto own = is_root ? root_stanza() : json::object();
  own["format"] = tree_format;
  own["prompts"] = texts(prompts_);
  co_await writer_->put_json(is_root ? "prompts_summary.json" : "prompts/prompts_summary.json",
                             objects_->file({}, summary, std::move(own)));
  co_return summary;
}

async::Task<json::object> TreeTarget::write_datasets(const Report& report) {
  json::array entries, folders;
  for (auto const& dataset : datasets_) {
    json::object entry;
    take_fields(dataset, entry, {"name", "dataset_id"});
    entries.push_back(std::move(entry));
    folders.push_back(dataset.at("folder"));
  }
  auto const& counts = report.counts(Kind::evaluation_dataset);
  json::object summary{{"total_datasets", counts.found},
                       {"successful_exports", datasets_.size()},
                       {"failed_exports", counts.failed},
                       {"datasets", std::move(entries)}};
  bool const is_root = export_.form == TreeForm::datasets;
  auto own = is_root ? root_stanza() : json::object();
  own["format"] = tree_format;
  own["folders"] = std::move(folders);
  std::string const file = "evaluation_datasets_summary.json";
  co_await writer_->put_json(is_root ? file : "evaluation_datasets/" + file,
                             objects_->file({}, summary, std::move(own)));
  co_return summary;
}

async::Task<> TreeTarget::write_manifest(json::object info) {
  json::object uncopied;
  for (auto const& [kind, n] : source_.not_copied) uncopied[kind] = n;
  auto own = root_stanza();
  own["format"] = tree_format;
  own["not_copied"] = std::move(uncopied);
  co_await writer_->put_json("manifest.json", objects_->file(std::move(info), {}, std::move(own)));
}

async::Task<> TreeTarget::write_whole(const Report& report) {
  auto experiments = co_await write_experiments();
  auto models = co_await write_models();
  auto prompts = co_await write_prompts(report);
  auto datasets = co_await write_datasets(report);
  auto const stages =
      export_.stages.is_null() ? json::value("Production,Staging,Archived,None") : export_.stages;
  json::object options{{"stages", stages},
                       {"export_latest_versions", export_.export_latest_versions},
                       {"export_permissions", false},
                       {"notebook_formats", json::array()},
                       {"use_threads", export_.use_threads},
                       {"output_dir", export_.output_dir},
                       {"run_start_time", export_.run_start_time},
                       {"runs_until", export_.runs_until},
                       {"export_deleted_runs", export_.export_deleted_runs},
                       {"export_version_model", export_.export_version_model}};
  json::object status{{"duration", seconds()},
                      {"models", std::move(models)},
                      {"experiments", std::move(experiments)},
                      {"prompts", std::move(prompts)},
                      {"evaluation_datasets", std::move(datasets)}};
  co_await write_manifest({{"options", std::move(options)}, {"status", std::move(status)}});
}

async::Task<> TreeTarget::write_form(const Report& report) {
  std::vector<const Container*> containers;
  for (auto const& id : order_) containers.push_back(&containers_.at(id));
  switch (export_.form) {
    case TreeForm::all:
      co_await write_whole(report);
      break;
    case TreeForm::models: {
      auto experiments = co_await write_experiments();
      auto models = co_await write_models();
      co_await write_manifest({{"model_names", export_.models},
                               {"stages", export_.stages},
                               {"export_all_runs", export_.export_all_runs},
                               {"export_latest_versions", export_.export_latest_versions},
                               {"export_permissions", false},
                               {"export_deleted_runs", export_.export_deleted_runs},
                               {"notebook_formats", json::array()},
                               {"use_threads", export_.use_threads},
                               {"output_dir", export_.output_dir},
                               {"models", std::move(models)},
                               {"experiments", std::move(experiments)}});
      break;
    }
    case TreeForm::experiments:
      co_await write_experiments();
      break;
    case TreeForm::experiment:
      for (auto const* container : containers) co_await write_experiment(*container);
      break;
    case TreeForm::logged_models:
      co_await write_index(Kind::logged_model, std::move(containers), "logged_models.json", true);
      break;
    case TreeForm::traces:
      co_await write_index(Kind::trace, std::move(containers), "traces.json", true);
      break;
    case TreeForm::prompts:
      co_await write_prompts(report);
      break;
    case TreeForm::datasets:
      co_await write_datasets(report);
      break;
    default:
      co_await objects_->commit_root();
  }
}

async::Task<> TreeTarget::finish(Report& report) {
  if (!writer_) co_return;
  co_await write_form(report);
  // Where its one object failed there is nothing that could pass as whole.
  if (co_await is_there(layout_.root_file())) co_await writer_->remove_file(tree::unfinished_file);
}

}  // namespace mlferry::engine
