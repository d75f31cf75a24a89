#pragma once
// One import from an archive or a plain directory into a server: what import-all and the import commands of the package
// mlflow-export-import have in common.

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "cli/places.hpp"
#include "cli/selection_options.hpp"
#include "cli/workspace_options.hpp"
#include "engine/endpoints/mapped_source.hpp"
#include "engine/endpoints/tree_source.hpp"

namespace mlferry::cli {

// Scripts run the commands for single objects side by side.
inline constexpr std::chrono::seconds lock_wait = std::chrono::minutes(30);

struct ImportJob {
  GlobalOptions global;
  ServerOptions destination;
  PlaceOptions place;
  SelectionOptions selection;
  WorkspaceOptions workspaces;
  bool verify_after = false;

  engine::Mapping mapping;
  engine::ServerTargetOptions target;
  engine::TreeSourceOptions tree;
  bool archives = true;  // an archive will do

  // Options of the package that are looked at before the job begins.
  std::string experiment_rename_file, model_rename_file;
  bool permissions = false;
  std::string notebook_dir;
  bool delete_model = false, delete_prompt = false, delete_dataset = false;
  std::optional<std::int64_t> await_creation_for;
  bool verbose = false;
};

// Throws UsageError when an option is wrong.
ExitCode run_import(const ImportJob& job);

// --verify: reads both ends anew and adds what it finds to the job's report. `workspace`: the destination's document.
async::Task<> verify_after(Runtime& runtime, engine::Source& original, ServerEnd& end,
                           const boost::json::object& workspace);
// Names a job of several workspaces as a whole; each one's own lines say which it is.
void name_job(Runtime& runtime, const std::vector<WorkspaceLeg>& legs, const std::string& from, const std::string& to);
// The document that the destination has for the workspace of this leg; empty when it has none.
async::Task<boost::json::object> workspace_there(mlflow::Client& server, std::string name);
// A dry run cannot look into a workspace that is still to be made.
async::Task<bool> is_only_planned(Runtime& runtime, mlflow::Client& server, const WorkspaceLeg& leg);

// Throws UsageError that names the option and the line.
engine::RenameRules read_rename_file(const std::string& option, const std::string& file);

}  // namespace mlferry::cli
