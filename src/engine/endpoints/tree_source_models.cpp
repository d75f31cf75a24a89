// Registered models, prompts and evaluation datasets.

#include <algorithm>
#include <set>

#include "engine/endpoints/tree_documents.hpp"
#include "engine/endpoints/tree_layout.hpp"
#include "engine/endpoints/tree_source.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t models_a_batch = 50;

std::vector<std::string> texts_in(const json::array& list) {
  std::vector<std::string> out;
  for (auto const& item : list) {
    if (auto const* text = item.if_string()) out.emplace_back(*text);
  }
  return out;
}

// The part of a source that lies in its run's artifacts; "" for their root.
std::string artifact_path(std::string_view source, std::string_view owner) {
  auto const marker = std::string(owner) + "/artifacts";
  auto const at = owner.empty() ? source.npos : source.find(marker);
  auto rest = at == source.npos ? std::string_view() : source.substr(at + marker.size());
  while (rest.starts_with('/')) rest.remove_prefix(1);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  return std::string(rest);
}

// An export of one version has the prompt with the aliases of all.
void keep_aliases_of_versions(RegisteredModelRecord& record) {
  json::array kept;
  for (auto const& [alias, version] : record.model.aliases()) {
    auto const is_it = [&](const auto& item) { return std::to_string(item.version.number()) == version; };
    if (std::any_of(record.versions.begin(), record.versions.end(), is_it))
      kept.push_back(json::object{{"alias", alias}, {"version", version}});
  }
  record.model.doc["aliases"] = std::move(kept);
}

}  // namespace

// Models of the models' folder, then prompts.
class TreeSource::ModelPages final : public Pages<RegisteredModelRecord> {
 public:
  explicit ModelPages(TreeSource& source) : source_(source) {}

  async::Task<std::optional<std::vector<RegisteredModelRecord>>> next() override {
    if (!listed_) co_await list();
    std::vector<RegisteredModelRecord> records;
    if (source_.form_ == TreeForm::model_version) {
      if (std::exchange(prompts_given_, true)) co_return std::nullopt;
      auto record = co_await source_.read_single_version();
      if (!record) co_return std::nullopt;
      records.push_back(std::move(*record));
      co_return records;
    }
    while (at_ < places_.size() && records.size() < models_a_batch) {
      auto record = co_await source_.read_model(places_[at_++]);
      if (record) records.push_back(std::move(*record));
    }
    if (records.empty() && !std::exchange(prompts_given_, true)) records = co_await source_.read_prompts();
    if (records.empty()) co_return std::nullopt;
    co_return records;
  }

 private:
  async::Task<> list() {
    listed_ = true;
    if (!source_.models_) co_return;
    auto const& root = *source_.models_;
    if (source_.form_ == TreeForm::model) {
      places_.push_back(root);
      co_return;
    }
    auto const name = path_below(root, "models.json");
    auto const there = co_await source_.folders_with(root, "model.json");
    auto const index = co_await source_.read_object(name);
    if (!index) {
      for (auto const& folder : there) places_.push_back(path_below(root, folder));
      co_return;
    }
    auto const* list = mlflow::get_array(content_of(*index), "models");
    if (list == nullptr) list = mlflow::get_array(*index, "ok_models");
    if (list == nullptr) throw mlflow::JsonError(name + ": no list 'models'");
    std::set<std::string> used;
    for (auto const& model : texts_in(*list)) {
      auto const folder = co_await find_folder(root, model, there);
      if (folder.empty()) {
        source_.fail(Kind::registered_model, model, model, name + " lists it, but no folder here holds it");
      } else if (used.insert(folder).second) {
        places_.push_back(path_below(root, folder));
      }
    }
    if (source_.ours_) co_return;
    for (auto const& folder : there) {
      if (used.contains(folder)) continue;
      source_.context_.report.found(Kind::registered_model);
      source_.context_.report.skipped(
          Kind::registered_model, folder, folder,
          "its folder is there, but " + name + " does not list it: its export failed");
    }
  }

  // By its name; else, since some exports have other folder names, the one whose file names it.
  async::Task<std::string> find_folder(std::string root, std::string model, std::vector<std::string> there) {
    for (auto const& name : {tree::safe_name(model), model}) {
      if (std::find(there.begin(), there.end(), name) != there.end()) co_return name;
    }
    for (auto const& folder : there) {
      std::string found;
      auto look = [&]() -> async::Task<> {
        auto const file = co_await source_.read_object(path_below(root, folder) + "/model.json");
        auto const* object = file ? mlflow::get_object(content_of(*file), "registered_model") : nullptr;
        if (object != nullptr) found = mlflow::get_string(*object, "name");
      };
      co_await attempt(look());
      if (found == model) co_return folder;
    }
    co_return std::string();
  }

  TreeSource& source_;
  bool listed_ = false;
  std::vector<std::string> places_;
  std::size_t at_ = 0;
  bool prompts_given_ = false;
};

async::Task<std::optional<RegisteredModelRecord>> TreeSource::read_model(std::string place) {
  auto const name = path_below(place, "model.json");
  RegisteredModelRecord record;
  auto read = [&]() -> async::Task<> {
    auto const document = co_await read_document(name);
    auto const* model = mlflow::get_object(document.content(), "registered_model");
    if (model == nullptr) throw mlflow::JsonError(name + ": no object 'registered_model'");
    if (document.own) {
      from_archive(document.own->document, record);
      record.fingerprint = document.own->fingerprint;
      auto const* stanza = mlflow::get_object(document.file, own_stanza_name);
      auto const* versions = mlflow::get_array(*stanza, "versions");
      for (auto const& item : versions == nullptr ? json::array() : *versions) {
        if (!item.is_object())
          throw mlflow::JsonError(name + ": 'mlferry': 'versions' is no list of objects");
        auto const own = own_stanza_from(item.get_object());
        auto& version = record.versions.emplace_back();
        from_archive(own.document, version);
        version.fingerprint = own.fingerprint;
        co_await add_version_files(version, place, &own);
      }
      co_return;
    }
    record.model.doc = registered_model_from_tree(*model);
    record.fingerprint = "tree:" + document.of;
    auto const* versions = mlflow::get_array(*model, "versions");
    bool const latest_only = versions == nullptr && model->contains("latest_versions");
    if (versions == nullptr) versions = mlflow::get_array(*model, "latest_versions");
    for (auto const& item : versions == nullptr ? json::array() : *versions) {
      if (!item.is_object()) throw mlflow::JsonError(name + ": 'versions' is no list of objects");
      auto& version = record.versions.emplace_back();
      version.version.doc = version_from_tree(item.get_object());
      version.version.doc["name"] = record.model.name();
      version.fingerprint = "tree:" + content_hash(item.get_object());
      co_await add_version_files(version, place, nullptr);
    }
    std::sort(record.versions.begin(), record.versions.end(),
              [](const auto& a, const auto& b) { return a.version.number() < b.version.number(); });
    if (latest_only) {
      context_.report.loss(
          Kind::registered_model, std::string(record.model.name()), std::string(record.model.name()),
          "an export of this age (layout V4 or V5) holds only the latest version of each stage");
    }
    auto const* info = mlflow::get_object(document.file, "info");
    auto const* failed = info == nullptr ? nullptr : mlflow::get_array(*info, "failed_versions");
    if (failed != nullptr && !failed->empty()) {
      context_.report.loss(Kind::registered_model, std::string(record.model.name()),
                           std::string(record.model.name()),
                           std::to_string(failed->size()) +
                               " of its versions could not be exported (failed_versions in " + name + ")");
    }
  };
  auto const folder = place.substr(place.rfind('/') + 1);
  auto failure = about_file(co_await attempt(read()), name);
  if (!failure && !models_given_.insert(std::string(record.model.name())).second)
    failure = name + ": a second model of the name " + std::string(record.model.name());
  if (!failure) co_return record;
  fail(Kind::registered_model, folder, folder, *failure);
  co_return std::nullopt;
}

// Only where what they belong to is not in the directory: with the version itself, or with the copy of its
// run or logged model that export-model puts into the model's folder.
async::Task<> TreeSource::add_version_files(ModelVersionRecord& item, std::string place,
                                            const OwnStanza* own) {
  auto const& version = item.version;
  if (own != nullptr) {
    item.files = own->files;
    item.gaps = own->gaps;
    if (item.files.empty()) co_return;
  }
  auto const ids = find_ids(version.source());
  if (own == nullptr) {
    for (auto const& run : ids.runs) {
      if (place_of(Kind::run, run)) co_return;
    }
    for (auto const& model : ids.logged_models) {
      if (place_of(Kind::logged_model, model)) co_return;
    }
  }
  std::string const run(version.run_id());
  std::vector<std::string> folders{path_below(place, "version_models/" + std::to_string(version.number()))};
  auto const add = [&](const std::string& owner) {
    if (!tree::is_plain_part(owner)) return;
    auto const path = artifact_path(version.source(), owner);
    if (path.empty() || tree::is_plain_path(path))
      folders.push_back(path_below(place, owner) + "/artifacts" + (path.empty() ? "" : "/" + path));
  };
  if (own == nullptr) {
    for (auto const& model : ids.logged_models) add(model);
    if (!run.empty()) add(run);
  }
  for (auto const& folder : folders) {
    auto const found = co_await reader_.files_below(folder);
    if (found.files.empty() && found.problems.empty() && own == nullptr) continue;
    version_places_[version_id(version.name(), version.number())] = folder;
    std::map<std::string, std::uint64_t> sizes;
    for (auto const& file : found.files) sizes[file.path] = file.size;
    if (own == nullptr) {
      for (auto const& file : found.files) item.files.push_back({file.path, file.size, {}});
    } else {
      std::vector<FileEntry> there;
      for (auto& file : item.files) {
        auto const size = sizes.find(file.path);
        if (size == sizes.end()) {
          item.gaps.push_back({file.path, folder + "/" + file.path + ": missing, though it was exported"});
          continue;
        }
        if (file.size != size->second) item.fingerprint.clear();
        file.size = size->second;
        there.push_back(file);
      }
      item.files = std::move(there);
    }
    for (auto const& [path, why] : found.problems)
      item.gaps.push_back({path, folder + "/" + path + ": " + why});
    co_return;
  }
}

async::Task<std::vector<RegisteredModelRecord>> TreeSource::read_prompts() {
  if (!prompts_) co_return std::vector<RegisteredModelRecord>();
  if (form_ == TreeForm::prompt) co_return co_await read_package_prompts({""});
  auto const summary = co_await read_object(path_below(*prompts_, "prompts_summary.json"));
  auto const* own = summary ? mlflow::get_object(*summary, own_stanza_name) : nullptr;
  auto const* names = own == nullptr ? nullptr : mlflow::get_array(*own, "prompts");
  if (names == nullptr) {
    std::vector<std::string> folders;
    auto const there = co_await folders_with(*prompts_, "prompt.json");
    for (auto const& folder : there) folders.push_back(path_below(*prompts_, folder));
    co_return co_await read_package_prompts(std::move(folders));
  }
  std::vector<RegisteredModelRecord> records;
  for (auto const& name : texts_in(*names)) {
    auto record = co_await read_own_prompt(name);
    if (record) records.push_back(std::move(*record));
  }
  co_return records;
}

async::Task<std::optional<RegisteredModelRecord>> TreeSource::read_own_prompt(std::string name) {
  RegisteredModelRecord record;
  auto read = [&]() -> async::Task<> {
    auto const file = path_below(*prompts_, name + ".prompt.json");
    auto const document = co_await read_document(file);
    if (!document.own) throw mlflow::JsonError(file + ": has no stanza 'mlferry' of its own");
    from_archive(document.own->document, record);
    record.fingerprint = document.own->fingerprint;
    auto const* numbers = mlflow::get_array(*mlflow::get_object(document.file, own_stanza_name), "versions");
    for (auto const& number : numbers == nullptr ? json::array() : *numbers) {
      if (!number.is_int64()) throw mlflow::JsonError(file + ": 'versions' is no list of numbers");
      auto const folder = path_below(*prompts_, name + "_v" + std::to_string(number.get_int64()));
      auto const version_file = folder + "/prompt.json";
      auto const version = co_await read_document(version_file);
      auto& item = record.versions.emplace_back();
      if (version.own) {
        from_archive(version.own->document, item);
      } else {
        auto const* prompt = mlflow::get_object(version.content(), "prompt");
        if (prompt == nullptr) throw mlflow::JsonError(version_file + ": no object 'prompt'");
        item.version.doc = prompt_version_from_tree(*prompt);
      }
      co_await add_files(item, folder + "/artifacts", version);
      version_places_[version_id(item.version.name(), item.version.number())] = folder + "/artifacts";
    }
  };
  if (auto const failure = about_file(co_await attempt(read()), path_below(*prompts_, name))) {
    fail(Kind::prompt, name, name, *failure);
    co_return std::nullopt;
  }
  co_return record;
}

// The package has versions only: what they are versions of is made of their names. Our stanza has the prompt, too.
async::Task<std::vector<RegisteredModelRecord>> TreeSource::read_package_prompts(std::vector<std::string> folders) {
  std::map<std::string, RegisteredModelRecord> by_name;
  bool whole = true;  // every version with mlferry's document
  std::set<std::string> without_prompt;
  for (auto const& folder : folders) {
    auto const name = path_below(folder, "prompt.json");
    auto read = [&]() -> async::Task<> {
      auto const document = co_await read_document(name);
      auto const* prompt = mlflow::get_object(document.content(), "prompt");
      if (prompt == nullptr) throw mlflow::JsonError(name + ": no object 'prompt'");
      ModelVersionRecord version;
      if (document.own && document.own->document.contains("model_version")) {
        from_archive(document.own->document, version);
      } else {
        version.version.doc = prompt_version_from_tree(*prompt);
        whole = false;
      }
      version.fingerprint = "tree:" + document.of;
      std::string const prompt_name(version.version.name());
      auto& record = by_name[prompt_name];
      auto const* stanza = document.own ? mlflow::get_object(document.file, own_stanza_name) : nullptr;
      if (auto const* own = stanza == nullptr ? nullptr : mlflow::get_object(*stanza, "prompt")) {
        from_archive(*own, record);
        if (record.model.name() != prompt_name)
          throw mlflow::JsonError(name + ": the prompt in its stanza 'mlferry' has another name than the version");
        without_prompt.erase(prompt_name);
      } else if (record.model.doc.empty()) {
        record.model.doc = {
            {"name", prompt_name},
            {"tags", json::array{json::object{{"key", mlflow::prompt_tag}, {"value", "true"}}}}};
        without_prompt.insert(prompt_name);
      }
      for (auto const& other : record.versions) {
        if (other.version.number() == version.version.number())
          throw mlflow::JsonError(name + ": a second version " + std::to_string(other.version.number()) +
                                  " of this prompt");
      }
      record.fingerprint += version.fingerprint;
      record.versions.push_back(std::move(version));
    };
    if (auto const failure = about_file(co_await attempt(read()), name))
      fail(Kind::prompt_version, folder, folder, *failure);
  }
  std::vector<RegisteredModelRecord> records;
  for (auto& [name, record] : by_name) {
    if (!models_given_.insert(name).second) continue;  // old servers list prompts among models
    std::sort(record.versions.begin(), record.versions.end(),
              [](const auto& a, const auto& b) { return a.version.number() < b.version.number(); });
    if (without_prompt.contains(name)) {
      context_.report.loss(Kind::prompt, name, name,
                           std::string("the export holds no aliases, tags and description of the prompt") +
                               (whole ? "" : ", nor its response format"));
    }
    keep_aliases_of_versions(record);
    records.push_back(std::move(record));
  }
  co_return records;
}

class TreeSource::DatasetPages final : public Pages<ObjectRecord> {
 public:
  DatasetPages(TreeSource& source, Known& known) : source_(source), known_(known) {}

  async::Task<std::optional<std::vector<ObjectRecord>>> next() override {
    if (!listed_) co_await list();
    std::vector<ObjectRecord> records;
    while (at_ < places_.size() && records.size() < models_a_batch) {
      auto record = co_await source_.read_dataset(places_[at_++]);
      if (!record) continue;
      if (!record->fingerprint.empty() && !source_.context_.options.full) {
        record->unchanged =
            co_await known_.unchanged(Kind::evaluation_dataset, "", record->id, record->fingerprint);
      }
      records.push_back(std::move(*record));
    }
    if (records.empty()) co_return std::nullopt;
    co_return records;
  }

 private:
  async::Task<> list() {
    listed_ = true;
    if (!source_.datasets_) co_return;
    auto const& root = *source_.datasets_;
    if (source_.form_ == TreeForm::dataset) {
      places_.push_back(root);
      co_return;
    }
    auto const summary = co_await source_.read_object(path_below(root, "evaluation_datasets_summary.json"));
    auto const* own = summary ? mlflow::get_object(*summary, own_stanza_name) : nullptr;
    auto const* folders = own == nullptr ? nullptr : mlflow::get_array(*own, "folders");
    auto const names = folders == nullptr ? co_await source_.folders_with(root, "evaluation_dataset.json")
                                          : texts_in(*folders);
    for (auto const& name : names) places_.push_back(path_below(root, name));
  }

  TreeSource& source_;
  Known& known_;
  bool listed_ = false;
  std::vector<std::string> places_;
  std::size_t at_ = 0;
};

async::Task<std::optional<ObjectRecord>> TreeSource::read_dataset(std::string place) {
  ObjectRecord record;
  record.kind = Kind::evaluation_dataset;
  auto read = [&]() -> async::Task<> {
    auto const name = path_below(place, "evaluation_dataset.json");
    auto const document = co_await read_document(name);
    auto const* dataset = mlflow::get_object(document.content(), "evaluation_dataset");
    if (dataset == nullptr) throw mlflow::JsonError(name + ": no object 'evaluation_dataset'");
    if (document.own) {
      from_archive(document.own->document, record);
      record.doc["records"] = field_or_null(*dataset, "records");
      record.fingerprint = document.own->fingerprint;
    } else {
      record.doc = dataset_from_tree(*dataset);
      record.fingerprint = "tree:" + document.of;
    }
    record.id = mlflow::get_string(record.doc, "dataset_id");
    record.name = mlflow::get_string(record.doc, "name");
    if (record.name.empty()) throw mlflow::JsonError(name + ": the dataset has no name");
    if (record.id.empty()) record.id = record.name;
  };
  auto const folder = place.substr(place.rfind('/') + 1);
  if (auto const failure = about_file(co_await attempt(read()), path_below(place, "evaluation_dataset.json"))) {
    fail(Kind::evaluation_dataset, folder, folder, *failure);
    co_return std::nullopt;
  }
  co_return record;
}

namespace {

// Of kinds that no tree holds.
class NoPages final : public Pages<ObjectRecord> {
 public:
  async::Task<std::optional<std::vector<ObjectRecord>>> next() override { co_return std::nullopt; }
};

}  // namespace

std::unique_ptr<Pages<RegisteredModelRecord>> TreeSource::registered_models(Known&) {
  return std::make_unique<ModelPages>(*this);
}

std::unique_ptr<Pages<ObjectRecord>> TreeSource::objects(Kind kind, Known& known) {
  if (kind != Kind::evaluation_dataset) return std::make_unique<NoPages>();
  return std::make_unique<DatasetPages>(*this, known);
}

}  // namespace mlferry::engine
