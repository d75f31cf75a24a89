// Which kind of directory it is, and what its members are where no experiment.json lists them.

#include <algorithm>

#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_layout.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

// The experiment of what a folder holds without one.
constexpr const char* gathering = "gathered";

json::array versions_of(const json::object& model) {
  for (auto const* field : {"versions", "latest_versions"}) {
    if (auto const* list = mlflow::get_array(model, field)) return *list;
  }
  return {};
}

}  // namespace

async::Task<bool> is_tree(tree::TreeReader& reader) {
  auto const listing = co_await reader.list("");
  co_return listing && tree_form(listing->files, listing->folders);
}

std::string TreeSource::folder_of(const Container& container, Kind kind, const std::string& id) const {
  if (auto const found = container.at.find({kind, id}); found != container.at.end()) return found->second;
  auto const* folder = kind == Kind::run ? "runs" : kind == Kind::logged_model ? "logged_models" : "traces";
  return path_below(container.place, std::string(folder) + "/" + id);
}

async::Task<TreeForm> TreeSource::find_form(tree::TreeListing listing) {
  // Throws for one that is a link.
  for (std::string const name : {"experiments", "models", "prompts", "evaluation_datasets"})
    co_await reader_.is_folder(name);
  auto form = tree_form(listing.files, listing.folders);
  // The package writes no list when it exports nothing, and its importers look for none.
  for (auto const each : {TreeForm::prompts, TreeForm::datasets, TreeForm::experiments}) {
    if (form) break;
    auto const there = co_await folders_with("", std::string(file_of_each(each)));
    if (!there.empty()) form = each;
  }
  if (!form) throw tree::TreeError(reader_.path() + ": no directory of mlflow-export-import or mlferry is there");
  if (options_.accepts.contains(*form)) co_return *form;
  throw tree::TreeError(reader_.path() + " holds " + std::string(form_text(*form)) + ": import it with mlferry " +
                        std::string(import_command(*form)));
}

// A run's histories do not become a document.
async::Task<std::optional<json::object>> TreeSource::read_root_file(std::string name) {
  if (name != "run.json") co_return co_await read_object(name);
  if (!co_await reader_.find(name)) co_return std::nullopt;
  auto const text = co_await reader_.read(name, options_.most_json_bytes);
  auto run = co_await context_.pool.run([&] { return parse_run_text(text, name); });
  co_return std::move(run.file);
}

async::Task<> TreeSource::open_form() {
  auto const wanted = [this](Kind kind) { return options_.kinds.empty() || options_.kinds.contains(kind); };
  switch (form_) {
    case TreeForm::all:
    case TreeForm::models: {
      auto const listing = co_await reader_.list("");
      auto const part = [&](const std::string& name, const std::string& file, Kind kind) -> std::optional<std::string> {
        auto const has = [](const std::vector<std::string>& list, const std::string& one) {
          return std::find(list.begin(), list.end(), one) != list.end();
        };
        if (!wanted(kind)) return std::nullopt;
        if (has(listing->folders, name)) return name;
        if (has(listing->files, file)) return "";
        return std::nullopt;
      };
      experiments_ = part("experiments", "experiments.json", Kind::experiment);
      models_ = part("models", "models.json", Kind::registered_model);
      prompts_ = part("prompts", "prompts_summary.json", Kind::prompt);
      datasets_ = part("evaluation_datasets", "evaluation_datasets_summary.json", Kind::evaluation_dataset);
      // Of a whole import nothing may be there; who asks for a kind expects it.
      if (options_.kinds.empty()) break;
      if (options_.kinds.contains(Kind::registered_model) && !models_)
        throw tree::TreeError(reader_.path() + ": no models/ with what export-models wrote is there");
      if (!experiments_ && !models_ && !prompts_ && !datasets_)
        throw tree::TreeError(reader_.path() + ": nothing that this command imports is there");
      break;
    }
    case TreeForm::experiments:
    case TreeForm::experiment:
      experiments_ = "";
      break;
    case TreeForm::prompt:
    case TreeForm::prompts:
      prompts_ = "";
      break;
    case TreeForm::dataset:
    case TreeForm::datasets:
      datasets_ = "";
      break;
    case TreeForm::run:
      co_await open_run();
      break;
    case TreeForm::model:
      co_await open_model();
      break;
    case TreeForm::model_version:
      co_await open_model_version();
      break;
    case TreeForm::logged_model:
      co_await open_logged_model();
      break;
    case TreeForm::trace:
      co_await open_trace();
      break;
    case TreeForm::logged_models:
      co_await open_index("logged_models.json", "logged_models", Kind::logged_model);
      break;
    case TreeForm::traces:
      co_await open_index("traces.json", "traces", Kind::trace);
      break;
  }
}

// run.json, and beside it a folder for each logged model that it names.
async::Task<> TreeSource::open_run() {
  auto& container = containers_[gathering];
  container.id = gathering;
  container.gathered = true;
  auto const file = co_await read_root_file("run.json");
  auto const* info = mlflow::get_object(content_of(*file), "info");
  std::string id;
  if (info != nullptr) id = mlflow::get_string(*info, "run_id");
  if (info != nullptr && id.empty()) id = mlflow::get_string(*info, "run_uuid");
  if (!tree::is_plain_part(id)) throw mlflow::JsonError("run.json: no id of a run in 'info'");
  container.runs.push_back(id);
  container.at[{Kind::run, id}] = "";
  container.logged_models = co_await folders_with("", "logged_model.json");
  for (auto const& model : container.logged_models) container.at[{Kind::logged_model, model}] = model;
}

// model.json, and beside it a folder for each run and each logged model of its versions.
async::Task<> TreeSource::open_model() {
  models_ = "";
  auto& container = containers_[gathering];
  container.id = gathering;
  container.gathered = true;
  auto const file = co_await read_object("model.json");
  auto const* model = mlflow::get_object(content_of(*file), "registered_model");
  if (model == nullptr) throw mlflow::JsonError("model.json: no object 'registered_model'");
  std::set<std::string> named;
  for (auto const& item : versions_of(*model)) {
    if (auto const* version = item.if_object()) named.emplace(mlflow::get_string(*version, "run_id"));
  }
  auto const there = co_await folders_with("", "run.json");
  for (auto const& run : there) {
    if (named.contains(run)) {
      container.runs.push_back(run);
      container.at[{Kind::run, run}] = run;
    } else {
      context_.report.found(Kind::run);
      context_.report.skipped(Kind::run, run, "",
                              "its folder is there, but no version in model.json names it: its export failed");
    }
  }
  container.logged_models = co_await folders_with("", "logged_model.json");
  for (auto const& one : container.logged_models) container.at[{Kind::logged_model, one}] = one;
}

// version.json; run/; a logged model in a folder that the package names after the run.
async::Task<> TreeSource::open_model_version() {
  models_ = "";
  auto& container = containers_[gathering];
  container.id = gathering;
  container.gathered = true;
  auto const file = co_await read_object("version.json");
  auto const* version = mlflow::get_object(content_of(*file), "model_version");
  if (version == nullptr) throw mlflow::JsonError("version.json: no object 'model_version'");
  std::string const run(mlflow::get_string(*version, "run_id"));
  if (!run.empty() && co_await reader_.find("run/run.json")) {
    container.runs.push_back(run);
    container.at[{Kind::run, run}] = "run";
  }
  auto const folders = co_await folders_with("", "logged_model.json");
  for (auto const& folder : folders) {
    auto const model = co_await read_object(path_below(folder, "logged_model.json"));
    std::string id(model ? mlflow::get_string(content_of(*model), "model_id") : std::string_view());
    if (!tree::is_plain_part(id)) throw mlflow::JsonError(path_below(folder, "logged_model.json") + ": no 'model_id'");
    container.logged_models.push_back(id);
    container.at[{Kind::logged_model, id}] = folder;
  }
}

async::Task<> TreeSource::open_logged_model() {
  auto& container = containers_[gathering];
  container.id = gathering;
  container.gathered = true;
  auto const file = co_await read_object("logged_model.json");
  std::string const id(mlflow::get_string(content_of(*file), "model_id"));
  if (!tree::is_plain_part(id)) throw mlflow::JsonError("logged_model.json: no 'model_id'");
  container.logged_models.push_back(id);
  container.at[{Kind::logged_model, id}] = "";
  co_await add_stand_in(container, "");
}

async::Task<> TreeSource::open_trace() {
  auto& container = containers_[gathering];
  container.id = gathering;
  container.gathered = true;
  auto const file = co_await read_object("trace.json");
  auto const* info = mlflow::get_object(content_of(*file), "info");
  std::string id;
  if (info != nullptr) id = mlflow::get_string(*info, "trace_id");
  if (info != nullptr && id.empty()) id = mlflow::get_string(*info, "request_id");
  if (!tree::is_plain_part(id)) throw mlflow::JsonError("trace.json: no id of a trace in 'info'");
  container.traces.push_back(id);
  container.at[{Kind::trace, id}] = "";
}

// {"experiments": [{id, name, FIELD: [ids]}]}, and a folder for each id beside the list.
async::Task<> TreeSource::open_index(std::string file, std::string field, Kind kind) {
  auto const index = co_await read_object(file);
  auto const* list = index ? mlflow::get_array(content_of(*index), "experiments") : nullptr;
  if (list == nullptr) throw mlflow::JsonError(file + ": no list 'experiments'");
  auto const* object_file = kind == Kind::trace ? "trace.json" : "logged_model.json";
  std::set<std::string> listed;
  for (auto const& item : *list) {
    auto const* entry = item.if_object();
    auto const id = entry == nullptr ? std::string() : field_text(*entry, "id");
    std::string name(entry == nullptr ? std::string_view() : mlflow::get_string(*entry, "name"));
    if (id.empty() || name.empty()) throw mlflow::JsonError(file + ": an experiment without 'id' or 'name'");
    auto& container = containers_[id];
    container.id = id;
    container.name = std::move(name);
    auto const* ids = mlflow::get_array(*entry, field);
    for (auto const& one : ids == nullptr ? json::array() : *ids) {
      auto const* text = one.if_string();
      if (text == nullptr || !tree::is_plain_part(*text))
        throw mlflow::JsonError(file + " lists something in '" + field + "' that is no name of a folder in it");
      std::string object(*text);
      if (!listed.insert(object).second) continue;
      container.at[{kind, object}] = object;
      (kind == Kind::trace ? container.traces : container.logged_models).push_back(object);
      if (kind == Kind::logged_model) co_await add_stand_in(container, object);
    }
  }
  auto const there = co_await folders_with("", object_file);
  for (auto const& folder : there) {
    if (listed.contains(folder)) continue;
    context_.report.found(kind);
    context_.report.skipped(kind, folder, "", "its folder is there, but " + file + " does not list it");
  }
}

// Of what no experiment.json is about; a model version's folder has one, without a list of runs.
async::Task<ExperimentRecord> TreeSource::read_gathering(std::string id) {
  auto const& container = containers_.at(id);
  ExperimentRecord record;
  auto& doc = record.experiment.doc;
  auto const file = form_ == TreeForm::model_version ? co_await read_object("experiment.json") : std::nullopt;
  if (file) {
    if (auto const* experiment = mlflow::get_object(content_of(*file), "experiment"))
      doc = experiment_from_tree(*experiment);
  }
  doc["experiment_id"] = id;
  doc["name"] = container.name;
  doc["lifecycle_stage"] = "active";
  co_return record;
}

// Metric values are a run's, and so is what a model was trained with: where its run is not here, one that has only
// these stands in for it, the same for all models of that run.
async::Task<> TreeSource::add_stand_in(Container& container, std::string folder) {
  LoggedModelRecord model;
  json::array datasets;
  auto read = [&]() -> async::Task<> {
    auto const document = co_await read_document(path_below(folder, "logged_model.json"));
    auto const& content = document.content();
    model.model.doc = logged_model_from_tree(content);
    // In the form of a run's.
    auto const* inputs = mlflow::get_array(content, "dataset_inputs");
    if (inputs == nullptr) co_return;
    auto const run = run_from_tree({{"info", json::object()}, {"inputs", *inputs}}, {});
    datasets = mlflow::Run{run}.dataset_inputs();
  };
  // Told when the model itself is read.
  if (co_await attempt(read())) co_return;
  std::string const run(model.model.source_run_id());
  if (!tree::is_plain_part(run)) co_return;
  auto const& info = model.model.info();
  auto const time = mlflow::get_int(info, "creation_timestamp_ms").value_or(0);
  bool const is_new = !stand_ins_.contains(run);
  auto& record = stand_ins_[run];
  if (is_new) {
    record.stands_in = true;
    record.fingerprint = "stands in";
    record.run.doc = {{"info", json::object{{"run_id", run},
                                            {"experiment_id", container.id},
                                            {"run_name", "run of logged model " + std::string(model.model.name())},
                                            {"status", "FINISHED"},
                                            {"start_time", time},
                                            {"end_time", time},
                                            {"lifecycle_stage", "active"}}},
                      {"data", json::object()},
                      {"inputs", json::object{{"dataset_inputs", json::array()}}},
                      {"outputs", json::object{{"model_outputs", json::array()}}}};
    container.runs.push_back(run);
  }
  auto& doc = record.run.doc;
  doc.at("outputs").at("model_outputs").get_array().push_back(json::object{{"model_id", model.model.id()}, {"step", 0}});
  auto& all = doc.at("inputs").at("dataset_inputs").get_array();
  for (auto& input : datasets) {
    if (std::find(all.begin(), all.end(), input) == all.end()) all.push_back(std::move(input));
  }
  context_.report.loss(Kind::logged_model, std::string(model.model.id()), std::string(model.model.name()),
                       "its run " + run +
                           " is not in the directory: where the destination has no copy of it either, a run that has "
                           "only the model's metric values and datasets stands in for it");
}

// version.json with what model.json beside it says of its model.
async::Task<std::optional<RegisteredModelRecord>> TreeSource::read_single_version() {
  RegisteredModelRecord record;
  ModelVersionRecord item;
  auto read = [&]() -> async::Task<> {
    auto const document = co_await read_document("version.json");
    auto const& version = *mlflow::get_object(document.content(), "model_version");
    if (document.own && document.own->document.contains("model_version")) {
      from_archive(document.own->document, item);
    } else {
      item.version.doc = version_from_tree(version);
    }
    item.fingerprint = "tree:" + document.of;
    std::string const name(item.version.name());
    if (name.empty()) throw mlflow::JsonError("version.json: a version without a 'name'");
    record.model.doc = {{"name", name}};
    record.fingerprint = item.fingerprint;
    if (co_await reader_.find("model.json")) {
      auto const model = co_await read_document("model.json");
      auto const* object = mlflow::get_object(model.content(), "registered_model");
      if (object == nullptr) throw mlflow::JsonError("model.json: no object 'registered_model'");
      record.model.doc = registered_model_from_tree(*object);
      record.model.doc["name"] = name;
    }
    // Of this version only; newer exports have them at the version, others at the model.
    json::array aliases;
    std::set<std::string> seen;
    auto const number = std::to_string(item.version.number());
    auto const add = [&](const std::string& alias) {
      if (seen.insert(alias).second) aliases.push_back(json::object{{"alias", alias}, {"version", number}});
    };
    for (auto const& [alias, of] : record.model.aliases()) {
      if (of == number) add(alias);
    }
    auto const* own = mlflow::get_array(version, "aliases");
    for (auto const& alias : own == nullptr ? json::array() : *own) {
      if (auto const* text = alias.if_string()) add(std::string(*text));
    }
    record.model.doc["aliases"] = std::move(aliases);
    // The registry's copy was put among the run's files: `source` is its path there.
    if (!mlflow::get_string(version, "_source").empty() && place_of(Kind::run, std::string(item.version.run_id()))) {
      auto const run = co_await read_object("run/run.json");
      auto const* info = run ? mlflow::get_object(content_of(*run), "info") : nullptr;
      auto const uri = info == nullptr ? std::string() : std::string(mlflow::get_string(*info, "artifact_uri"));
      auto path = std::string(mlflow::get_string(version, "source"));
      if (!uri.empty() && tree::is_plain_path(path)) item.version.doc["source"] = uri + "/" + path;
    }
    auto const id = source_id_of(item);
    auto const files = co_await reader_.files_below("version_model");
    if (!files.files.empty() && !place_of(Kind::run, std::string(item.version.run_id()))) {
      for (auto const& file : files.files) item.files.push_back({file.path, file.size, {}});
      version_places_[id] = "version_model";
    }
    for (auto const& [path, why] : files.problems) item.gaps.push_back({path, "version_model/" + path + ": " + why});
  };
  if (auto const failure = about_file(co_await attempt(read()), "version.json")) {
    fail(Kind::registered_model, "version.json", "", *failure);
    co_return std::nullopt;
  }
  record.versions.push_back(std::move(item));
  co_return record;
}

}  // namespace mlferry::engine
