#include "engine/endpoints/tree_objects.hpp"

#include <pwd.h>
#include <unistd.h>

#include "async/task_group.hpp"
#include "engine/endpoints/tree_documents.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* artifacts = "artifacts";
constexpr const char* spans_place = "artifacts/traces.json";

std::string login_name() {
  auto const* user = ::getpwuid(::getuid());
  return user == nullptr ? std::string() : std::string(user->pw_name);
}

void write_history(tree::JsonWriter& writer, const std::vector<mlflow::MetricSeries>& history) {
  writer.begin_object();
  for (auto const& series : history) {
    writer.key(series.key);
    writer.begin_array();
    for (auto const& point : series.points) {
      writer.begin_object();
      writer.key("value");
      writer.number(point.value);
      writer.key("timestamp");
      writer.number(point.timestamp);
      writer.key("step");
      writer.number(point.step);
      writer.end_object();
    }
    writer.end_array();
  }
  writer.end_object();
}

void write_run(tree::JsonWriter& writer, const json::object& system, const json::object& mlflow,
               const std::vector<mlflow::MetricSeries>& history, const json::object& own) {
  writer.begin_object();
  writer.member("system", system);
  writer.key("mlflow");
  writer.begin_object();
  for (auto const& member : mlflow) {
    writer.key(member.key());
    if (member.key() == "metrics") {
      write_history(writer, history);
    } else {
      writer.value(member.value());
    }
  }
  writer.end_object();
  writer.member(own_stanza_name, own);
  writer.end_object();
}

std::string download_uri(const mlflow::ModelVersion& version) {
  return "models:/" + std::string(version.name()) + "/" + std::to_string(version.number());
}

std::vector<std::string> aliases_of(const mlflow::RegisteredModel& model, std::int64_t number) {
  std::vector<std::string> names;
  for (auto const& [alias, version] : model.aliases()) {
    if (version == std::to_string(number)) names.push_back(alias);
  }
  return names;
}

}  // namespace

json::object tree_system(const std::string& tracking_uri, std::int64_t export_time) {
  return {{"package_version", ""},
          {"script", "mlferry"},
          {"export_file_version", "2"},
          {"export_time", export_time},
          {"_export_time", time_companion(export_time * 1000)},
          {"mlflow_version", ""},
          {"mlflow_tracking_uri", tracking_uri},
          {"platform", json::object{{"python_version", ""}, {"system", "Linux"}, {"processor", ""}}},
          {"user", login_name()}};
}

tree::WriteJson TreeObjects::file(json::object info, json::object mlflow, json::object own) const {
  json::object document{{"system", system_}};
  if (!info.empty()) document["info"] = std::move(info);
  document["mlflow"] = std::move(mlflow);
  if (!own.empty()) document[own_stanza_name] = std::move(own);
  return [document = std::move(document)](tree::JsonWriter& writer) { writer.value(document); };
}

void TreeObjects::report_gaps(const RecordBase& record, const std::string& id, const std::string& name) {
  for (auto const& gap : record.gaps) {
    context_.report.found(Kind::artifact);
    context_.report.failed(Kind::artifact, id + ":" + gap.path, name, "cannot be read: " + gap.reason);
  }
}

json::object TreeObjects::stanza(const OwnStanza& own, const std::string& place) const {
  auto out = to_json(own);
  if (place.empty()) {
    for (auto const& [key, value] : root_members_) out[key] = value;
  }
  return out;
}

async::Task<TreeObjects::Part> TreeObjects::begin(std::string place) {
  if (writer_ == nullptr) co_return Part{};
  if (!TreeLayout(export_.form).one_folder()) co_return Part{co_await writer_->begin(), ""};
  if (!root_) {
    auto folder = co_await writer_->begin();
    if (!root_) root_ = std::move(folder);
  }
  co_return Part{root_, place.empty() ? "" : place + "/"};
}

async::Task<> TreeObjects::finish(Part part, std::string file_name, tree::WriteJson write,
                                  std::string place) {
  if (!part.folder) co_return;
  co_await part.folder->put_json(part.prefix + file_name, std::move(write));
  if (part.folder == root_) co_return;
  if (place.empty()) {
    root_ = std::move(part.folder);
  } else {
    co_await part.folder->commit(std::move(place));
  }
}

async::Task<bool> TreeObjects::commit_root() {
  if (!root_) co_return false;
  TreeLayout const layout(export_.form);
  co_await std::exchange(root_, nullptr)->commit_into_root(layout.root_file(), layout.root_parts());
  co_return true;
}

async::Task<> TreeObjects::put_file(tree::ObjectFolder* folder, FileOwner owner, FileEntry& file,
                                    std::string name, std::string below, bool replaces, Source& source,
                                    async::Permit, std::string& failure) {
  auto copy = [](Source& source, tree::ObjectFolder& folder, FileOwner owner, FileEntry& file,
                 std::string path) -> async::Task<> {
    auto reader = co_await source.open_file(std::move(owner), file);
    auto const written = co_await folder.put_file(std::move(path), *reader);
    if (file.size && *file.size != written.size) {
      throw std::runtime_error("listed with " + std::to_string(*file.size) + " bytes, but came with " +
                               std::to_string(written.size) + ": it changed while it was read");
    }
    file.size = written.size;
    file.sha256 = written.sha256;
  };
  std::string const id = owner.id + ":" + file.path;
  if (folder != nullptr) {
    auto const failed =
        co_await attempt(copy(source, *folder, std::move(owner), file, below + "/" + file.path));
    if (failed) {
      failure = *failed;
      context_.report.failed(Kind::artifact, id, name, *failed);
      co_return;
    }
  }
  context_.report.copied(Kind::artifact, !replaces);
  context_.report.add_bytes(file.size.value_or(0));
}

// What could not be copied stands in own.gaps then, and the object has no fingerprint, so that the next
// export reads it again.
async::Task<> TreeObjects::put_files(Part part, FileOwner owner, const RecordBase& record, std::string name,
                                     std::string below, bool replaces, Source& source, OwnStanza& own) {
  context_.report.found(Kind::artifact, record.files.size());
  report_gaps(record, owner.id, name);
  own.fingerprint = record.fingerprint;
  own.gaps = record.gaps;
  auto files = record.files;
  std::vector<std::string> failures(files.size());
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (std::size_t i = 0; i < files.size(); ++i) {
      auto slot = co_await context_.transfers.acquire();
      tasks.spawn(put_file(part.folder.get(), owner, files[i], name, part.prefix + below, replaces, source,
                           std::move(slot), failures[i]));
    }
  };
  co_await async::with_task_group(context_.executor, body);
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (failures[i].empty()) {
      own.files.push_back(std::move(files[i]));
    } else {
      own.gaps.push_back({files[i].path, failures[i]});
      own.fingerprint.clear();
    }
  }
}

async::Task<> TreeObjects::put_run(RunRecord record, Source& source, std::string place, bool replaces) {
  auto part = co_await begin(place);
  OwnStanza own;
  if (!export_.run_artifacts) {
    record.files.clear();
    record.gaps.clear();
  }
  co_await put_files(part, owner_of(record), record, std::string(record.run.name()), artifacts, replaces,
                     source, own);
  has_run_ = true;
  if (!part.folder) co_return;
  // On the pool: a long history is some work.
  tree::WriteJson write = [&](tree::JsonWriter& writer) {
    auto const mlflow = tree_run(record.run.doc);
    own.of = content_hash(mlflow, record.history);
    own.document = {{"run", record.run.doc}};
    write_run(writer, system_, mlflow, record.history, stanza(own, place));
  };
  co_await finish(std::move(part), "run.json", std::move(write), place);
}

async::Task<> TreeObjects::put_logged_model(LoggedModelRecord record, Source& source, std::string place,
                                            bool replaces) {
  auto part = co_await begin(place);
  OwnStanza own;
  co_await put_files(part, owner_of(record), record, std::string(record.model.name()), artifacts, replaces,
                     source, own);
  auto mlflow = tree_logged_model(record.model.doc);
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  auto out = stanza(own, place);
  if (record.deleted) out["deleted"] = true;
  co_await finish(std::move(part), "logged_model.json", file({}, std::move(mlflow), std::move(out)),
                  std::move(place));
}

async::Task<> TreeObjects::put_trace(TraceRecord record, Source& source, std::string place, bool replaces) {
  auto part = co_await begin(place);
  OwnStanza own;
  auto const name = std::string(record.trace.tag("mlflow.traceName"));
  co_await put_files(part, owner_of(record), record, name, artifacts, replaces, source, own);
  auto mlflow = tree_trace(record.trace.doc, record.spans);
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  // Where the package looks for spans; a file of the trace's own that is called so keeps the place.
  bool taken = record.spans.empty();
  for (auto const& one : record.files) taken = taken || one.path == trace_file;
  if (!taken) {
    own.document.erase("spans");
    own.document.erase("non_finite");
    own.document["spans_file"] = true;
    if (part.folder) {
      tree::WriteJson write = [&record](tree::JsonWriter& writer) {
        writer.begin_object();
        writer.key("spans");
        writer.value(record.spans);
        writer.end_object();
      };
      co_await part.folder->put_json(part.prefix + spans_place, std::move(write));
    }
  }
  co_await finish(std::move(part), "trace.json", file({}, std::move(mlflow), stanza(own, place)),
                  std::move(place));
}

async::Task<> TreeObjects::put_version_files(Part part, const ModelVersionRecord& item, std::string below,
                                             bool replaces, Source& source, OwnStanza& own) {
  co_await put_files(part, owner_of(item), item, std::string(item.version.name()), std::move(below), replaces,
                     source, own);
  if (!item.files_are_copies) co_return;
  // Restored with its run or logged model, and not from here.
  own.files.clear();
  own.gaps.clear();
}

async::Task<> TreeObjects::put_registered_model(RegisteredModelRecord record, std::vector<VersionHome> homes,
                                                Source& source, std::string place, bool replaces) {
  auto part = co_await begin(place);
  json::array versions, own_versions;
  for (std::size_t i = 0; i < record.versions.size(); ++i) {
    auto const& item = record.versions[i];
    auto const number = item.version.number();
    OwnStanza own;
    co_await put_version_files(part, item, "version_models/" + std::to_string(number), replaces, source, own);
    auto version = tree_version(item.version.doc, aliases_of(record.model, number));
    if (export_.export_version_model) version["_download_uri"] = download_uri(item.version);
    if (!homes[i].run_artifact_uri.empty()) version["_run_artifact_uri"] = homes[i].run_artifact_uri;
    if (!homes[i].experiment_name.empty()) version["_experiment_name"] = homes[i].experiment_name;
    own.document = to_archive(item);
    own_versions.push_back(to_json(own));
    versions.push_back(std::move(version));
  }
  auto const count = versions.size();
  auto model = tree_registered_model(record.model.doc);
  model["versions"] = std::move(versions);
  json::object mlflow{{"registered_model", std::move(model)}};
  OwnStanza own;
  own.fingerprint = record.fingerprint;
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  auto out = stanza(own, place);
  out["versions"] = std::move(own_versions);
  json::object info{{"num_target_stages", export_.target_stages},
                    {"num_target_versions", export_.target_versions},
                    {"num_src_versions", count + record.versions_left_out},
                    {"num_dst_versions", count},
                    {"failed_versions", export_.failed_versions},
                    {"export_latest_versions", export_.export_latest_versions},
                    {"export_permissions", false}};
  co_await finish(std::move(part), "model.json", file(std::move(info), std::move(mlflow), std::move(out)),
                  std::move(place));
}

async::Task<> TreeObjects::put_model_version(RegisteredModelRecord record, Source& source, bool replaces) {
  if (record.versions.size() != 1)
    throw std::runtime_error("the version is gone: it was deleted while it was read");
  auto part = co_await begin("");
  auto const& item = record.versions.front();
  // Below the run's artifacts only where there is that run.
  bool const in_run = !export_.version_artifact_path.empty() && has_run_ && item.files_are_copies;
  auto const folder =
      in_run ? "run/artifacts/" + export_.version_artifact_path : std::string("version_model");
  OwnStanza own;
  co_await put_version_files(part, item, folder, replaces, source, own);
  auto version = tree_version(item.version.doc, aliases_of(record.model, item.version.number()));
  if (in_run) {
    version["_source"] = version["source"];
    version["source"] = export_.version_artifact_path;
  }
  json::object info;
  if (export_.export_version_model) {
    version["_download_uri"] = download_uri(item.version);
    info = {{"vrm_export_version_model", true},
            {"vrm_model_artifact_path", in_run ? json::value(export_.version_artifact_path) : json::value()},
            {"vrm_model_artifact_full_path", path_below(export_.output_dir, folder)}};
  }
  json::object mlflow{{"model_version", std::move(version)}};
  own.of = content_hash(mlflow);
  own.document = to_archive(item);
  auto version_file = file(std::move(info), std::move(mlflow), stanza(own, ""));

  mlflow = {{"registered_model", tree_registered_model(record.model.doc)}};
  own = {};
  own.fingerprint = record.fingerprint;
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  co_await finish(part, "model.json", file({}, std::move(mlflow), to_json(own)), "");
  co_await finish(std::move(part), "version.json", std::move(version_file), "");
}

async::Task<> TreeObjects::put_plain_experiment(const ExperimentRecord& record) {
  auto part = co_await begin("");
  json::object mlflow{{"experiment", tree_plain_experiment(record.experiment.doc)}};
  OwnStanza own;
  own.fingerprint = record.fingerprint;
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  co_await finish(std::move(part), "experiment.json", file({}, std::move(mlflow), to_json(own)), "");
}

async::Task<> TreeObjects::put_prompt_version(ModelVersionRecord record, json::object prompt, Source& source,
                                              std::string place, bool replaces) {
  auto part = co_await begin(place);
  OwnStanza own;
  co_await put_files(part, owner_of(record), record, std::string(record.version.name()), artifacts, replaces,
                     source, own);
  json::object mlflow{{"prompt", tree_prompt(record.version.doc)}};
  own.of = content_hash(mlflow);
  own.document = to_archive(record);
  auto out = stanza(own, place);
  if (!prompt.empty()) out["prompt"] = std::move(prompt);
  co_await finish(std::move(part), "prompt.json", file({}, std::move(mlflow), std::move(out)),
                  std::move(place));
}

async::Task<> TreeObjects::put_dataset(ObjectRecord record, std::string place) {
  auto part = co_await begin(place);
  json::object mlflow{{"evaluation_dataset", tree_dataset(record.doc)}};
  OwnStanza own;
  own.fingerprint = record.fingerprint;
  own.of = content_hash(mlflow);
  // Its records are exact in the package's stanza.
  record.doc.erase("records");
  own.document = to_archive(record);
  co_await finish(std::move(part), "evaluation_dataset.json", file({}, std::move(mlflow), stanza(own, place)),
                  std::move(place));
}

}  // namespace mlferry::engine
