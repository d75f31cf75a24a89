#include <algorithm>
#include <cctype>
#include <charconv>

#include "support/fake_registry.hpp"

namespace mlferry::test::fake {
namespace {

[[noreturn]] void refuse(std::string_view why) {
  throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid model version source: " + std::string(why)};
}

bool in_folder(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

void check_proxied(State& state, std::string_view source, std::string& run_id, std::string_view model_id) {
  if (!state.strict_sources) return;
  if (!run_id.empty()) {
    const Run* run = state.read_run(run_id);
    if (run != nullptr && in_folder(source, run->artifact_uri())) return;
  }
  auto model = state.logged_models.find(std::string(model_id));
  if (model != state.logged_models.end() && !model->second.deleted &&
      in_folder(source, model->second.artifact_uri())) {
    if (run_id.empty()) run_id = model->second.source_run_id;
    return;
  }
  refuse("The run_id request parameter must identify the resource that contains the source");
}

void check_models(State& state, std::string_view rest, std::string& run_id, std::string_view model_id) {
  if (rest.starts_with("m-")) {
    if (rest != model_id) refuse("models:/<model id> needs the same model_id");
    auto found = state.logged_models.find(std::string(rest));
    if (found == state.logged_models.end() || found->second.deleted) {
      throw Failure{500, "INTERNAL_ERROR", "no such logged model"};
    }
    if (run_id.empty()) run_id = found->second.source_run_id;
    return;
  }
  auto const mark = rest.find_last_of("/@");
  auto found = state.registered_models.find(std::string(rest.substr(0, mark)));
  if (mark == rest.npos || found == state.registered_models.end()) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "the model that the source names does not exist"};
  }
  const RegisteredModel& model = found->second;
  std::int64_t number = 0;
  auto const tail = rest.substr(mark + 1);
  if (rest[mark] == '@') {
    auto alias = model.aliases.find(std::string(tail));
    if (alias != model.aliases.end()) number = alias->second;
  } else {
    std::from_chars(tail.data(), tail.data() + tail.size(), number);
  }
  if (number < 1 || number > static_cast<std::int64_t>(model.versions.size()) ||
      model.versions[static_cast<std::size_t>(number - 1)].deleted) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST", "the version that the source names does not exist"};
  }
  auto const& version = model.versions[static_cast<std::size_t>(number - 1)];
  if (!run_id.empty() && run_id != version.run_id) refuse("another run_id than the version's");
  run_id = version.run_id;
}

}  // namespace

void check_source(State& state, std::string_view source, std::string& run_id, std::string_view model_id) {
  for (std::string_view rest = source;;) {
    auto const slash = rest.find('/');
    if (rest.substr(0, slash) == "..") refuse("a '..' part");
    if (slash == rest.npos) break;
    rest.remove_prefix(slash + 1);
  }
  auto const colon = source.find(":/");
  if (colon == source.npos || colon == 0) refuse("a local path outside of the run's artifacts");
  std::string scheme(source.substr(0, colon));
  for (char& c : scheme) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  auto const rest = source.substr(colon + 2);

  if (scheme == "mlflow-artifacts") {
    if (rest.starts_with('/')) refuse("addresses a host");
    return check_proxied(state, source, run_id, model_id);
  }
  if (scheme == "models") return check_models(state, rest, run_id, model_id);
  if (scheme == "runs") {
    if (!model_id.empty() || run_id.empty() || !in_folder(rest, run_id))
      refuse("runs:/ needs the run's run_id");
    return;
  }
  for (std::string_view refused : {"http", "https", "ftp", "sftp", "hdfs", "file"}) {
    if (scheme == refused) refuse("addresses a host, or this machine");
  }
  if (!model_id.empty() && !state.logged_models.contains(std::string(model_id))) {
    throw Failure{404, "RESOURCE_DOES_NOT_EXIST",
                  "Logged model with ID '" + std::string(model_id) + "' not found."};
  }
}

}  // namespace mlferry::test::fake
