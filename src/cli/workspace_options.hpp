#pragma once
// Which workspaces of the source a command moves, and into which of the destination.

#include <functional>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "cli/endpoints.hpp"
#include "engine/workspaces.hpp"

namespace mlferry::cli {

struct WorkspaceOptions {
  std::vector<std::string> globs;  // --workspaces
  std::string destination;         // --dst-workspace
};

// `with_destination`: the command writes to, or compares with, a server.
void add_workspace_options(CLI::App& app, WorkspaceOptions& options, bool with_destination);

// One leg of a job.
struct WorkspaceLeg {
  engine::Workspace source;
  std::string destination;  // "": none, or the server's default
};

// The legs from one server into a place that takes any workspace. What is left out is told in the report.
async::Task<std::vector<WorkspaceLeg>> legs_from_server(Runtime& runtime, mlflow::Client& source,
                                                        const WorkspaceOptions& options);
// The legs from what a source holds into a server.
async::Task<std::vector<WorkspaceLeg>> legs_to_server(Runtime& runtime, std::vector<engine::Workspace> source,
                                                      mlflow::Client& destination, const WorkspaceOptions& options,
                                                      bool environment_names_source);

// The snapshots of an archive that make up `snapshot`: of a job that moved several workspaces all of them. In the same
// order as the workspaces, whose documents are left empty but for the name.
struct SnapshotParts {
  std::vector<std::string> snapshots;
  std::vector<engine::Workspace> workspaces;
  const std::string& snapshot_of(const std::string& workspace) const;
};
async::Task<SnapshotParts> parts_of_snapshot(archive::Archive& archive, std::string snapshot, engine::Report& report);

}  // namespace mlferry::cli
