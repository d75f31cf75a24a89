#include "engine/endpoints/archive_source.hpp"

#include <algorithm>

#include "engine/id_text.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t objects_a_page = 100;
constexpr std::size_t models_a_step = 50;
constexpr std::uint64_t page_memory = 8u << 20;

template <class Record>
constexpr Kind kind_of();
template <>
constexpr Kind kind_of<ExperimentRecord>() {
  return Kind::experiment;
}
template <>
constexpr Kind kind_of<RunRecord>() {
  return Kind::run;
}
template <>
constexpr Kind kind_of<LoggedModelRecord>() {
  return Kind::logged_model;
}
template <>
constexpr Kind kind_of<TraceRecord>() {
  return Kind::trace;
}

}  // namespace

// Pages of one kind below one parent.
template <class Record>
class ArchiveSource::ObjectPages final : public Pages<Record> {
 public:
  ObjectPages(ArchiveSource& source, std::optional<std::string> parent, Known* known)
      : source_(source), parent_(std::move(parent)), known_(known) {}

  async::Task<std::optional<std::vector<Record>>> next() override {
    if (!source_.selection().takes_kind(kind_of<Record>())) done_ = true;
    while (!done_) {
      auto records = co_await next_records();
      if (!records.empty()) co_return records;
    }
    co_return std::nullopt;
  }

 private:
  async::Task<std::vector<Record>> next_records() {
    auto permit = std::make_shared<async::Permit>(co_await source_.context_.memory.acquire(page_memory));
    auto const kind = kind_of<Record>();
    auto page =
        co_await source_.snapshot_->objects(std::string(kind_name(kind)), parent_, after_, objects_a_page);
    after_ = page.next;
    done_ = page.next == 0 || page.objects.empty();
    std::vector<Record> records;
    for (auto& object : page.objects) {
      auto& record = records.emplace_back();
      from_archive(object.record, record);
      if (!source_.takes(record)) {
        source_.context_.report.not_selected(kind);
        records.pop_back();
        continue;
      }
      record.fingerprint = object.row.fingerprint;
      record.memory = permit;
      if (kind == Kind::experiment) continue;
      co_await source_.add_files(record, kind, object.row.id);
      // An archive never changes, so an equal fingerprint is enough whatever the status says.
      if (known_ != nullptr && !record.fingerprint.empty() && !source_.context_.options.full) {
        record.unchanged =
            co_await known_->unchanged(kind, parent_.value_or(""), object.row.id, record.fingerprint);
      }
    }
    co_return records;
  }

  ArchiveSource& source_;
  std::optional<std::string> parent_;
  Known* known_;
  std::int64_t after_ = 0;
  bool done_ = false;
};

class ArchiveSource::ModelPages final : public Pages<RegisteredModelRecord> {
 public:
  explicit ModelPages(ArchiveSource& source) : source_(source) {}

  async::Task<std::optional<std::vector<RegisteredModelRecord>>> next() override {
    while (kind_ < kinds_.size()) {
      if (!source_.selection().takes_kind(kinds_[kind_])) {
        ++kind_;
        continue;
      }
      auto records = co_await next_records();
      if (!records.empty()) co_return records;
    }
    co_return std::nullopt;
  }

 private:
  async::Task<std::vector<RegisteredModelRecord>> next_records() {
    auto page = co_await source_.snapshot_->objects(std::string(kind_name(kinds_[kind_])), std::nullopt, after_,
                                                 models_a_step);
    auto const kind = kinds_[kind_];
    after_ = page.next;
    if (after_ == 0 || page.objects.empty()) {
      ++kind_;
      after_ = 0;
    }
    std::vector<RegisteredModelRecord> records;
    for (auto& object : page.objects) {
      if (!source_.selection().takes(kind, "", object.row.name)) {
        source_.context_.report.not_selected(kind);
        continue;
      }
      auto& record = records.emplace_back();
      from_archive(object.record, record);
      record.fingerprint = object.row.fingerprint;
      std::int64_t after = 0;
      do {
        auto versions = co_await source_.snapshot_->objects(std::string(kind_name(record.version_kind())),
                                                            object.row.id, after, objects_a_page);
        after = versions.next;
        for (auto& version : versions.objects) {
          auto& item = record.versions.emplace_back();
          from_archive(version.record, item);
          item.fingerprint = version.row.fingerprint;
          co_await source_.add_files(item, record.version_kind(), version.row.id);
          if (item.files.empty()) co_await source_.borrow_files(item);
        }
      } while (after != 0);
    }
    co_return records;
  }

  static constexpr std::array kinds_{Kind::registered_model, Kind::prompt};

  ArchiveSource& source_;
  std::size_t kind_ = 0;  // of kinds_, which is being read
  std::int64_t after_ = 0;
};

// Of a kind that is whole in its document.
class ArchiveSource::DocumentPages final : public Pages<ObjectRecord> {
 public:
  DocumentPages(ArchiveSource& source, Kind kind, Known& known)
      : source_(source), kind_(kind), known_(known) {}

  async::Task<std::optional<std::vector<ObjectRecord>>> next() override {
    if (!source_.selection().takes_kind(kind_)) done_ = true;
    while (!done_) {
      auto records = co_await next_records();
      if (!records.empty()) co_return records;
    }
    co_return std::nullopt;
  }

 private:
  async::Task<std::vector<ObjectRecord>> next_records() {
    auto permit = std::make_shared<async::Permit>(co_await source_.context_.memory.acquire(page_memory));
    auto page = co_await source_.snapshot_->objects(std::string(kind_name(kind_)), std::nullopt, after_,
                                                    models_a_step);
    after_ = page.next;
    done_ = page.next == 0 || page.objects.empty();
    std::vector<ObjectRecord> records;
    for (auto& object : page.objects) {
      auto& record = records.emplace_back();
      from_archive(object.record, record);
      record.kind = kind_;
      record.id = object.row.id;
      record.parent = object.row.parent;
      record.name = object.row.name;
      if (!source_.takes(record)) {
        source_.context_.report.not_selected(kind_);
        records.pop_back();
        continue;
      }
      record.fingerprint = object.row.fingerprint;
      record.memory = permit;
      if (record.fingerprint.empty() || source_.context_.options.full) continue;
      record.unchanged = co_await known_.unchanged(kind_, "", record.id, record.fingerprint);
    }
    co_return records;
  }

  ArchiveSource& source_;
  Kind kind_;
  Known& known_;
  std::int64_t after_ = 0;
  bool done_ = false;
};

ArchiveSource::ArchiveSource(const Context& context, archive::Archive& archive, std::string place,
                             std::string snapshot)
    : context_(context), archive_(archive), place_(std::move(place)), snapshot_id_(std::move(snapshot)) {}

async::Task<SourceInfo> ArchiveSource::open() {
  snapshot_ = co_await archive_.open_snapshot(snapshot_id_);
  auto const gaps = co_await snapshot_->gaps();
  for (auto const& gap : gaps) gaps_[{gap.kind, gap.id}].push_back({gap.path, gap.reason});
  SourceInfo info;
  info.identity = snapshot_->info().source;
  info.description =
      "archive " + place_ + " (snapshot " + snapshot_->info().id + " of " + snapshot_->info().created + ")";
  if (auto const* uncopied = mlflow::get_object(snapshot_->info().summary, "not_copied")) {
    for (auto const& [kind, n] : *uncopied)
      info.not_copied[kind] = mlflow::get_int(*uncopied, kind).value_or(-1);
  }
  auto const workspace = mlflow::get_string(snapshot_->info().summary, "workspace");
  if (!workspace.empty()) {
    auto const object = co_await snapshot_->get(std::string(kind_name(Kind::workspace)), std::string(workspace));
    auto const* doc = object ? mlflow::get_object(object->record, "workspace") : nullptr;
    if (doc == nullptr) {
      throw archive::Corrupt("snapshot " + snapshot_->info().id + ": the record of its workspace '" +
                             std::string(workspace) + "' is missing; `mlferry check` looks for more damage");
    }
    info.workspace = *doc;
  }
  auto const part = mlflow::get_string(snapshot_->info().summary, "selection");
  if (!part.empty()) info.notes.push_back("the snapshot holds a part of its server: " + std::string(part));
  if (auto const* hidden = mlflow::get_array(snapshot_->info().summary, "hidden")) {
    for (auto const& item : *hidden) {
      if (auto const* text = item.if_string())
        info.notes.push_back("the archive may lack objects. When it was made: " + std::string(*text));
    }
  }
  co_return info;
}

bool ArchiveSource::takes(const ExperimentRecord& record) {
  auto const& experiment = record.experiment;
  if (!selection().takes_experiment(experiment.id(), experiment.name(), experiment.deleted())) return false;
  experiments_[std::string(experiment.id())] = experiment.deleted();
  return true;
}

bool ArchiveSource::takes(const RunRecord& record) {
  if (selection().everything()) return true;
  auto const experiment = experiments_.find(std::string(record.run.experiment_id()));
  if (!selection().takes_run(record.run, experiment != experiments_.end() && experiment->second)) return false;
  given_.emplace(record.run.id());
  return true;
}

bool ArchiveSource::takes(const LoggedModelRecord& record) {
  if (selection().everything()) return true;
  auto const experiment = experiments_.find(std::string(record.model.experiment_id()));
  bool const deleted = experiment != experiments_.end() && experiment->second;
  if (!selection().takes_logged_model(record.model, record.deleted, deleted)) return false;
  given_.emplace(record.model.id());
  return true;
}

bool ArchiveSource::takes(const TraceRecord& record) {
  auto const experiment = experiments_.find(record.trace.experiment_id());
  return selection().takes_trace(record.trace, experiment != experiments_.end() && experiment->second);
}

bool ArchiveSource::takes(const ObjectRecord& record) const {
  if (selection().everything()) return true;
  if (!record.parent.empty() && !gave_experiment(record.parent)) return false;
  auto const* experiments = mlflow::get_array(record.doc, "experiment_ids");
  if (record.kind != Kind::evaluation_dataset || experiments == nullptr)
    return selection().takes(record.kind, record.id, record.name);
  bool const with_one = std::any_of(experiments->begin(), experiments->end(), [this](const json::value& id) {
    return id.is_string() && gave_experiment(std::string(id.get_string()));
  });
  return selection().takes_shared(record.kind, record.id, record.name, with_one);
}

// Gives a version the files that the archive has of its run or logged model, when that one is not selected.
async::Task<> ArchiveSource::borrow_files(ModelVersionRecord& record) {
  if (selection().everything()) co_return;
  std::string const source(record.version.source());
  auto const ids = find_ids(source);
  bool const of_model = !ids.logged_models.empty();
  if (!of_model && ids.runs.empty()) co_return;
  auto const kind = of_model ? Kind::logged_model : Kind::run;
  auto const id = of_model ? ids.logged_models.front() : ids.runs.front();
  if (given_.contains(id)) co_return;
  auto const owner = co_await snapshot_->get(std::string(kind_name(kind)), id);
  if (!owner) co_return;
  // Behind the id, or behind the place that its owner has.
  std::string uri;
  if (of_model) {
    LoggedModelRecord model;
    from_archive(owner->record, model);
    uri = model.model.artifact_uri();
  } else {
    RunRecord run;
    from_archive(owner->record, run);
    uri = run.run.artifact_uri();
  }
  auto rest = source.starts_with(uri) ? source.substr(uri.size()) : source.substr(source.find(id) + id.size());
  while (rest.starts_with('/')) rest.erase(0, 1);
  while (rest.ends_with('/')) rest.pop_back();
  auto const folder = rest.empty() ? rest : rest + "/";
  auto files = co_await snapshot_->files(owner->row.kind, id);
  for (auto& file : files) {
    if (!file.path.starts_with(folder)) continue;
    record.files.push_back({file.path.substr(folder.size()), file.size, std::move(file.sha256)});
  }
  borrowed_[owner_of(record).id] = {owner->row.kind, id, folder};
}

async::Task<> ArchiveSource::add_files(RecordBase& record, Kind kind, std::string id) {
  std::string const name(kind_name(kind));
  auto files = co_await snapshot_->files(name, id);
  for (auto& file : files) {
    record.files.push_back({std::move(file.path), file.size, std::move(file.sha256)});
  }
  auto const found = gaps_.find({name, id});
  if (found != gaps_.end()) record.gaps = found->second;
}

std::unique_ptr<Pages<ExperimentRecord>> ArchiveSource::experiments() {
  return std::make_unique<ObjectPages<ExperimentRecord>>(*this, std::nullopt, nullptr);
}

std::unique_ptr<Pages<RunRecord>> ArchiveSource::runs(std::string experiment_id, Known& known) {
  return std::make_unique<ObjectPages<RunRecord>>(*this, std::move(experiment_id), &known);
}

std::unique_ptr<Pages<LoggedModelRecord>> ArchiveSource::logged_models(std::string experiment_id,
                                                                       Known& known) {
  return std::make_unique<ObjectPages<LoggedModelRecord>>(*this, std::move(experiment_id), &known);
}

std::unique_ptr<Pages<TraceRecord>> ArchiveSource::traces(std::string experiment_id, Known& known) {
  return std::make_unique<ObjectPages<TraceRecord>>(*this, std::move(experiment_id), &known);
}

std::unique_ptr<Pages<RegisteredModelRecord>> ArchiveSource::registered_models(Known&) {
  return std::make_unique<ModelPages>(*this);
}

std::unique_ptr<Pages<ObjectRecord>> ArchiveSource::objects(Kind kind, Known& known) {
  return std::make_unique<DocumentPages>(*this, kind, known);
}

async::Task<std::unique_ptr<async::ByteReader>> ArchiveSource::open_file(FileOwner owner, FileEntry file) {
  auto const borrowed = owner.kind == Kind::model_version ? borrowed_.find(owner.id) : borrowed_.end();
  if (borrowed != borrowed_.end()) {
    auto const& from = borrowed->second;
    co_return co_await snapshot_->open_file(from.kind, from.id, from.folder + file.path);
  }
  co_return co_await snapshot_->open_file(std::string(kind_name(owner.kind)), owner.id, file.path);
}

}  // namespace mlferry::engine
