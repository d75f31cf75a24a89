#include "engine/endpoints/archive_target.hpp"

#include "async/task_group.hpp"
#include "engine/endpoints/markers.hpp"
#include "engine/failure.hpp"
#include "protocol/digest/sha256.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t logged_models_a_step = 100;

archive::ObjectRow row_of(Kind kind, std::string_view id, std::string_view parent, std::string_view name,
                          bool deleted, const std::string& fingerprint) {
  archive::ObjectRow row;
  row.kind = kind_name(kind);
  row.id = id;
  row.parent = parent;
  row.name = name;
  row.lifecycle = deleted ? "deleted" : "active";
  row.fingerprint = fingerprint;
  return row;
}

}  // namespace

ArchiveTarget::ArchiveTarget(const Context& context, archive::Archive& archive, std::string place,
                             SnapshotOfJob part)
    : context_(context), archive_(archive), place_(std::move(place)), part_(std::move(part)) {}

std::string ArchiveTarget::describe() const {
  if (snapshot_.id.empty()) return "archive " + place_;
  return "archive " + place_ + " (snapshot " + snapshot_.id + ")";
}

async::Task<> ArchiveTarget::begin(const SourceInfo& source) {
  source_ = source;
  bool const there = co_await archive_.exists();
  if (there) {
    // The newest whole snapshot of the same server, or the newest: what did not change since is taken from it.
    auto const snapshots = co_await archive_.snapshots();
    std::string base;
    for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it) {
      if (it->source != source.identity) continue;
      bool const whole = mlflow::get_string(it->summary, "selection").empty();
      if (base.empty() || whole) base = it->id;
      if (whole) break;
    }
    if (!base.empty()) base_ = co_await archive_.open_snapshot(base);
  }
  if (context_.options.dry_run) {
    co_await put_workspace();
    co_return;
  }
  if (!there) co_await archive_.create();
  writer_ = co_await archive_.begin_snapshot(source.identity, base_);
  co_await put_workspace();
}

async::Task<bool> ArchiveTarget::unchanged(Kind kind, std::string, std::string id, std::string fingerprint) {
  if (!base_ || fingerprint.empty() || context_.options.full) co_return false;
  std::optional<archive::ObjectRow> row;
  if (writer_) {
    row = co_await writer_->previous(std::string(kind_name(kind)), id);
  } else {
    row = co_await base_->find(std::string(kind_name(kind)), id);
  }
  co_return row && row->fingerprint == fingerprint;
}

async::Task<std::vector<std::string>> ArchiveTarget::known_logged_models(std::string container) {
  std::vector<std::string> ids;
  if (!base_) co_return ids;
  std::int64_t after = 0;
  do {
    auto page =
        co_await base_->objects(std::string(kind_name(Kind::logged_model)), container, after, logged_models_a_step);
    for (auto const& object : page.objects) ids.push_back(object.row.id);
    after = page.next;
  } while (after != 0);
  co_return ids;
}

void ArchiveTarget::report_gaps(const RecordBase& record, const std::string& id, const std::string& name) {
  for (auto const& gap : record.gaps) {
    context_.report.found(Kind::artifact);
    context_.report.failed(Kind::artifact, id + ":" + gap.path, name, "cannot be read: " + gap.reason);
  }
}

async::Task<Outcome> ArchiveTarget::keep(Kind kind, std::string id, std::string name,
                                         const RecordBase& record) {
  if (writer_) co_await writer_->keep(std::string(kind_name(kind)), id);
  context_.report.found(Kind::artifact, record.files.size());
  context_.report.unchanged(Kind::artifact, record.files.size());
  report_gaps(record, id, name);
  co_return Outcome::unchanged;
}

async::Task<Outcome> ArchiveTarget::put_row(archive::ObjectRow row, json::object record) {
  auto outcome = Outcome::created;
  if (base_) {
    // Read whole and found the same after all: an unfinished run, or a kind that has nothing beyond its
    // listing.
    auto const previous = co_await base_->get(row.kind, row.id);
    if (previous) outcome = Outcome::updated;
    if (previous && !row.fingerprint.empty() && previous->row.fingerprint == row.fingerprint &&
        mlflow::to_canonical_json(previous->record) == mlflow::to_canonical_json(record)) {
      outcome = Outcome::unchanged;
    }
  }
  if (writer_) co_await writer_->put_object(std::move(row), std::move(record));
  co_return outcome;
}

async::Task<Outcome> ArchiveTarget::put_experiment(ExperimentRecord record) {
  auto const& experiment = record.experiment;
  auto row = row_of(Kind::experiment, experiment.id(), "", experiment.name(), experiment.deleted(),
                    record.fingerprint);
  row.time = mlflow::get_int(experiment.doc, "creation_time");
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<> ArchiveTarget::put_file(FileOwner owner, FileEntry file, std::string name,
                                      std::string previous_sha256, Source& source, async::Permit,
                                      bool& all_there) {
  std::string const kind(kind_name(owner.kind));
  std::string sha256;
  auto copy = [](Source& source, archive::SnapshotWriter& writer, FileOwner owner, std::string kind,
                 FileEntry file, std::string& sha256) -> async::Task<> {
    auto reader = co_await source.open_file(owner, file);
    auto const row = co_await writer.put_file(kind, owner.id, file.path, *reader, file.size);
    sha256 = row.sha256;
  };
  if (writer_) {
    auto const failure = co_await attempt(copy(source, *writer_, owner, kind, file, sha256));
    if (failure) {
      all_there = false;
      co_await writer_->put_gap({kind, owner.id, file.path, *failure});
      context_.report.failed(Kind::artifact, owner.id + ":" + file.path, name, *failure);
      co_return;
    }
  }
  if (!sha256.empty() && sha256 == previous_sha256) {
    context_.report.unchanged(Kind::artifact);
  } else {
    context_.report.copied(Kind::artifact, previous_sha256.empty());
  }
  context_.report.add_bytes(file.size.value_or(0));
}

// True when every file is in the snapshot.
async::Task<bool> ArchiveTarget::put_files(FileOwner owner, const RecordBase& record, std::string name,
                                           Source& source) {
  std::string const kind(kind_name(owner.kind));
  context_.report.found(Kind::artifact, record.files.size());
  report_gaps(record, owner.id, name);
  if (writer_) {
    for (auto const& gap : record.gaps) co_await writer_->put_gap({kind, owner.id, gap.path, gap.reason});
  }
  std::map<std::string, std::string> previous;
  if (base_ && !record.files.empty()) {
    auto const files = co_await base_->files(kind, owner.id);
    for (auto const& file : files) previous[file.path] = file.sha256;
  }
  bool all_there = true;
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& file : record.files) {
      auto slot = co_await context_.transfers.acquire();
      auto const before = previous.find(file.path);
      tasks.spawn(put_file(owner, file, name, before == previous.end() ? std::string() : before->second,
                           source, std::move(slot), all_there));
    }
  };
  co_await async::with_task_group(context_.executor, body);
  co_return all_there;
}

async::Task<Outcome> ArchiveTarget::put_run(RunRecord record, Source& source) {
  std::string const id(record.run.id());
  std::string const name(record.run.name());
  if (record.unchanged) co_return co_await keep(Kind::run, id, name, record);
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  // Incomplete files: no fingerprint, so that the next export reads the run again.
  bool const complete = co_await put_files(owner_of(record), record, name, source);
  auto row = row_of(Kind::run, id, record.run.experiment_id(), name, record.run.deleted(),
                    complete ? record.fingerprint : "");
  row.status = record.run.status();
  row.time = record.run.start_time();
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<Outcome> ArchiveTarget::put_logged_model(LoggedModelRecord record, Source& source) {
  std::string const id(record.model.id());
  std::string const name(record.model.name());
  if (record.unchanged) co_return co_await keep(Kind::logged_model, id, name, record);
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  bool const complete = co_await put_files(owner_of(record), record, name, source);
  auto row = row_of(Kind::logged_model, id, record.model.experiment_id(), name, record.deleted,
                    complete ? record.fingerprint : "");
  row.status = record.model.status();
  row.time = mlflow::get_int(record.model.info(), "creation_timestamp_ms");
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<> ArchiveTarget::put_links() {
  co_return;
}

async::Task<Outcome> ArchiveTarget::put_registered_model(RegisteredModelRecord record, Source& source, bool) {
  std::string const name(record.model.name());
  context_.report.found(record.version_kind(), record.versions.size());
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  for (auto const& item : record.versions) {
    auto const number = item.version.number();
    auto row = row_of(record.version_kind(), name + "/" + std::to_string(number), name, name, false,
                      item.fingerprint);
    row.status = item.version.status();
    if (!item.files.empty() || !item.gaps.empty()) {
      bool const complete = co_await put_files(owner_of(item), item, name, source);
      if (!complete) row.fingerprint.clear();
    }
    row.time = mlflow::get_int(item.version.doc, "creation_timestamp");
    auto const outcome = co_await put_row(std::move(row), to_archive(item));
    if (outcome == Outcome::unchanged) {
      context_.report.unchanged(record.version_kind());
    } else {
      context_.report.copied(record.version_kind(), outcome == Outcome::created);
    }
  }
  auto row = row_of(record.kind(), name, "", name, false, record.fingerprint);
  row.time = mlflow::get_int(record.model.doc, "creation_timestamp");
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<Outcome> ArchiveTarget::put_trace(TraceRecord record, Source& source) {
  std::string const id(record.trace.id());
  std::string const name(record.trace.tag("mlflow.traceName"));
  if (record.unchanged) co_return co_await keep(Kind::trace, id, name, record);
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  bool const complete = co_await put_files(owner_of(record), record, name, source);
  auto row =
      row_of(Kind::trace, id, record.trace.experiment_id(), name, false, complete ? record.fingerprint : "");
  row.status = record.trace.state();
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<Outcome> ArchiveTarget::put_object(ObjectRecord record) {
  if (record.unchanged) co_return co_await keep(record.kind, record.id, record.name, record);
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  auto row = row_of(record.kind, record.id, record.parent, record.name, false, record.fingerprint);
  co_return co_await put_row(std::move(row), to_archive(record));
}

async::Task<> ArchiveTarget::put_workspace() {
  std::string const name(mlflow::get_string(source_.workspace, "name"));
  if (name.empty()) co_return;
  context_.report.found(Kind::workspace);
  auto const row = row_of(Kind::workspace, name, "", name, false,
                          digest::sha256_hex(mlflow::to_canonical_json(source_.workspace)));
  auto const outcome = co_await put_row(row, json::object{{"workspace", source_.workspace}});
  if (outcome == Outcome::unchanged) {
    context_.report.unchanged(Kind::workspace);
  } else {
    context_.report.copied(Kind::workspace, outcome == Outcome::created);
  }
}

async::Task<> ArchiveTarget::finish(Report& report) {
  if (!writer_) co_return;
  json::object summary;
  summary["server"] = source_.description;
  json::object kinds;
  for (auto const kind : all_kinds) {
    auto const& counts = report.counts(kind);
    kinds[kind_name(kind)] = json::object{{"found", counts.found}, {"failed", counts.failed}};
  }
  summary["kinds"] = std::move(kinds);
  json::object uncopied;
  for (auto const& [kind, n] : source_.not_copied) uncopied[kind] = n;
  summary["not_copied"] = std::move(uncopied);
  auto const selection = context_.options.selection.describe();
  if (!selection.empty()) summary["selection"] = selection;
  if (auto const workspace = mlflow::get_string(source_.workspace, "name"); !workspace.empty()) {
    summary["workspace"] = workspace;
    summary["workspaces"] = json::array(part_.workspaces.begin(), part_.workspaces.end());
    summary["job"] = part_.job;
  }
  if (!source_.hidden.empty()) {
    json::array hidden;
    for (auto const& text : source_.hidden) hidden.emplace_back(text);
    summary["hidden"] = std::move(hidden);
  }
  snapshot_ = co_await writer_->commit(std::move(summary));
}

}  // namespace mlferry::engine
