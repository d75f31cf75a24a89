// The files that say what is in a tree: written when everything they name is there.

#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_target.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

json::array texts(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}

}  // namespace

async::Task<> TreeTarget::write_experiment(const Container& container) {
  using State = Listed::State;
  auto const& [record, place, runs, models, traces, named] = container;
  auto const& experiment = record.experiment;
  auto active_and_deleted = [](const Listed& list) {
    return list.count(State::active) + list.count(State::deleted);
  };
  json::object info{{"num_total_runs", runs.items.size()},
                    {"num_ok_runs", active_and_deleted(runs)},
                    {"num_failed_runs", runs.count(State::failed)},
                    {"failed_runs", runs.ids(State::failed)},
                    {"ok_logged_models", active_and_deleted(models)},
                    {"failed_logged_models", models.count(State::failed)},
                    {"ok_traces", active_and_deleted(traces)},
                    {"failed_traces", traces.count(State::failed)}};
  json::object mlflow{{"experiment", tree_experiment(experiment.doc)},
                      {"runs", runs.ids(State::active)},
                      {"logged_models", models.ids(State::active)},
                      {"traces", traces.ids(State::active)}};
  OwnStanza own;
  own.fingerprint = record.fingerprint;
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  auto stanza = to_json(own);
  // The package cannot import an experiment that lists a deleted run.
  stanza["deleted_runs"] = runs.ids(State::deleted);
  stanza["deleted_logged_models"] = models.ids(State::deleted);

  auto const index = [&](const Listed& list, const char* kind, const char* total,
                         const char* file) -> async::Task<> {
    auto failed = list.ids(State::failed);
    json::object info{{total, list.items.size()},
                      {std::string("num_ok_") + kind, active_and_deleted(list)},
                      {std::string("num_failed_") + kind, failed.size()},
                      {std::string("failed_") + kind, std::move(failed)}};
    json::object entry{{"id", experiment.id()}, {"name", experiment.name()}, {kind, list.ids(State::active)}};
    json::object mlflow{{"experiments", json::array{std::move(entry)}}};
    co_await writer_->put_json(container.place + "/" + kind + "/" + file,
                               objects_->file(std::move(info), std::move(mlflow), {}));
  };
  if (!models.items.empty())
    co_await index(models, "logged_models", "num_total_logged_models", "logged_models.json");
  if (!traces.items.empty()) co_await index(traces, "traces", "num_total_trace", "traces.json");
  co_await writer_->put_json(place + "/experiment.json",
                             objects_->file(std::move(info), std::move(mlflow), std::move(stanza)));
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
                                   {"duration", 0.0}});
  }
  json::object options{{"experiments", "all"},
                       {"output_dir", "experiments"},
                       {"export_permissions", false},
                       {"run_start_time", nullptr},
                       {"runs_until", nullptr},
                       {"export_deleted_runs", true},
                       {"notebook_formats", json::array()},
                       {"use_threads", false}};
  json::object status{{"duration", 0.0},
                      {"experiments", entries.size()},
                      {"total_runs", ok + failed},
                      {"ok_runs", ok},
                      {"failed_runs", failed}};
  json::object info{
      {"experiment_names", std::move(names)}, {"options", std::move(options)}, {"status", std::move(status)}};
  co_await writer_->put_json("experiments/experiments.json",
                             objects_->file(info, {{"experiments", std::move(entries)}}, {}));
  co_return info;
}

async::Task<json::object> TreeTarget::write_models() {
  auto names = models_;
  names.insert(names.end(), failed_models_.begin(), failed_models_.end());
  json::object info{{"model_names", texts(names)},
                    {"stages", nullptr},
                    {"export_latest_versions", false},
                    {"notebook_formats", json::array()},
                    {"use_threads", false},
                    {"output_dir", "models"},
                    {"num_total_models", names.size()},
                    {"num_ok_models", models_.size()},
                    {"num_failed_models", failed_models_.size()},
                    {"duration", 0.0},
                    {"failed_models", texts(failed_models_)}};
  co_await writer_->put_json("models/models.json", objects_->file(info, {{"models", texts(models_)}}, {}));
  co_return info;
}

async::Task<json::object> TreeTarget::write_prompts(const Report& report) {
  auto const& counts = report.counts(Kind::prompt_version);
  json::object summary{{"total_prompts", counts.found},
                       {"successful_exports", counts.found - counts.failed},
                       {"failed_exports", counts.failed}};
  json::object own{{"format", tree_format}, {"prompts", texts(prompts_)}};
  co_await writer_->put_json("prompts/prompts_summary.json", objects_->file({}, summary, std::move(own)));
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
  json::object own{{"format", tree_format}, {"folders", std::move(folders)}};
  co_await writer_->put_json("evaluation_datasets/evaluation_datasets_summary.json",
                             objects_->file({}, summary, std::move(own)));
  co_return summary;
}

async::Task<> TreeTarget::write_manifest(json::object status) {
  json::object options{{"stages", "Production,Staging,Archived,None"},
                       {"export_latest_versions", false},
                       {"export_permissions", false},
                       {"notebook_formats", json::array()},
                       {"use_threads", false},
                       {"output_dir", "."}};
  json::object uncopied;
  for (auto const& [kind, n] : source_.not_copied) uncopied[kind] = n;
  json::object own{
      {"format", tree_format}, {"source", source_.identity}, {"not_copied", std::move(uncopied)}};
  json::object info{{"options", std::move(options)}, {"status", std::move(status)}};
  co_await writer_->put_json("manifest.json", objects_->file(std::move(info), {}, std::move(own)));
}

async::Task<> TreeTarget::finish(Report& report) {
  if (!writer_) co_return;
  auto experiments = co_await write_experiments();
  auto models = co_await write_models();
  auto prompts = co_await write_prompts(report);
  auto datasets = co_await write_datasets(report);
  co_await write_manifest({{"duration", 0.0},
                           {"models", std::move(models)},
                           {"experiments", std::move(experiments)},
                           {"prompts", std::move(prompts)},
                           {"evaluation_datasets", std::move(datasets)}});
  co_await writer_->remove_file(tree::unfinished_file);
}

}  // namespace mlferry::engine
