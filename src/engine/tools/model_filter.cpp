#include "engine/tools/model_filter.hpp"

#include <algorithm>
#include <set>

#include "engine/endpoints/markers.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "engine/id_text.hpp"
#include "storage/tree/names.hpp"
#include "storage/tree/object_folder.hpp"
#include "storage/tree/python_json.hpp"

namespace mlferry::engine {

namespace {

struct ExperimentEntry {
  std::string id;  // the folder's name
  json::object entry;
};

json::object* object_in(json::object& object, const char* key) {
  auto* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}
json::array* array_in(json::object& object, const char* key) {
  auto* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

// "mlflow" of a file, or the file itself of the oldest layout.
json::object& content_in(json::object& file) {
  auto* mlflow = object_in(file, "mlflow");
  return mlflow == nullptr ? file : *mlflow;
}

void set_if_there(json::object& object, const char* key, const std::string& text) {
  if (object.contains(key)) object[key] = text;
}

class Job {
 public:
  Job(const Context& context, const ModelFilter& filter)
      : filter_(filter),
        reader_(context.pool, filter.input),
        writer_(context.pool, filter.output),
        context_(context) {}

  async::Task<FilteredModel> run() {
    co_await check_folders();
    co_await find_model();
    co_await find_experiments();
    if (!filter_.new_experiment.empty() && entries_.size() != 1)
      throw BadFilter("the versions' runs lie in " + std::to_string(entries_.size()) +
                      " experiments; --dst-experiment names one, and can only be given when there is one");
    co_await writer_.open();
    co_await writer_.put_json(tree::unfinished_file, [](tree::JsonWriter& writer) {
      writer.value(json::object{
          {own_stanza_name, json::object{{"format", tree_format}, {"source", "filter-one-model"}}}});
    });
    co_await copy_model();
    for (auto const& entry : entries_) co_await copy_experiment(entry);
    co_await write_lists();
    co_await writer_.remove_file(tree::unfinished_file);
    co_return std::move(result_);
  }

 private:
  async::Task<std::optional<json::object>> read(std::string name) {
    if (!co_await reader_.find(name)) co_return std::nullopt;
    auto const text = co_await reader_.read(name, tree::most_json_bytes);
    auto value = mlflow::parse_python_json(text, name);
    if (!value.is_object()) throw mlflow::JsonError(name + ": no JSON object");
    co_return std::move(value.get_object());
  }

  async::Task<> check_folders() {
    if (!co_await is_tree(reader_))
      throw tree::TreeError(filter_.input + ": no directory of mlflow-export-import or mlferry is there");
    if (co_await reader_.find(tree::unfinished_file))
      throw tree::TreeError(filter_.input +
                            ": the export into it was not finished: run it again, it goes on");
    tree::TreeReader output(context_.pool, filter_.output);
    auto const there = co_await output.list("");
    if (there && !(there->files.empty() && there->folders.empty()))
      throw BadFilter("--output-dir: " + filter_.output + " is not empty: give a new folder");
  }

  // By the folder's name, else by the one that the file says.
  async::Task<> find_model() {
    auto const listing = co_await reader_.list("models");
    if (!listing)
      throw tree::TreeError(
          filter_.input +
          ": there is no folder 'models': a directory of export-models or export-all is needed");
    std::vector<std::string> folders{tree::safe_name(filter_.model), filter_.model};
    folders.insert(folders.end(), listing->folders.begin(), listing->folders.end());
    for (auto const& folder : folders) {
      if (std::find(listing->folders.begin(), listing->folders.end(), folder) == listing->folders.end())
        continue;
      auto file = co_await read("models/" + folder + "/model.json");
      auto* model = file ? object_in(content_in(*file), "registered_model") : nullptr;
      if (model == nullptr || mlflow::get_string(*model, "name") != filter_.model) continue;
      model_folder_ = "models/" + folder;
      model_file_ = std::move(*file);
      co_return;
    }
    throw BadFilter("--src-model: there is no model '" + filter_.model + "' in " + filter_.input);
  }

  json::array& versions() {
    auto& model = *object_in(content_in(model_file_), "registered_model");
    auto* list = array_in(model, "versions");
    if (list == nullptr) list = array_in(model, "latest_versions");
    return list == nullptr ? no_versions_ : *list;
  }

  async::Task<> find_experiments() {
    std::vector<ExperimentEntry> all;
    auto const index = co_await read("experiments/experiments.json");
    auto const* list = index ? mlflow::get_array(content_of(*index), "experiments") : nullptr;
    std::set<std::string> seen;
    for (auto const& item : list == nullptr ? json::array() : *list) {
      auto const* entry = item.if_object();
      auto const id = entry == nullptr ? std::string() : field_text(*entry, "id");
      if (tree::is_plain_part(id) && seen.insert(id).second) all.push_back({id, *entry});
    }
    std::set<std::string> wanted;
    for (auto& item : versions()) {
      ++result_.versions;
      if (!item.is_object())
        throw mlflow::JsonError(model_folder_ + "/model.json: a version is no JSON object");
      auto const& version = item.get_object();
      auto const found = co_await homes_of(version, all);
      wanted.insert(found.begin(), found.end());
      auto const number = field_text(version, "version");
      bool const names_owner = !field_text(version, "run_id").empty() || !field_text(version, "model_id").empty();
      bool const has_files = tree::is_plain_part(number) &&
                             co_await reader_.is_folder(model_folder_ + "/version_models/" + number);
      if (found.empty() && names_owner && !has_files)
        result_.notes.push_back(
            "version " + number +
            ": the run or logged model that it was made of is in no experiment of the directory");
    }
    for (auto& entry : all) {
      if (!wanted.contains(entry.id)) continue;
      result_.experiments.push_back(entry.id);
      entries_.push_back(std::move(entry));
    }
    if (index) system_ = index->contains("system") ? index->at("system") : json::value(nullptr);
  }

  // Ids of the experiments that a version's run and logged model lie in.
  async::Task<std::set<std::string>> homes_of(const json::object& version,
                                              const std::vector<ExperimentEntry>& all) {
    std::set<std::string> homes;
    auto const run = field_text(version, "run_id");
    auto models = find_ids(mlflow::get_string(version, "source")).logged_models;
    if (auto const id = field_text(version, "model_id"); !id.empty()) models.push_back(id);
    auto const name = field_text(version, "_experiment_name");
    for (auto const& entry : all) {
      auto const place = "experiments/" + entry.id + "/";
      bool here = false;
      if (tree::is_plain_part(run))
        here = (co_await reader_.find(place + "runs/" + run + "/run.json")) ||
               (co_await reader_.find(place + run + "/run.json"));
      for (auto const& id : models) {
        if (!here && tree::is_plain_part(id))
          here = (co_await reader_.find(place + "logged_models/" + id + "/logged_model.json")).has_value();
      }
      if (here) homes.insert(entry.id);
    }
    if (!homes.empty() || name.empty()) co_return homes;
    for (auto const& entry : all) {
      if (mlflow::get_string(entry.entry, "name") == name) homes.insert(entry.id);
    }
    co_return homes;
  }

  // A folder of the input as one of the output; files of `changed` with other content.
  async::Task<> copy_folder(std::string from, std::string to,
                            std::vector<std::pair<std::string, json::object>> changed) {
    auto const found = co_await reader_.files_below(from);
    for (auto const& [path, why] : found.problems)
      result_.notes.push_back(from + "/" + path + " was left out: " + why);
    auto folder = co_await writer_.begin();
    for (auto const& file : found.files) {
      if (file.path.ends_with(".backup") && file.path.find(".json.") != file.path.npos)
        continue;  // of rewrite-export
      ++result_.files;
      auto const other = std::find_if(changed.begin(), changed.end(),
                                      [&file](auto const& item) { return item.first == file.path; });
      if (other != changed.end()) {
        co_await folder->put_json(file.path,
                                  [other](tree::JsonWriter& writer) { writer.value(other->second); });
        continue;
      }
      auto reader = co_await reader_.open(from + "/" + file.path, file.size);
      co_await folder->put_file(file.path, *reader);
    }
    co_await folder->commit(to);
  }

  const std::string& new_name() const {
    return filter_.new_model.empty() ? filter_.model : filter_.new_model;
  }

  async::Task<> copy_model() {
    std::vector<std::pair<std::string, json::object>> changed;
    if (!filter_.new_model.empty() || !filter_.new_experiment.empty()) {
      auto& model = *object_in(content_in(model_file_), "registered_model");
      model["name"] = new_name();
      for (auto& item : versions()) {
        auto& version = item.as_object();
        set_if_there(version, "name", new_name());
        if (!filter_.new_experiment.empty())
          set_if_there(version, "_experiment_name", filter_.new_experiment);
        auto const number = field_text(version, "version");
        if (mlflow::get_string(version, "_download_uri") == "models:/" + filter_.model + "/" + number)
          version["_download_uri"] = "models:/" + new_name() + "/" + number;
      }
      changed.emplace_back("model.json", model_file_);
    }
    co_await copy_folder(model_folder_, "models/" + tree::safe_name(new_name()), std::move(changed));
  }

  async::Task<> copy_experiment(const ExperimentEntry& entry) {
    auto const place = "experiments/" + entry.id;
    std::vector<std::pair<std::string, json::object>> changed;
    if (!filter_.new_experiment.empty()) {
      auto file = co_await read(place + "/experiment.json");
      auto* experiment = file ? object_in(content_in(*file), "experiment") : nullptr;
      if (experiment == nullptr) throw mlflow::JsonError(place + "/experiment.json: no object 'experiment'");
      (*experiment)["name"] = filter_.new_experiment;
      changed.emplace_back("experiment.json", std::move(*file));
      for (std::string const name : {"logged_models/logged_models.json", "traces/traces.json"}) {
        auto list = co_await read(place + "/" + name);
        auto* items = list ? array_in(content_in(*list), "experiments") : nullptr;
        if (items == nullptr) continue;
        for (auto& item : *items) {
          if (item.is_object()) set_if_there(item.get_object(), "name", filter_.new_experiment);
        }
        changed.emplace_back(name, std::move(*list));
      }
    }
    co_await copy_folder(place, place, std::move(changed));
  }

  tree::WriteJson file(json::object info, json::object mlflow, json::object own) const {
    json::object out;
    if (!system_.is_null()) out["system"] = system_;
    out["info"] = std::move(info);
    out["mlflow"] = std::move(mlflow);
    if (!own.empty()) out[own_stanza_name] = std::move(own);
    return [out = std::move(out)](tree::JsonWriter& writer) { writer.value(out); };
  }

  async::Task<> write_lists() {
    json::array list, names;
    for (auto const& one : entries_) {
      auto entry = one.entry;
      if (!filter_.new_experiment.empty()) entry["name"] = filter_.new_experiment;
      names.push_back(entry.contains("name") ? entry.at("name") : json::value(one.id));
      list.push_back(std::move(entry));
    }
    json::object experiments{{"experiment_names", std::move(names)}};
    json::object models{{"model_names", json::array{json::value(new_name())}},
                        {"num_total_models", 1},
                        {"num_ok_models", 1},
                        {"num_failed_models", 0},
                        {"failed_models", json::array()}};
    co_await writer_.put_json("experiments/experiments.json",
                              file(experiments, {{"experiments", std::move(list)}}, {}));
    co_await writer_.put_json(
        "models/models.json",
        file(models, {{"models", json::array{json::value(tree::safe_name(new_name()))}}}, {}));
    // Whose objects they are, and what else the server had.
    json::object own;
    if (auto const manifest = co_await read("manifest.json")) {
      if (auto const* stanza = mlflow::get_object(*manifest, own_stanza_name)) own = *stanza;
    }
    json::object info{
        {"model_names", models.at("model_names")}, {"models", models}, {"experiments", experiments}};
    co_await writer_.put_json("manifest.json", file(std::move(info), {}, std::move(own)));
  }

  const ModelFilter& filter_;
  tree::TreeReader reader_;
  tree::TreeWriter writer_;
  const Context& context_;
  std::string model_folder_;
  json::object model_file_;
  json::array no_versions_;
  json::value system_;
  std::vector<ExperimentEntry> entries_;
  FilteredModel result_;
};

}  // namespace

async::Task<FilteredModel> filter_model(const Context& context, ModelFilter filter) {
  Job job(context, filter);
  co_return co_await job.run();
}

}  // namespace mlferry::engine
