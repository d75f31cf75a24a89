#include "engine/endpoints/tree_target.hpp"

#include <chrono>

#include "engine/endpoints/tree_documents.hpp"
#include "engine/failure.hpp"
#include "storage/tree/names.hpp"
#include "storage/tree/python_json.hpp"

namespace mlferry::engine {

namespace {

std::uint64_t run_hash(std::string_view id) {
  return std::hash<std::string_view>()(id);
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Where our stanza begins in a file that we wrote, and in a run.json what comes behind its tags: strings hold
// no line feeds, so that these texts are nowhere else.
constexpr const char* own_marker = "\n  \"mlferry\": {\n";
constexpr const char* inputs_marker = "\n    \"inputs\": {";
constexpr std::uint64_t most_end_bytes = 64u << 20;

// `end`: of a file, from one of the markers on.
std::string fingerprint_in(const std::string& end) {
  auto const at = end.rfind(own_marker);
  if (at == end.npos) return {};
  auto const text = "{" + end.substr(at);
  auto const own = tree::find_member(text, {0, text.size()}, own_stanza_name);
  auto const found = own ? tree::find_member(text, *own, "fingerprint") : std::nullopt;
  if (!found) return {};
  auto const value = mlflow::parse_json(text.substr(found->begin, found->end - found->begin), "fingerprint");
  return value.is_string() ? std::string(value.get_string()) : std::string();
}

// The logged models that a run.json names. `end`: from the inputs on.
void add_named_models(const std::string& end, std::set<std::string>& names) {
  auto const text = "{" + end;
  for (auto const* where : {"inputs", "outputs"}) {
    auto const found = tree::find_member(text, {0, text.size()}, where);
    if (!found) continue;
    auto const value = mlflow::parse_json(text.substr(found->begin, found->end - found->begin), where);
    auto const* object = value.if_object();
    for (auto const* field : {"model_inputs", "model_outputs"}) {
      auto const* list = object == nullptr ? nullptr : mlflow::get_array(*object, field);
      for (auto const& item : list == nullptr ? json::array() : *list) {
        if (auto const* model = item.if_object()) names.emplace(mlflow::get_string(*model, "model_id"));
      }
    }
  }
}

}  // namespace

json::array TreeTarget::Listed::ids(State state) const {
  json::array out;
  for (auto const& [id, how] : items) {
    if (how == state) out.emplace_back(tree::safe_name(id));
  }
  return out;
}

std::size_t TreeTarget::Listed::count(State state) const {
  std::size_t n = 0;
  for (auto const& [id, how] : items) n += how == state ? 1 : 0;
  return n;
}

TreeTarget::TreeTarget(const Context& context, std::string folder, std::int64_t export_time, TreeExport what)
    : context_(context),
      folder_(std::move(folder)),
      export_time_(export_time == 0 ? now() : export_time),
      export_(std::move(what)),
      layout_(export_.form),
      begun_(Clock::now()),
      reader_(context.pool, folder_) {}

// What is not ours is never written into: the package would merge, we would bring up to date.
async::Task<> TreeTarget::refuse_foreign_folder() {
  auto const listing = co_await reader_.list("");
  if (!listing) co_return;
  bool const empty =
      listing->files.empty() &&
      (listing->folders.empty() || (listing->folders.size() == 1 && listing->folders[0] == tree::own_folder));
  std::string source;
  // The marker of an unfinished job also names the source: of a first job there is nothing else.
  for (auto const& name : {layout_.root_file(), std::string(tree::unfinished_file)}) {
    if (!co_await is_there(name)) continue;
    auto const file = mlflow::parse_json(co_await reader_.read(name, tree::most_json_bytes), folder_ + "/" + name);
    auto const* own = file.is_object() ? mlflow::get_object(file.get_object(), own_stanza_name) : nullptr;
    if (own == nullptr) continue;
    source = mlflow::get_string(*own, "source");
    if (!source.empty() && source != source_.identity) {
      throw std::runtime_error(folder_ + " holds the tree of another source (" + source +
                               "): give a new folder");
    }
    auto const form = mlflow::get_string(*own, "export");
    auto const request = mlflow::get_string(*own, "request");
    // From a part to the whole is no loss.
    bool const whole = export_.form == TreeForm::all && export_.request.empty();
    bool const same_form = form == form_name(export_.form) || (form.empty() && export_.form == TreeForm::all);
    if (!source.empty() && (!same_form || (request != export_.request && !whole))) {
      throw std::runtime_error(folder_ + " holds another export (" +
                               std::string(form.empty() ? form_name(TreeForm::all) : form) +
                               (request.empty() ? std::string() : " " + std::string(request)) +
                               "), whose lists this one would take the place of: give a new folder");
    }
  }
  if (source.empty() && !empty) {
    throw std::runtime_error(folder_ + " is not empty and holds no tree of mlferry: give a new folder");
  }
}

json::object TreeTarget::root_stanza() const {
  json::object own{{"source", source_.identity}};
  // A whole tree has neither, as before there were others.
  if (export_.form != TreeForm::all) own["export"] = form_name(export_.form);
  if (!export_.request.empty()) own["request"] = export_.request;
  return own;
}

async::Task<> TreeTarget::begin(const SourceInfo& source) {
  source_ = source;
  co_await refuse_foreign_folder();
  if (!context_.options.dry_run) {
    writer_ = std::make_unique<tree::TreeWriter>(context_.pool, folder_);
    co_await writer_->open();
    tree::WriteJson mark = [this](tree::JsonWriter& writer) {
      auto own = root_stanza();
      own["format"] = tree_format;
      writer.value(json::object{{own_stanza_name, std::move(own)}});
    };
    co_await writer_->put_json(tree::unfinished_file, std::move(mark));
  }
  objects_ = std::make_unique<TreeObjects>(
      context_, writer_.get(), tree_system(source.identity, export_time_), export_, root_stanza());
}

TreeTarget::Container& TreeTarget::container_of(std::string_view experiment_id) {
  auto const found = containers_.find(experiment_id);
  if (found == containers_.end())
    throw std::runtime_error("its experiment (" + std::string(experiment_id) + ") is not in the tree");
  found->second.last = Clock::now();
  return found->second;
}

std::string TreeTarget::place_of(Kind kind, std::string_view experiment, std::string_view id) const {
  auto place = layout_.member(kind, experiment, id);
  if (!place) throw NotHeld("a directory of " + std::string(form_name(export_.form)) + " holds none");
  return std::move(*place);
}

async::Task<bool> TreeTarget::is_there(std::string name) {
  co_return (co_await reader_.find(std::move(name))).has_value();
}

async::Task<bool> TreeTarget::unchanged(Kind kind, std::string container, std::string id,
                                        std::string fingerprint) {
  if (fingerprint.empty() || context_.options.full) co_return false;
  if (kind != Kind::run && kind != Kind::logged_model && kind != Kind::trace) co_return false;
  // All of it is written anew.
  if (layout_.one_folder()) co_return false;
  auto const found = containers_.find(container);
  auto const place = layout_.member(kind, container, id);
  if (found == containers_.end() || !place) co_return false;
  auto const name = path_below(*place, member_file(kind));
  bool const is_run = kind == Kind::run;
  auto const end = co_await reader_.read_end(name, is_run ? inputs_marker : own_marker, most_end_bytes);
  if (!end || fingerprint_in(*end) != fingerprint) co_return false;
  // Its inputs are not read again, and deleted models are found through them alone.
  if (is_run) add_named_models(*end, found->second.named_models);
  co_return true;
}

async::Task<std::vector<std::string>> TreeTarget::known_logged_models(std::string container) {
  std::vector<std::string> ids;
  auto const found = containers_.find(container);
  if (found == containers_.end()) co_return ids;
  if (layout_.experiment(container)) {
    auto const listing = co_await reader_.list(path_below(found->second.place, "logged_models"));
    if (listing) ids = listing->folders;
  }
  ids.insert(ids.end(), found->second.named_models.begin(), found->second.named_models.end());
  co_return ids;
}

Outcome TreeTarget::keep(const RecordBase& record, const std::string& id, const std::string& name) {
  context_.report.found(Kind::artifact, record.files.size());
  context_.report.unchanged(Kind::artifact, record.files.size());
  objects_->report_gaps(record, id, name);
  return Outcome::unchanged;
}

async::Task<Outcome> TreeTarget::put_experiment(ExperimentRecord record) {
  std::string const id(record.experiment.id());
  auto place = layout_.experiment(id);
  if (layout_.one_folder()) place = "";
  bool const there = place && co_await is_there(path_below(*place, "experiment.json"));
  auto const [at, added] = containers_.try_emplace(id);
  if (!added) throw std::runtime_error("the source has two experiments of this id");
  at->second.place = place.value_or("");
  at->second.begun = at->second.last = Clock::now();
  at->second.record = std::move(record);
  order_.push_back(id);
  if (!place) co_return Outcome::unchanged;  // only the place of what is exported
  co_return there ? Outcome::updated : Outcome::created;
}

// `write(place, replaces)` takes the record.
template <class Record, class Write>
async::Task<Outcome> TreeTarget::put_member(Member member, Record& record, Write write) {
  auto const slot = member.list.add(member.id);
  if (record.unchanged) {
    member.list.items[slot].second = member.state;
    co_return keep(record, member.id, member.name);
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  bool const there = co_await is_there(path_below(member.place, member.document));
  co_await write(member.place, there);
  member.list.items[slot].second = member.state;
  co_return there ? Outcome::updated : Outcome::created;
}

async::Task<Outcome> TreeTarget::put_run(RunRecord record, Source& source) {
  auto const& run = record.run;
  std::string const id(run.id());
  auto& container = container_of(run.experiment_id());
  homes_[run_hash(id)] = &container;
  if (export_.form == TreeForm::model || export_.form == TreeForm::models) artifact_uris_[id] = run.artifact_uri();
  Member member{id, std::string(run.name()), place_of(Kind::run, run.experiment_id(), id), "run.json", container.runs,
                run.deleted() ? Listed::State::deleted : Listed::State::active};
  auto const write = [&](std::string place, bool replaces) {
    return objects_->put_run(std::move(record), source, std::move(place), replaces);
  };
  co_return co_await put_member(std::move(member), record, write);
}

async::Task<Outcome> TreeTarget::put_logged_model(LoggedModelRecord record, Source& source) {
  auto const& model = record.model;
  std::string const id(model.id());
  auto& container = container_of(model.experiment_id());
  Member member{id, std::string(model.name()), place_of(Kind::logged_model, model.experiment_id(), id),
                "logged_model.json", container.logged_models,
                record.deleted ? Listed::State::deleted : Listed::State::active};
  auto const write = [&](std::string place, bool replaces) {
    return objects_->put_logged_model(std::move(record), source, std::move(place), replaces);
  };
  co_return co_await put_member(std::move(member), record, write);
}

async::Task<Outcome> TreeTarget::put_trace(TraceRecord record, Source& source) {
  auto const& trace = record.trace;
  std::string const id(trace.id());
  auto& container = container_of(trace.experiment_id());
  Member member{id, std::string(trace.tag("mlflow.traceName")), place_of(Kind::trace, trace.experiment_id(), id),
                "trace.json", container.traces, Listed::State::active};
  auto const write = [&](std::string place, bool replaces) {
    return objects_->put_trace(std::move(record), source, std::move(place), replaces);
  };
  co_return co_await put_member(std::move(member), record, write);
}

async::Task<> TreeTarget::put_links() {
  co_return;
}

VersionHome TreeTarget::home_of(const mlflow::ModelVersion& version) const {
  VersionHome home;
  auto const found = homes_.find(run_hash(version.run_id()));
  if (version.run_id().empty() || found == homes_.end()) return home;
  home.experiment_name = found->second->record.experiment.name();
  if (auto const uri = artifact_uris_.find(version.run_id()); uri != artifact_uris_.end()) {
    home.run_artifact_uri = uri->second;
    return home;
  }
  auto const below = std::string(version.run_id()) + "/artifacts";
  auto const at = version.source().find(below);
  if (at != std::string_view::npos) home.run_artifact_uri = version.source().substr(0, at + below.size());
  return home;
}

async::Task<Outcome> TreeTarget::put_registered_model(RegisteredModelRecord record, Source& source, bool) {
  auto const kind = record.version_kind();
  auto const count = record.versions.size();
  context_.report.found(kind, count);
  if (!record.read_error.empty()) {
    if (record.kind() == Kind::registered_model) failed_models_.emplace_back(record.model.name());
    throw std::runtime_error(record.read_error);
  }
  std::string const name(record.model.name());
  auto const numbers = [&record] {
    std::vector<std::int64_t> out;
    for (auto const& item : record.versions) out.push_back(item.version.number());
    return out;
  }();
  bool const is_model = record.kind() == Kind::registered_model;
  auto outcome = Outcome::created;
  std::exception_ptr failure;
  try {
    outcome = is_model ? co_await put_model(std::move(record), source)
                       : co_await put_prompt(std::move(record), source);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (ends_the_job(failure)) std::rethrow_exception(failure);
    if (is_model) failed_models_.push_back(name);
    for (auto const number : numbers)
      context_.report.failed(kind, version_id(name, number), name, "its model could not be written");
    std::rethrow_exception(failure);
  }
  for (std::size_t i = 0; i < count; ++i) context_.report.copied(kind, outcome == Outcome::created);
  co_return outcome;
}

async::Task<Outcome> TreeTarget::put_model(RegisteredModelRecord record, Source& source) {
  auto const folder = tree::safe_name(record.model.name());
  auto const place = layout_.registered_model(record.model.name());
  if (!place) throw NotHeld("a directory of " + std::string(form_name(export_.form)) + " holds none");
  bool const there = co_await is_there(path_below(*place, "model.json"));
  if (layout_.one_folder()) {
    for (auto const& id : order_) {
      auto const& container = containers_.at(id);
      if (!container.runs.items.empty()) co_await objects_->put_plain_experiment(container.record);
    }
    co_await objects_->put_model_version(std::move(record), source, there);
    co_return there ? Outcome::updated : Outcome::created;
  }
  std::vector<VersionHome> homes;
  for (auto const& item : record.versions) homes.push_back(home_of(item.version));
  co_await objects_->put_registered_model(std::move(record), std::move(homes), source, *place, there);
  models_.push_back(folder);
  co_return there ? Outcome::updated : Outcome::created;
}

// A folder for each version, as the package has them, and a file for the prompt itself, which it has nowhere.
async::Task<Outcome> TreeTarget::put_prompt(RegisteredModelRecord record, Source& source) {
  std::string const name(record.model.name());
  auto const file = layout_.prompt_file(name);
  auto there = file && co_await is_there(*file);
  auto const document = file ? json::object() : to_archive(record);
  json::array numbers;
  for (auto& item : record.versions) {
    auto const number = item.version.number();
    numbers.emplace_back(number);
    auto const place = layout_.prompt_version(name, number);
    if (!place) throw NotHeld("a directory of " + std::string(form_name(export_.form)) + " holds none");
    bool const version_there = co_await is_there(path_below(*place, "prompt.json"));
    there = there || (!file && version_there);
    co_await objects_->put_prompt_version(std::move(item), document, source, *place, version_there);
  }
  if (writer_ && file) {
    OwnStanza own;
    own.fingerprint = record.fingerprint;
    own.of = content_hash({});
    own.document = to_archive(record);
    auto stanza = to_json(own);
    stanza["versions"] = std::move(numbers);
    co_await writer_->put_json(*file, objects_->file({}, {}, std::move(stanza)));
  }
  prompts_.push_back(tree::safe_name(name));
  co_return there ? Outcome::updated : Outcome::created;
}

async::Task<Outcome> TreeTarget::put_object(ObjectRecord record) {
  if (record.kind != Kind::evaluation_dataset) {
    throw NotHeld("a directory in the form of mlflow-export-import cannot hold " +
                  std::string(kind_label(record.kind)) + ": an archive does");
  }
  if (!record.read_error.empty()) throw std::runtime_error(record.read_error);
  auto const place = layout_.dataset(record.name, record.id);
  if (!place) throw NotHeld("a directory of " + std::string(form_name(export_.form)) + " holds none");
  bool const there = co_await is_there(path_below(*place, "evaluation_dataset.json"));
  json::object entry{
      {"folder", place->substr(place->rfind('/') + 1)}, {"name", record.name}, {"dataset_id", record.id}};
  co_await objects_->put_dataset(std::move(record), *place);
  datasets_.push_back(std::move(entry));
  co_return there ? Outcome::updated : Outcome::created;
}

}  // namespace mlferry::engine
