#include "engine/tools/model_uri.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "engine/id_text.hpp"
#include "protocol/http/client.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

constexpr std::string_view models_scheme = "models:/";
constexpr std::string_view runs_scheme = "runs:/";
constexpr std::string_view file_scheme = "file:";

[[noreturn]] void refuse(std::string_view text) {
  throw BadModelUri(
      "'" + std::string(text.substr(0, 300)) +
      "' is no model URI: models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS, models:/m-ID, "
      "runs:/RUN_ID/PATH or a folder");
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos;
}

ModelUri parse_models(std::string_view whole, std::string_view rest) {
  while (rest.ends_with('/')) rest.remove_suffix(1);
  auto const slash = rest.find('/');
  if (slash == rest.npos) {
    auto const ids = find_ids(rest);
    if (ids.logged_models.size() == 1 && ids.logged_models[0] == rest)
      return {ModelUri::Form::logged_model, std::string(rest), ""};
    auto const at = rest.rfind('@');
    if (at == rest.npos || at == 0 || at + 1 == rest.size()) refuse(whole);
    return {ModelUri::Form::alias, std::string(rest.substr(0, at)), std::string(rest.substr(at + 1))};
  }
  std::string name(rest.substr(0, slash));
  auto const part = rest.substr(slash + 1);
  if (name.empty()) refuse(whole);
  if (is_number(part)) return {ModelUri::Form::version, std::move(name), std::string(part)};
  auto const word = lower(part);
  if (word == "latest") return {ModelUri::Form::latest, std::move(name), ""};
  for (std::string const stage : {"None", "Staging", "Production", "Archived"}) {
    if (word == lower(stage)) return {ModelUri::Form::stage, std::move(name), stage};
  }
  throw BadModelUri(
      "'" + std::string(whole.substr(0, 300)) + "': '" + std::string(part.substr(0, 100)) +
      "' is neither a version number nor a stage (None, Staging, Production, Archived) nor 'latest'");
}

ModelUri parse_runs(std::string_view whole, std::string_view rest) {
  while (rest.ends_with('/')) rest.remove_suffix(1);
  auto const slash = rest.find('/');
  ModelUri uri{ModelUri::Form::run, std::string(rest.substr(0, slash)), ""};
  if (slash != rest.npos) uri.part = rest.substr(slash + 1);
  if (uri.name.empty() || (!uri.part.empty() && !tree::is_plain_path(uri.part))) refuse(whole);
  return uri;
}

// "/a", "///a" and "//localhost/a" behind "file:".
ModelUri parse_file(std::string_view whole, std::string_view rest) {
  for (std::string_view const host : {"//localhost/", "///"}) {
    if (rest.starts_with(host)) {
      rest.remove_prefix(host.size() - 1);
      break;
    }
  }
  if (!rest.starts_with('/') || rest.starts_with("//")) refuse(whole);
  return {ModelUri::Form::folder, "", http::percent_decode(rest)};
}

}  // namespace

ModelUri parse_model_uri(std::string_view text) {
  auto const rest = [&text](std::string_view scheme) { return text.substr(scheme.size()); };
  if (text.starts_with(models_scheme)) return parse_models(text, rest(models_scheme));
  if (text.starts_with(runs_scheme)) return parse_runs(text, rest(runs_scheme));
  if (text.starts_with(file_scheme)) return parse_file(text, rest(file_scheme));
  // "s3://…" and the like; a path may hold a colon behind a slash.
  auto const colon = text.find(':');
  bool const has_scheme = colon != text.npos && colon < text.find('/');
  if (text.empty() || has_scheme || text.find('\0') != text.npos) refuse(text);
  return {ModelUri::Form::folder, "", std::string(text)};
}

}  // namespace mlferry::engine
