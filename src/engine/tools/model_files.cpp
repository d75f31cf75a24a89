#include "engine/endpoints/lookup.hpp"
#include "engine/tools/model_files.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "engine/failure.hpp"
#include "engine/id_text.hpp"
#include "engine/local_artifacts.hpp"
#include "engine/tools/mlmodel.hpp"
#include "protocol/mlflow/artifact_path.hpp"
#include "protocol/mlflow/body.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view mlmodel_name = "MLmodel";
constexpr int most_versions_in_a_row = 5;  // of versions whose source is another version
constexpr int logged_models_a_page = 200;

std::string join(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

// "a/b" of "ROOT/a/b", "" of ROOT; nothing when it is not below.
std::optional<std::string> below(std::string_view uri, std::string_view root) {
  while (root.ends_with('/')) root.remove_suffix(1);
  while (uri.ends_with('/')) uri.remove_suffix(1);
  if (root.empty() || !uri.starts_with(root)) return std::nullopt;
  auto const rest = uri.substr(root.size());
  if (rest.empty()) return "";
  if (!rest.starts_with('/')) return std::nullopt;
  return std::string(rest.substr(1));
}

bool is_missing_file(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const mlflow::ApiError& error) {
    return error.not_found();
  } catch (const std::filesystem::filesystem_error& error) {
    return error.code() == std::errc::no_such_file_or_directory;
  } catch (...) {
    return false;
  }
}

async::Task<std::unique_ptr<async::ByteReader>> open_text(std::shared_ptr<const std::string> text) {
  co_return std::make_unique<async::MemoryReader>(*text);
}

}  // namespace

std::string describe(const ModelPlace& place) {
  auto const in = place.path.empty() ? "" : " at '" + place.path + "'";
  switch (place.kind) {
    case ModelPlace::Kind::run:
      return "run " + place.id + in;
    case ModelPlace::Kind::logged_model:
      return "logged model " + place.id + in;
    case ModelPlace::Kind::proxied:
      return "the server's artifacts" + in;
    case ModelPlace::Kind::folder:
      break;
  }
  return "folder " + place.path;
}

async::Task<mlflow::ModelVersion> ModelFiles::resolve_version(const ModelUri& uri) {
  std::int64_t number = 0;
  if (uri.form == ModelUri::Form::version) {
    number = std::stoll(uri.part);
  } else if (uri.form == ModelUri::Form::alias) {
    auto const target =
        "/api/2.0/mlflow/registered-models/alias" +
        mlflow::Query("GET registered-models/alias").text("name", uri.name).text("alias", uri.part).take();
    try {
      auto const answer = co_await client_.call(http::Method::get, target, "", http::RequestClass::read);
      auto const* version = answer ? mlflow::get_object(*answer, "model_version") : nullptr;
      if (version != nullptr) co_return mlflow::ModelVersion{*version};
    } catch (const mlflow::ApiError& error) {
      // A missing alias is a wrong parameter for the server.
      if (!error.not_found() && error.status() != 400) throw;
    }
    throw NotFound("registered model '" + uri.name + "' has no alias '" + uri.part + "'");
  } else {
    auto const model = co_await client_.get_registered_model(uri.name);
    if (!model) throw NotFound("there is no registered model '" + uri.name + "'");
    auto const* latest = mlflow::get_array(model->doc, "latest_versions");  // one of each stage
    for (auto const& item : latest == nullptr ? json::array() : *latest) {
      if (!item.is_object()) continue;
      mlflow::ModelVersion const version{item.get_object()};
      if (uri.form == ModelUri::Form::latest || version.stage() == uri.part)
        number = std::max(number, version.number());
    }
    if (number == 0 && uri.form == ModelUri::Form::latest)
      throw NotFound("registered model '" + uri.name + "' has no versions");
    if (number == 0)
      throw NotFound("registered model '" + uri.name + "' has no version in stage " + uri.part);
  }
  auto version = co_await client_.get_model_version(uri.name, number);
  if (!version)
    throw NotFound("there is no version " + std::to_string(number) + " of registered model '" + uri.name +
                      "'");
  co_return std::move(*version);
}

async::Task<ModelPlace> ModelFiles::find(ModelUri uri) {
  switch (uri.form) {
    case ModelUri::Form::folder:
      co_return ModelPlace{ModelPlace::Kind::folder, "", "",
                           std::filesystem::absolute(uri.part).lexically_normal().string()};
    case ModelUri::Form::run:
      co_return co_await find_in_run(uri.name, uri.part);
    case ModelUri::Form::logged_model: {
      auto const model = co_await client_.get_logged_model(uri.name);
      if (!model) throw NotFound("there is no logged model " + uri.name);
      co_return ModelPlace{ModelPlace::Kind::logged_model, uri.name, std::string(model->artifact_uri()), ""};
    }
    default: {
      auto version = co_await resolve_version(uri);
      co_return co_await find_version(std::move(version));
    }
  }
}

async::Task<ModelPlace> ModelFiles::find_version(mlflow::ModelVersion version) {
  co_return co_await find_source(std::string(version.source()), std::string(version.run_id()), 0);
}

async::Task<ModelPlace> ModelFiles::find_source(std::string source, std::string run_id, int level) {
  if (source.starts_with("runs:/") || source.starts_with("models:/")) {
    std::optional<ModelUri> uri;
    // "models:/m-ID/PATH" is no URI that a user gives.
    auto const ids = find_ids(source);
    std::string path;
    auto text = source;
    if (source.starts_with("models:/m-") && ids.logged_models.size() == 1) {
      text = "models:/" + ids.logged_models[0];
      path = below(source, text).value_or("");
    }
    uri = parse_model_uri(text);
    bool const is_version = uri->form != ModelUri::Form::run && uri->form != ModelUri::Form::logged_model;
    if (!is_version) {
      auto place = co_await find(*uri);
      place.path = path.empty() ? place.path : join(place.path, path);
      co_return place;
    }
    if (level == most_versions_in_a_row)
      throw std::runtime_error("its source leads from version to version without end: " + source);
    auto const version = co_await resolve_version(*uri);
    co_return co_await find_source(std::string(version.source()), std::string(version.run_id()), level + 1);
  }
  if (!run_id.empty()) {
    auto const run = co_await client_.get_run(run_id);
    auto const path = run ? below(source, run->artifact_uri()) : std::nullopt;
    if (path) co_return ModelPlace{ModelPlace::Kind::run, run_id, std::string(run->artifact_uri()), *path};
  }
  for (auto const& id : find_ids(source).logged_models) {
    auto const model = co_await client_.get_logged_model(id);
    auto const path = model ? below(source, model->artifact_uri()) : std::nullopt;
    if (path)
      co_return ModelPlace{ModelPlace::Kind::logged_model, id, std::string(model->artifact_uri()), *path};
  }
  if (auto const path = proxied_path(source))
    co_return ModelPlace{ModelPlace::Kind::proxied, "", source, *path};
  auto const folder = local_artifacts_ ? local_folder(source) : std::nullopt;
  if (folder) co_return ModelPlace{ModelPlace::Kind::folder, "", "", *folder};
  throw std::runtime_error("the version's files are at " + source +
                           ", which neither the server's proxy nor a run nor a logged model gives");
}

// As MLflow: of the logged models of that name the newest that the run made.
async::Task<std::optional<ModelPlace>> ModelFiles::named_logged_model(std::string run_id,
                                                                      std::string experiment_id,
                                                                      std::string path) {
  auto const name = path.substr(0, path.find('/'));
  auto const literal = mlflow::filter_literal(name);
  if (name.empty() || !literal || literal->starts_with('"')) co_return std::nullopt;
  std::string token;
  do {
    auto page = co_await client_.search_logged_models({experiment_id}, "name = " + *literal,
                                                      logged_models_a_page, token);
    for (auto const& model : page.items) {
      if (model.source_run_id() != run_id) continue;
      co_return ModelPlace{ModelPlace::Kind::logged_model, std::string(model.id()),
                           std::string(model.artifact_uri()),
                           path == name ? "" : path.substr(name.size() + 1)};
    }
    token = page.items.empty() ? std::string() : page.next_token;
  } while (!token.empty());
  co_return std::nullopt;
}

async::Task<ModelPlace> ModelFiles::find_in_run(std::string run_id, std::string path) {
  auto const run = co_await client_.get_run(run_id);
  if (!run) throw NotFound("there is no run " + run_id);
  ModelPlace place{ModelPlace::Kind::run, run_id, std::string(run->artifact_uri()), path};
  auto const names = co_await list(place, "");
  auto const wanted = join(path, mlmodel_name);
  if (std::any_of(names.begin(), names.end(),
                  [&wanted](const mlflow::FileInfo& file) { return file.path == wanted; }))
    co_return place;
  try {
    auto model = co_await named_logged_model(run_id, std::string(run->experiment_id()), path);
    if (model) co_return *model;
  } catch (const mlflow::ApiError& error) {
    if (!error.no_such_call()) throw;  // logged models came with MLflow 3
  }
  throw NotFound("run " + run_id + " has no MLmodel file in '" + path +
                    "', and made no logged model of that name");
}

async::Task<> ModelFiles::require_servable(std::string path, std::string reason) {
  if (reason.empty()) co_return;
  auto const capabilities = co_await client_.probe();
  if (capabilities.decodes_paths_twice)
    throw std::runtime_error("the server does not give files at '" + path + "': " + reason);
}

async::Task<std::string> ModelFiles::read_mlmodel(const ModelPlace& place) {
  std::exception_ptr failure;
  try {
    auto const file = join(place.path, mlmodel_name);
    std::unique_ptr<async::ByteReader> reader;
    if (place.kind == ModelPlace::Kind::folder) {
      reader = co_await open_local_file(context_.pool, place.path, std::string(mlmodel_name));
    } else {
      bool const by_path = place.kind == ModelPlace::Kind::proxied;
      co_await require_servable(file,
                                by_path ? mlflow::unservable_reason(file) : mlflow::unlistable_reason(file));
      auto download = place.kind == ModelPlace::Kind::run ? co_await client_.open_run_artifact(place.id, file)
                      : place.kind == ModelPlace::Kind::logged_model
                          ? co_await client_.open_logged_model_artifact(place.id, file)
                          : co_await client_.open_proxied(file);
      reader = std::move(download.body);
    }
    co_return co_await async::read_all(*reader, most_mlmodel_bytes, "MLmodel");
  } catch (...) {
    failure = std::current_exception();
  }
  if (is_missing_file(failure)) throw NotFound(describe(place) + " has no MLmodel file");
  std::rethrow_exception(failure);
}

async::Task<> ModelFiles::write_mlmodel(const ModelPlace& place, std::string text) {
  async::MemoryReader reader(text);
  if (place.kind == ModelPlace::Kind::folder) {
    co_await write_local_file(context_.pool, place.path, std::string(mlmodel_name), reader);
    co_return;
  }
  auto const file = join(place.path, mlmodel_name);
  if (auto const folder = local_artifacts_ ? local_folder(place.artifact_uri) : std::nullopt) {
    co_await write_local_file(context_.pool, *folder, file, reader);
    co_return;
  }
  auto const root = proxied_path(place.artifact_uri);
  if (!root) {
    throw std::runtime_error(
        "the server keeps the artifacts of " + describe(place) + " at " + place.artifact_uri +
        ", which mlferry cannot write to: it needs a server that proxies artifacts (mlflow-artifacts:)");
  }
  co_await require_servable(file, mlflow::unservable_reason(join(*root, file)));
  auto const size = text.size();
  auto const shared = std::make_shared<const std::string>(std::move(text));
  co_await client_.put_proxied(join(*root, file), [shared] { return open_text(shared); }, size);
}

async::Task<std::vector<mlflow::FileInfo>> ModelFiles::list(const ModelPlace& place, std::string folder) {
  auto const where = folder.empty() ? place.path : join(place.path, folder);
  switch (place.kind) {
    case ModelPlace::Kind::run:
      co_return co_await client_.list_artifacts(place.id, where);
    case ModelPlace::Kind::logged_model:
      co_return co_await client_.list_logged_model_artifacts(place.id, where);
    case ModelPlace::Kind::proxied:
      co_return co_await client_.list_proxied(where);
    case ModelPlace::Kind::folder:
      break;
  }
  co_return co_await context_.pool.run([&] {
    std::vector<mlflow::FileInfo> files;
    std::error_code error;
    for (auto const& entry : std::filesystem::directory_iterator(join(place.path, folder), error))
      files.push_back({join(place.path, join(folder, entry.path().filename().string())),
                       entry.is_directory(error), std::nullopt});
    return files;
  });
}

async::Task<std::vector<std::string>> ModelFiles::missing_files(const ModelPlace& place,
                                                                std::string mlmodel) {
  std::vector<std::string> missing;
  std::map<std::string, std::vector<mlflow::FileInfo>> folders;
  for (auto const& name : files_named_in(mlmodel)) {
    auto const slash = name.rfind('/');
    auto const folder = slash == name.npos ? std::string() : name.substr(0, slash);
    if (!folders.contains(folder)) {
      // An empty answer where the folder is not there, or a refusal.
      auto read = [&]() -> async::Task<> { folders[folder] = co_await list(place, folder); };
      co_await attempt(read());
    }
    auto const wanted = join(place.path, name);
    auto const& files = folders[folder];
    if (std::none_of(files.begin(), files.end(),
                     [&](const mlflow::FileInfo& file) { return file.path == wanted; }))
      missing.push_back(name);
  }
  co_return missing;
}

}  // namespace mlferry::engine
