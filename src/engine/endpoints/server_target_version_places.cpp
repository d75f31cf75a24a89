// Where a version's files are in the destination, and the runs of our own that carry those of versions whose run or logged
// model has no copy.

#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/files_of.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* carriers_experiment = "mlferry: files of model versions";
constexpr std::string_view prompt_experiments_tag = "_mlflow_experiment_ids";
constexpr std::string_view prompt_runs_tag = "mlflow.prompt.associatedRunIds";

bool is_bucket(std::string_view source) {
  auto const colon = source.find(':');
  if (colon == std::string_view::npos) return false;
  auto const scheme = source.substr(0, colon);
  return scheme != "mlflow-artifacts" && scheme != "file" && scheme != "runs" && scheme != "models";
}

// Opens a carrier's files as those of its version.
class VersionFiles final : public FilesOf {
 public:
  using FilesOf::FilesOf;
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner, FileEntry file) override {
    return open_there(std::move(file));
  }
};

}  // namespace

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

}  // namespace mlferry::engine
