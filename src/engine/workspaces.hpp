#pragma once
// Workspaces of a server (mlflow-rest 2.9): names that each hold experiments, models and all else apart from the
// others. A job moves one after the other; here is which, and how one is made in the destination.

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "engine/context.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

namespace json = boost::json;

inline constexpr const char* default_workspace = "default";

struct Workspace {
  std::string name;  // "": the server has none, or the only one that it gives
  json::object doc;  // {name, description, default_artifact_root, trace_archival_config}
};

// All of a server, in its order; one without a name when it runs without workspaces.
async::Task<std::vector<Workspace>> list_workspaces(mlflow::Client& client);

class WorkspaceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct WorkspacePair {
  std::size_t source;       // index
  std::string destination;  // "": the destination's own default, or it has none
};
// Which of the source's workspaces go where: those that one of the globs matches (all without globs), each into its
// namesake; one alone also into `destination`. `has_workspaces`: the destination's server. Throws WorkspaceError that
// says which option helps.
std::vector<WorkspacePair> plan_workspaces(const std::vector<Workspace>& source, const std::vector<std::string>& globs,
                                           const std::string& destination, bool has_workspaces);

// How the objects of a workspace are marked: those of the default one like those of a server without workspaces, so
// that turning the feature on changes nothing.
std::string identity_in(const std::string& server, const std::string& workspace);
// The server's part of that.
std::string server_of(const std::string& identity);

// What a job has to do in a destination that has `existing` (nullopt: not) for a workspace like `wanted`.
struct WorkspaceChange {
  json::object body;                // of the request that makes or changes it; empty: nothing to do
  std::vector<std::string> losses;  // what stays different
  std::string follow_up;            // what an administrator has to do; "" for nothing
};
// `ours`: an earlier job made it. `local_artifacts`: folders that the server names are this machine's. Roots of
// artifacts that this program could not write to are left out: uploads go through the server then.
WorkspaceChange plan_workspace(const json::object& wanted, const std::optional<json::object>& existing, bool ours,
                               bool local_artifacts);

// Of the server itself: a client without a workspace. nullopt: there is none of that name.
async::Task<std::optional<json::object>> get_workspace(mlflow::Client& client, std::string name);
async::Task<> create_workspace(mlflow::Client& client, json::object body);
async::Task<> update_workspace(mlflow::Client& client, std::string name, json::object body);

}  // namespace mlferry::engine
