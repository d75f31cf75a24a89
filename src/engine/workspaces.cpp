#include "engine/workspaces.hpp"

#include <algorithm>
#include <array>

#include "engine/endpoints/artifact_lister.hpp"
#include "engine/local_artifacts.hpp"
#include "engine/objects/object_kind.hpp"
#include "engine/selection.hpp"

namespace mlferry::engine {

namespace {

constexpr const char* path = "/api/3.0/mlflow/workspaces";
constexpr std::string_view separator = "#workspace=";
constexpr std::array<std::string_view, 3> plain_fields{"description", "default_artifact_root", "trace_archival_config"};

std::string names_of(const std::vector<Workspace>& workspaces) {
  std::string names;
  for (auto const& one : workspaces) names += (names.empty() ? "" : ", ") + one.name;
  return names;
}

bool is_set(const json::object& doc, std::string_view field) {
  auto const* value = doc.if_contains(field);
  if (value == nullptr || value->is_null()) return false;
  if (auto const* text = value->if_string()) return !text->empty();
  if (auto const* object = value->if_object()) {
    return std::any_of(object->begin(), object->end(), [object](auto const& item) { return is_set(*object, item.key()); });
  }
  return true;
}

bool equal(const json::object& a, const json::object& b, std::string_view field) {
  if (is_set(a, field) != is_set(b, field)) return false;
  return !is_set(a, field) || a.at(field) == b.at(field);
}

}  // namespace

async::Task<std::vector<Workspace>> list_workspaces(mlflow::Client& client) {
  std::vector<Workspace> workspaces;
  auto const capabilities = co_await client.probe();
  if (capabilities.workspaces) {
    auto docs = co_await list_all(client, http::Method::get, path, {}, "workspaces");
    for (auto& doc : docs ? *docs : std::vector<json::object>{}) {
      std::string const name(mlflow::get_string(doc, "name"));
      if (!name.empty()) workspaces.push_back({name, std::move(doc)});
    }
  }
  if (workspaces.empty()) workspaces.emplace_back();
  co_return workspaces;
}

std::vector<WorkspacePair> plan_workspaces(const std::vector<Workspace>& source, const std::vector<std::string>& globs,
                                           const std::string& destination, bool has_workspaces) {
  bool const nameless = source.size() == 1 && source.front().name.empty();
  std::vector<WorkspacePair> pairs;
  for (std::size_t i = 0; i < source.size(); ++i) {
    auto const& name = nameless ? default_workspace : source[i].name;
    bool const wanted = globs.empty() || std::any_of(globs.begin(), globs.end(), [&name](const std::string& glob) {
                          return glob_matches(glob, name);
                        });
    if (wanted) pairs.push_back({i, nameless ? "" : source[i].name});
  }
  if (pairs.empty()) {
    throw WorkspaceError(nameless ? "--workspaces: the source has no workspaces"
                                  : "--workspaces matches none of the source's workspaces: " + names_of(source));
  }
  if (!destination.empty()) {
    if (!has_workspaces)
      throw WorkspaceError("the destination has no workspace '" + destination + "': it runs without --enable-workspaces");
    if (pairs.size() > 1)
      throw WorkspaceError("one destination workspace (" + destination + ") cannot take the source's " +
                           std::to_string(pairs.size()) + " workspaces: choose one of them with --workspaces");
    pairs.front().destination = destination;
  } else if (!has_workspaces) {
    if (pairs.size() > 1)
      throw WorkspaceError("the destination runs without workspaces (--enable-workspaces) and cannot take the source's " +
                           std::to_string(pairs.size()) + " (" + names_of(source) +
                           "): choose one of them with --workspaces");
    pairs.front().destination.clear();
  }
  return pairs;
}

std::string identity_in(const std::string& server, const std::string& workspace) {
  if (workspace.empty() || workspace == default_workspace) return server;
  return server + std::string(separator) + workspace;
}

std::string server_of(const std::string& identity) {
  return identity.substr(0, identity.find(separator));
}

WorkspaceChange plan_workspace(const json::object& wanted, const std::optional<json::object>& existing, bool ours,
                               bool local_artifacts) {
  WorkspaceChange change;
  std::string const name(mlflow::get_string(wanted, "name"));
  std::string const root(mlflow::get_string(wanted, "default_artifact_root"));
  bool const reachable = root.empty() || proxied_path(root) || (local_artifacts && local_folder(root));
  // An empty description is another one than none.
  if (!existing && wanted.if_contains("description") && wanted.at("description").is_string())
    change.body["description"] = wanted.at("description");
  for (auto const field : plain_fields) {
    if (existing ? equal(wanted, *existing, field) : !is_set(wanted, field)) continue;
    if (field == "default_artifact_root" && !reachable) {
      change.losses.push_back("its default_artifact_root " + root + " is not set: artifacts could not be written there");
      change.follow_up = "If the destination's workspace '" + name + "' is to keep new artifacts in " + root +
                         ": PATCH " + path + "/" + name + " with {\"default_artifact_root\": \"" + root + "\"}";
    } else if (existing && !ours) {
      change.losses.push_back("the destination's own workspace keeps its " + std::string(field));
    } else if (is_set(wanted, field)) {
      change.body[field] = wanted.at(field);
    } else {
      change.body[field] = "";  // clears it
    }
  }
  if (change.body.contains("trace_archival_config")) {
    // The answer may hold fields that a request must not.
    auto const* config = mlflow::get_object(wanted, "trace_archival_config");
    json::object sent;
    for (auto const* key : {"location", "retention"}) {
      if (config != nullptr && is_set(*config, key)) sent[key] = config->at(key);
    }
    change.body["trace_archival_config"] = std::move(sent);
  }
  if (!existing) {
    change.body["name"] = name;
  } else if (!change.body.empty()) {
    change.body["workspace_name"] = name;
  }
  return change;
}

async::Task<std::optional<json::object>> get_workspace(mlflow::Client& client, std::string name) {
  auto const workspaces = co_await list_workspaces(client);
  for (auto const& one : workspaces) {
    if (one.name == name) co_return one.doc;
  }
  co_return std::nullopt;
}

async::Task<> create_workspace(mlflow::Client& client, json::object body) {
  std::string const name(mlflow::get_string(body, "name"));
  bool unclear = false;
  try {
    co_await client.change(http::Method::post, path, std::move(body), http::Repeat::unclear);
  } catch (const http::TransportError& error) {
    if (!error.outcome_unknown()) throw;
    unclear = true;
  }
  if (unclear && !co_await get_workspace(client, name))
    throw std::runtime_error("it is not known whether the server created it: run the command again");
}

async::Task<> update_workspace(mlflow::Client& client, std::string name, json::object body) {
  co_await client.change(http::Method::patch, std::string(path) + "/" + http::percent_encode(name), std::move(body),
                         http::Repeat::safe);
}

}  // namespace mlferry::engine
