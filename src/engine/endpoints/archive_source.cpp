#include "engine/endpoints/archive_source.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t objects_a_page = 100;
constexpr std::size_t models_a_page = 50;
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
    if (done_) co_return std::nullopt;
    auto permit = std::make_shared<async::Permit>(co_await source_.context_.memory.acquire(page_memory));
    auto const kind = kind_of<Record>();
    auto page =
        co_await source_.snapshot_->objects(std::string(kind_name(kind)), parent_, after_, objects_a_page);
    after_ = page.next;
    done_ = page.next == 0;
    if (page.objects.empty()) {
      done_ = true;
      co_return std::nullopt;
    }
    std::vector<Record> records;
    for (auto& object : page.objects) {
      auto& record = records.emplace_back();
      from_archive(object.record, record);
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

 private:
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
    archive::SnapshotReader::ObjectPage page;
    while (page.objects.empty()) {
      if (kind_ == kinds_.size()) co_return std::nullopt;
      page = co_await source_.snapshot_->objects(std::string(kind_name(kinds_[kind_])), std::nullopt, after_,
                                                 models_a_page);
      after_ = page.next;
      if (after_ == 0 || page.objects.empty()) {
        ++kind_;
        after_ = 0;
      }
    }
    std::vector<RegisteredModelRecord> records;
    for (auto& object : page.objects) {
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
        }
      } while (after != 0);
    }
    co_return records;
  }

 private:
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
    if (done_) co_return std::nullopt;
    auto permit = std::make_shared<async::Permit>(co_await source_.context_.memory.acquire(page_memory));
    auto page = co_await source_.snapshot_->objects(std::string(kind_name(kind_)), std::nullopt, after_,
                                                    models_a_page);
    after_ = page.next;
    done_ = page.next == 0;
    if (page.objects.empty()) co_return std::nullopt;
    std::vector<ObjectRecord> records;
    for (auto& object : page.objects) {
      auto& record = records.emplace_back();
      from_archive(object.record, record);
      record.kind = kind_;
      record.id = object.row.id;
      record.parent = object.row.parent;
      record.name = object.row.name;
      record.fingerprint = object.row.fingerprint;
      record.memory = permit;
      if (record.fingerprint.empty() || source_.context_.options.full) continue;
      record.unchanged = co_await known_.unchanged(kind_, "", record.id, record.fingerprint);
    }
    co_return records;
  }

 private:
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
  if (auto const* hidden = mlflow::get_array(snapshot_->info().summary, "hidden")) {
    for (auto const& item : *hidden) {
      if (auto const* text = item.if_string())
        info.notes.push_back("the archive may lack objects. When it was made: " + std::string(*text));
    }
  }
  co_return info;
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
  co_return co_await snapshot_->open_file(std::string(kind_name(owner.kind)), owner.id, file.path);
}

}  // namespace mlferry::engine
