#include "cli/workspace_options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>

#include "protocol/mlflow/json.hpp"

namespace mlferry::cli {

namespace {

std::vector<std::string> source_globs(const WorkspaceOptions& options, bool environment_names_source) {
  if (!options.globs.empty() || !environment_names_source) return options.globs;
  auto const name = workspace_from_environment(Side::source, process_environment());
  return name.empty() ? std::vector<std::string>() : std::vector<std::string>{name};
}

std::vector<WorkspaceLeg> make_legs(Runtime& runtime, std::vector<engine::Workspace> source,
                                    const std::vector<std::string>& globs, const std::string& destination,
                                    bool has_workspaces) {
  std::vector<engine::WorkspacePair> pairs;
  try {
    pairs = engine::plan_workspaces(source, globs, destination, has_workspaces);
  } catch (const engine::WorkspaceError& error) {
    throw UsageError(error.what());
  }
  if (source.size() > pairs.size())
    runtime.report().set_not_selected(engine::Kind::workspace, source.size() - pairs.size());
  std::vector<WorkspaceLeg> legs;
  for (auto const& pair : pairs) legs.push_back({std::move(source[pair.source]), pair.destination});
  return legs;
}

std::string text_of(const archive::SnapshotInfo& snapshot, std::string_view field) {
  return std::string(mlflow::get_string(snapshot.summary, field));
}

}  // namespace

void add_workspace_options(CLI::App& app, WorkspaceOptions& options, bool with_destination) {
  app.add_option("--workspaces", options.globs,
                 "Only these workspaces of the source: names or globs (default: MLFLOW_WORKSPACE, else all)")
      ->envname("MLFERRY_WORKSPACES")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group("Selection");
  if (!with_destination) return;
  app.add_option("--dst-workspace", options.destination,
                 "Workspace of the destination for the one that is chosen (default: of the same name)")
      ->envname("MLFERRY_DST_WORKSPACE")
      ->group("Selection");
}

async::Task<std::vector<WorkspaceLeg>> legs_from_server(Runtime& runtime, mlflow::Client& source,
                                                        const WorkspaceOptions& options) {
  auto workspaces = co_await engine::list_workspaces(source);
  co_return make_legs(runtime, std::move(workspaces), source_globs(options, true), "", true);
}

async::Task<std::vector<WorkspaceLeg>> legs_to_server(Runtime& runtime, std::vector<engine::Workspace> source,
                                                      mlflow::Client& destination, const WorkspaceOptions& options,
                                                      bool environment_names_source) {
  auto const capabilities = co_await destination.probe();
  auto name = options.destination;
  // Of a command with one server, MLFLOW_WORKSPACE is that server's.
  if (name.empty() && !environment_names_source)
    name = workspace_from_environment(Side::destination, process_environment());
  co_return make_legs(runtime, std::move(source), source_globs(options, environment_names_source), name,
                      capabilities.workspaces);
}

const std::string& SnapshotParts::snapshot_of(const std::string& workspace) const {
  for (std::size_t i = 0; i < workspaces.size(); ++i) {
    if (workspaces[i].name == workspace) return snapshots[i];
  }
  throw std::logic_error("no snapshot of workspace " + workspace);
}

async::Task<SnapshotParts> parts_of_snapshot(archive::Archive& archive, std::string snapshot,
                                             engine::Report& report) {
  SnapshotParts parts;
  auto const add = [&parts](const archive::SnapshotInfo& one) {
    parts.snapshots.push_back(one.id);
    auto& workspace = parts.workspaces.emplace_back();
    workspace.name = text_of(one, "workspace");
  };
  if (snapshot != "latest") {
    auto const reader = co_await archive.open_snapshot(snapshot);
    add(reader->info());
    co_return parts;
  }
  auto const all = co_await archive.snapshots();
  std::set<std::string> torn;
  for (auto newest = all.rbegin(); newest != all.rend(); ++newest) {
    auto const job = text_of(*newest, "job");
    if (torn.contains(job)) continue;
    if (job.empty()) {
      add(*newest);
      co_return parts;
    }
    auto const* names = mlflow::get_array(newest->summary, "workspaces");
    for (auto const& one : all) {
      if (text_of(one, "job") == job) add(one);
    }
    if (names == nullptr || parts.snapshots.size() >= names->size()) co_return parts;
    // A job that ended before all its workspaces were in: an older, whole one counts, if there is one.
    auto const text = "snapshot " + newest->id + " and its like are of an export that ended after " +
                      std::to_string(parts.snapshots.size()) + " of " + std::to_string(names->size()) + " workspaces";
    if (std::find(report.notes.begin(), report.notes.end(), text) == report.notes.end()) report.notes.push_back(text);
    torn.insert(job);
    parts = {};
  }
  // Says that there is no archive, or that it is empty.
  if (all.empty()) co_await archive.open_snapshot("latest");
  throw archive::NotFound("no export of this archive came to its end; --snapshot ID takes one workspace of one");
}

}  // namespace mlferry::cli
