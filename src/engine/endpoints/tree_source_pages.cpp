// Experiments and what lies in their folders.

#include <algorithm>

#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_layout.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "engine/failure.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t members_a_batch = 100;
constexpr std::uint64_t page_text_bytes = 2u << 20;
// A document takes up to this many times the bytes of its text.
constexpr std::uint64_t memory_per_byte = 4;
constexpr std::uint64_t least_memory = 1u << 20;

// The texts of a list; throws JsonError when it is none. Repeated ones once.
std::vector<std::string> names_in(const json::object& object, const char* field) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  auto const* value = object.if_contains(field);
  if (value == nullptr || value->is_null()) return out;
  if (!value->is_array()) throw mlflow::JsonError(std::string("'") + field + "' is no list");
  for (auto const& item : value->get_array()) {
    if (!item.is_string())
      throw mlflow::JsonError(std::string("'") + field + "' holds something else than texts");
    std::string name(item.get_string());
    if (seen.insert(name).second) out.push_back(std::move(name));
  }
  return out;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (auto const& name : from) {
    if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
  }
}

// A name from a list that becomes a part of a path.
void check_part(const std::string& name, const std::string& where) {
  if (tree::is_plain_part(name)) return;
  throw tree::TreeError(where + " lists '" + name.substr(0, 200) + "', which is no name of a folder in it");
}

// Our own documents lie in the folder that their id makes.
void check_id(std::string_view id, const std::string& folder, const std::string& name) {
  if (tree::safe_name(id) == folder) return;
  throw tree::TreeError(name + ": is about '" + std::string(id.substr(0, 200)) + "', not about '" + folder +
                        "'");
}

}  // namespace

class TreeSource::ExperimentPages final : public Pages<ExperimentRecord> {
 public:
  explicit ExperimentPages(TreeSource& source) : source_(source) {}

  async::Task<std::optional<std::vector<ExperimentRecord>>> next() override {
    if (!listed_) co_await list();
    std::vector<ExperimentRecord> records;
    // Those that no file is about.
    if (!std::exchange(known_given_, true)) {
      for (auto const& [id, container] : source_.containers_) records.push_back(co_await source_.read_gathering(id));
    }
    while (at_ < entries_.size() && records.size() < members_a_batch) {
      auto const [place, name] = entries_[at_++];
      auto record = co_await source_.read_experiment(place, name);
      if (record) records.push_back(std::move(*record));
    }
    if (records.empty()) co_return std::nullopt;
    co_return records;
  }

 private:
  async::Task<> list() {
    listed_ = true;
    if (!source_.experiments_) co_return;
    if (source_.form_ == TreeForm::experiment) {
      entries_.emplace_back("", "");
      co_return;
    }
    auto const& root = *source_.experiments_;
    auto const name = path_below(root, "experiments.json");
    auto const there = co_await source_.folders_with(root, "experiment.json");
    auto const index = co_await source_.read_object(name);
    if (!index) {
      for (auto const& folder : there) entries_.emplace_back(path_below(root, folder), "");
      co_return;
    }
    auto const* list = mlflow::get_array(content_of(*index), "experiments");
    if (list == nullptr) throw mlflow::JsonError(name + ": no list 'experiments'");
    std::set<std::string> seen;
    for (auto const& item : *list) {
      auto const* entry = item.if_object();
      auto const id = entry == nullptr ? std::string() : field_text(*entry, "id");
      if (id.empty()) throw mlflow::JsonError(name + ": an experiment without 'id'");
      check_part(id, name);
      // The package's merging of two exports doubles entries.
      if (seen.insert(id).second)
        entries_.emplace_back(path_below(root, id), std::string(mlflow::get_string(*entry, "name")));
    }
    if (source_.ours_) co_return;
    for (auto const& folder : there) {
      if (seen.contains(folder)) continue;
      source_.context_.report.found(Kind::experiment);
      source_.context_.report.skipped(
          Kind::experiment, folder, "",
          "its folder is there, but " + name + " does not list it: its export failed");
    }
  }

  TreeSource& source_;
  bool listed_ = false;
  bool known_given_ = false;
  std::vector<std::pair<std::string, std::string>> entries_;  // folder, name
  std::size_t at_ = 0;
};

// Reports and answers nothing when it cannot be read.
async::Task<std::optional<ExperimentRecord>> TreeSource::read_experiment(std::string place,
                                                                         std::string listed_name) {
  auto const name = path_below(place, "experiment.json");
  ExperimentRecord record;
  Container container;
  container.place = place;
  auto read = [&]() -> async::Task<> {
    auto const document = co_await read_document(name);
    auto const& content = document.content();
    auto const* experiment = mlflow::get_object(content, "experiment");
    if (experiment == nullptr) throw mlflow::JsonError(name + ": no object 'experiment'");
    if (document.own) {
      from_archive(document.own->document, record);
      record.fingerprint = document.own->fingerprint;
    } else {
      record.experiment.doc = experiment_from_tree(*experiment);
      record.fingerprint = "tree:" + document.of;
    }
    auto& doc = record.experiment.doc;
    if (mlflow::get_string(doc, "experiment_id").empty())
      doc["experiment_id"] = place.empty() ? std::string("0") : place.substr(place.rfind('/') + 1);
    if (record.experiment.name().empty() && !listed_name.empty()) doc["name"] = listed_name;
    if (record.experiment.name().empty()) throw mlflow::JsonError(name + ": the experiment has no name");
    container.id = record.experiment.id();
    // The oldest layout lists what went well in "export_info".
    auto const* info = mlflow::get_object(document.file, "export_info");
    bool const listed = content.contains("runs") || info == nullptr;
    container.runs = listed ? names_in(content, "runs") : names_in(*info, "ok_runs");
    container.logged_models = names_in(content, "logged_models");
    container.traces = names_in(content, "traces");
    if (auto const* own = mlflow::get_object(document.file, own_stanza_name)) {
      append(container.runs, names_in(*own, "deleted_runs"));
      append(container.logged_models, names_in(*own, "deleted_logged_models"));
    }
    if (info != nullptr && !document.file.contains("mlflow")) {
      context_.report.loss(
          Kind::experiment, container.id, std::string(record.experiment.name()),
          "an export of this age (layout V5) holds no dataset inputs, logged models or traces");
    }
  };
  auto failure = about_file(co_await attempt(read()), name);
  if (!failure && containers_.contains(container.id))
    failure = name + ": a second experiment of the id " + container.id;
  if (failure) {
    fail(Kind::experiment, place.substr(place.rfind('/') + 1), listed_name, *failure);
    auto runs = co_await folders_with(path_below(place, "runs"), "run.json");
    append(runs, co_await folders_with(place, "run.json"));
    for (auto const& run : runs) {
      context_.report.found(Kind::run);
      context_.report.skipped(Kind::run, run, "", "its experiment could not be read: " + *failure);
    }
    co_return std::nullopt;
  }
  if (!ours_ && form_ != TreeForm::model_version) co_await report_unlisted(container);
  containers_[container.id] = std::move(container);
  co_return record;
}

// The package leaves folders of objects whose export failed, and does not list them.
async::Task<> TreeSource::report_unlisted(const Container& container) {
  struct Where {
    Kind kind;
    std::string folder;
    const char* file;
    const std::vector<std::string>& listed;
  };
  for (auto const& where :
       {Where{Kind::run, path_below(container.place, "runs"), "run.json", container.runs},
        Where{Kind::run, container.place, "run.json", container.runs},
        Where{Kind::logged_model, path_below(container.place, "logged_models"), "logged_model.json",
              container.logged_models},
        Where{Kind::trace, path_below(container.place, "traces"), "trace.json", container.traces}}) {
    std::set<std::string> const listed(where.listed.begin(), where.listed.end());
    auto const there = co_await folders_with(where.folder, where.file);
    for (auto const& id : there) {
      if (listed.contains(id)) continue;
      context_.report.found(where.kind);
      context_.report.skipped(where.kind, id, "",
                              "its folder is there, but " + path_below(container.place, "experiment.json") +
                                  " does not list it: its export failed");
    }
  }
}

// What one experiment lists of one kind, a page at a time.
template <class Record>
class TreeSource::ChildPages : public Pages<Record> {
 public:
  using Read = async::Task<Record> (TreeSource::*)(const Container&, std::string);
  ChildPages(TreeSource& source, Kind kind, std::string experiment_id, Known& known,
             std::vector<std::string> Container::* list, Read read)
      : source_(source), kind_(kind), known_(known), read_(read) {
    auto const found = source.containers_.find(experiment_id);
    if (found == source.containers_.end()) return;
    container_ = &found->second;
    list_ = &(container_->*list);
  }

  async::Task<std::optional<std::vector<Record>>> next() override {
    std::vector<Record> records;
    if (list_ == nullptr || at_ == list_->size()) co_return std::nullopt;
    std::uint64_t bytes = 0;
    auto end = at_;
    for (; end < list_->size() && end - at_ < members_a_batch && bytes < page_text_bytes; ++end)
      bytes += co_await text_size((*list_)[end]);
    auto permit = std::make_shared<async::Permit>(
        co_await source_.context_.memory.acquire(least_memory + memory_per_byte * bytes));
    std::size_t kept = 0;
    for (; at_ < end; ++at_) {
      auto record = co_await (source_.*read_)(*container_, (*list_)[at_]);
      record.memory = permit;
      kept += size_of(record);
      if (record.read_error.empty() && !record.fingerprint.empty() && !source_.context_.options.full) {
        record.unchanged =
            co_await known_.unchanged(kind_, container_->id, id_of(record), record.fingerprint);
      }
      records.push_back(std::move(record));
    }
    // Never all that there is: who writes these records may need some, too.
    permit->shrink_to(std::min<std::uint64_t>(kept, source_.context_.memory.capacity() / 2));
    co_return records;
  }

 private:
  static std::size_t size_of(const RunRecord& record) { return footprint(record); }
  static std::size_t size_of(const LoggedModelRecord&) { return 16u << 10; }
  static std::size_t size_of(const TraceRecord& record) { return (8u << 10) + 1024 * record.spans.size(); }

  async::Task<std::uint64_t> text_size(const std::string& name) {
    if (kind_ != Kind::run || !tree::is_plain_part(name)) co_return 16u << 10;
    std::uint64_t size = 0;
    auto look = [&]() -> async::Task<> {
      for (auto const& folder : {source_.folder_of(*container_, Kind::run, name), path_below(container_->place, name)}) {
        if (auto const file = co_await source_.reader_.find(path_below(folder, "run.json"))) {
          size = file->size;
          co_return;
        }
      }
    };
    co_await attempt(look());
    co_return size;
  }

  static std::string id_of(const RunRecord& record) { return std::string(record.run.id()); }
  static std::string id_of(const LoggedModelRecord& record) { return std::string(record.model.id()); }
  static std::string id_of(const TraceRecord& record) { return std::string(record.trace.id()); }

  TreeSource& source_;
  Kind kind_;
  Known& known_;
  Read read_;
  const Container* container_ = nullptr;
  const std::vector<std::string>* list_ = nullptr;
  std::size_t at_ = 0;
};

// The run's folder: by the layouts, else one in a model's, where export-models keeps a copy.
async::Task<std::string> TreeSource::find_run(const Container& container, std::string listed) {
  auto const usual = folder_of(container, Kind::run, listed);
  for (auto const& folder : {usual, path_below(container.place, listed)}) {
    if (co_await reader_.find(path_below(folder, "run.json"))) co_return folder;
  }
  auto const models = models_ ? co_await folders_with(*models_, "model.json") : std::vector<std::string>();
  for (auto const& model : models) {
    auto const folder = path_below(path_below(*models_, model), listed);
    if (co_await reader_.find(path_below(folder, "run.json"))) co_return folder;
  }
  throw tree::TreeError(path_below(container.place, "experiment.json") + " lists it, but " + path_below(usual, "run.json") +
                        " is missing");
}

// The record of a run that cannot be read has its id and the cause.
async::Task<RunRecord> TreeSource::read_run(const Container& container, std::string listed) {
  if (auto const found = stand_ins_.find(listed); found != stand_ins_.end()) co_return found->second;
  RunRecord record;
  record.run.doc = {{"info", json::object{{"run_id", listed}, {"experiment_id", container.id}}}};
  auto folder = folder_of(container, Kind::run, listed);
  auto read = [&]() -> async::Task<> {
    check_part(listed, path_below(container.place, "experiment.json"));
    folder = co_await find_run(container, listed);
    co_await fill_run(record, container, folder, listed);
  };
  auto const failure = co_await attempt(read());
  if (failure) record.read_error = *about_file(failure, path_below(folder, "run.json"));
  co_return record;
}

async::Task<> TreeSource::fill_run(RunRecord& record, const Container& container, std::string folder,
                                   std::string listed) {
  auto const name = path_below(folder, "run.json");
  auto const file = co_await reader_.find(name);
  if (!file) throw tree::TreeError(name + ": missing");
  auto const text = co_await reader_.read(name, options_.most_json_bytes);
  Document document;
  auto run = co_await context_.pool.run([&] { return parse_run_text(text, name); });
  document.file = std::move(run.file);
  document.changed = file->changed;
  document.of = co_await context_.pool.run([&] { return content_hash(document.content(), run.history); });
  check_own(document, name);
  record.history = std::move(run.history);
  if (document.own) {
    auto const* doc = mlflow::get_object(document.own->document, "run");
    if (doc == nullptr) throw mlflow::JsonError(name + ": 'mlferry' has no object 'run'");
    record.run.doc = *doc;
    check_id(record.run.id(), listed, name);
  } else {
    record.run.doc = run_from_tree(document.content(), record.history);
    // The folder and the list say which run it is; some exports hold another's document.
    auto& info = record.run.doc.at("info").get_object();
    info["run_id"] = listed;
    info.erase("run_uuid");
    if (!container.gathered) info["experiment_id"] = container.id;
    if (run.only_last_values) {
      context_.report.loss(Kind::run, listed, std::string(record.run.name()),
                           "the export holds only the last value of some metrics, without time and step");
    }
  }
  co_await add_files(record, path_below(folder, "artifacts"), document);
  if (!ours_) leave_out_notebooks(record);
  remember(Kind::run, std::string(record.run.id()), folder);
}

// The package puts Databricks notebooks among a run's artifacts.
void TreeSource::leave_out_notebooks(RunRecord& record) {
  auto const is_ours = [](const FileEntry& file) { return file.path.starts_with("notebooks/"); };
  auto const manifest = std::find_if(record.files.begin(), record.files.end(), [](const FileEntry& file) {
    return file.path == "notebooks/manifest.json";
  });
  if (manifest == record.files.end()) return;
  auto const tags = record.run.tags();
  if (mlflow::find_value(tags, "mlflow.databricks.notebookPath") == nullptr) return;
  for (auto const& file : record.files) {
    if (!is_ours(file)) continue;
    context_.report.found(Kind::artifact);
    context_.report.skipped(Kind::artifact, std::string(record.run.id()) + ":" + file.path,
                            std::string(record.run.name()),
                            "a notebook that the exporter added to the run's artifacts");
  }
  std::erase_if(record.files, is_ours);
}

async::Task<LoggedModelRecord> TreeSource::read_logged_model(const Container& container, std::string listed) {
  LoggedModelRecord record;
  record.model.doc = {{"info", json::object{{"model_id", listed}, {"experiment_id", container.id}}}};
  auto read = [&]() -> async::Task<> {
    check_part(listed, path_below(container.place, "experiment.json"));
    co_await fill_logged_model(record, container, listed);
  };
  auto const failure = co_await attempt(read());
  if (failure)
    record.read_error =
        *about_file(failure, path_below(folder_of(container, Kind::logged_model, listed), "logged_model.json"));
  co_return record;
}

async::Task<> TreeSource::fill_logged_model(LoggedModelRecord& record, const Container& container,
                                            std::string listed) {
  auto const place = folder_of(container, Kind::logged_model, listed);
  auto const name = path_below(place, "logged_model.json");
  auto const document = co_await read_document(name);
  if (document.own) {
    from_archive(document.own->document, record);
    check_id(record.model.id(), listed, name);
  } else {
    record.model.doc = logged_model_from_tree(document.content());
    auto& info = record.model.doc.at("info").get_object();
    info["model_id"] = listed;
    if (!container.gathered) info["experiment_id"] = container.id;
  }
  co_await add_files(record, path_below(place, "artifacts"), document);
  remember(Kind::logged_model, std::string(record.model.id()), place);
}

async::Task<TraceRecord> TreeSource::read_trace(const Container& container, std::string listed) {
  TraceRecord record;
  record.trace.doc =
      trace_from_tree({{"info", json::object{{"trace_id", listed}, {"experiment_id", container.id}}}});
  auto read = [&]() -> async::Task<> {
    check_part(listed, path_below(container.place, "experiment.json"));
    co_await fill_trace(record, container, listed);
  };
  auto const failure = co_await attempt(read());
  if (failure)
    record.read_error = *about_file(failure, path_below(folder_of(container, Kind::trace, listed), "trace.json"));
  co_return record;
}

async::Task<> TreeSource::fill_trace(TraceRecord& record, const Container& container, std::string listed) {
  auto const place = folder_of(container, Kind::trace, listed);
  auto const name = path_below(place, "trace.json");
  auto const spans_name = path_below(place, std::string("artifacts/") + trace_file);
  auto document = co_await read_document(name);
  bool spans_file = document.own && mlflow::get_bool(document.own->document, "spans_file");
  if (document.own) {
    from_archive(document.own->document, record);
    check_id(record.trace.id(), listed, name);
  } else {
    record.trace.doc = trace_from_tree(document.content());
    record.trace.doc["trace_id"] = listed;
    record.trace.doc["trace_location"] = json::object{
        {"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", json::object{{"experiment_id", container.id}}}};
    // mlferry's, edited: the package leaves such spans out.
    spans_file = record.trace.spans_in_database() && (co_await reader_.find(spans_name)).has_value();
  }
  if (spans_file) {
    auto spans = co_await read_object(spans_name);
    auto* list = spans ? spans->if_contains("spans") : nullptr;
    if (list == nullptr || !list->is_array())
      throw mlflow::JsonError(spans_name + ": missing, or has no list 'spans'");
    record.spans = std::move(list->get_array());
    // For the comparison of files; it is none of the trace's own.
    if (auto const file = document.own ? co_await reader_.find(spans_name) : std::nullopt)
      document.own->files.push_back({trace_file, file->size, {}});
  }
  co_await add_files(record, path_below(place, "artifacts"), document);
  if (spans_file) std::erase_if(record.files, [](const FileEntry& file) { return file.path == trace_file; });
  bool const has_file = std::any_of(record.files.begin(), record.files.end(),
                                    [](const FileEntry& file) { return file.path == trace_file; });
  if (!document.own && !has_file && !spans_file) {
    record.gaps.push_back({trace_file,
                           "the export holds no spans of this trace: mlflow-export-import leaves out those "
                           "that are in the server's database"});
  }
  remember(Kind::trace, std::string(record.trace.id()), place);
}

std::unique_ptr<Pages<ExperimentRecord>> TreeSource::experiments() {
  return std::make_unique<ExperimentPages>(*this);
}

std::unique_ptr<Pages<RunRecord>> TreeSource::runs(std::string experiment_id, Known& known) {
  return std::make_unique<ChildPages<RunRecord>>(*this, Kind::run, std::move(experiment_id), known,
                                                 &Container::runs, &TreeSource::read_run);
}

std::unique_ptr<Pages<LoggedModelRecord>> TreeSource::logged_models(std::string experiment_id, Known& known) {
  return std::make_unique<ChildPages<LoggedModelRecord>>(*this, Kind::logged_model, std::move(experiment_id),
                                                         known, &Container::logged_models,
                                                         &TreeSource::read_logged_model);
}

std::unique_ptr<Pages<TraceRecord>> TreeSource::traces(std::string experiment_id, Known& known) {
  return std::make_unique<ChildPages<TraceRecord>>(*this, Kind::trace, std::move(experiment_id), known,
                                                   &Container::traces, &TreeSource::read_trace);
}

}  // namespace mlferry::engine
