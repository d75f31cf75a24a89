#pragma once
// What the export commands in the form of the package mlflow-export-import share: options, the steps of a
// job, and how the values that they take are read.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands/commands.hpp"
#include "cli/endpoints.hpp"
#include "cli/package_options.hpp"
#include "cli/workspace_options.hpp"
#include "engine/endpoints/lookup.hpp"
#include "engine/endpoints/tree_layout.hpp"
#include "engine/selection.hpp"

namespace mlferry::cli {

// Everything that one of these commands may take; each adds only its own options. Texts are as they were
// given.
struct PackageExport {
  GlobalOptions global;
  ServerOptions source;
  WorkspaceOptions workspaces;
  std::string output_dir;
  std::string wanted;  // --run-id, --experiment, --models, …: what the command is about
  std::string run_ids, run_start_time, runs_until;
  bool export_deleted_runs = false, check_nested_runs = false;
  std::string stages, versions, version;
  bool export_latest_versions = false, export_version_model = false, export_all_runs = false;
  std::string model_artifact_path;
  bool skip_run_artifacts = false;
  std::string dataset_name, dataset_id, experiment_ids;
  bool export_permissions = false;
  std::string notebook_formats;
};

// What the looking up came to.
struct ExportPlan {
  engine::Selection selection;
  engine::TreeExport what;
  bool version_files = false;
  std::vector<engine::Missing> missing;  // reported as failed
};
using MakePlan = async::Task<ExportPlan> (*)(Runtime&, mlflow::Client&, const PackageExport&);

// Adds the command with the options that all have: the server, --output-dir, our common ones. `check` reads
// the options before anything is connected (UsageError); it may be null.
struct ExportCommand {
  CLI::App* app;
  std::shared_ptr<PackageExport> job;
};
ExportCommand add_export(CLI::App& app, Run& run, const char* name, const char* help, MakePlan plan,
                         void (*check)(const PackageExport&));

void add_wanted(ExportCommand& command, const char* name, const char* help);
void add_time_window(ExportCommand& command);
void add_deleted_runs(ExportCommand& command);
void add_permissions(ExportCommand& command);
void add_notebooks(ExportCommand& command);

// What only a Databricks server has. Throws UsageError for other values than the defaults.
void refuse_databricks(bool permissions, const std::string& notebook_formats);
// The window of run starts: from the first time on, before the second. Throws UsageError.
void read_time_window(const std::string& from, const std::string& until, engine::Selection& selection);
// "production,None" -> canonical words. Throws UsageError.
std::set<std::string> read_stages(const std::string& text);
// "1, 2" -> numbers. Throws UsageError.
std::set<std::int64_t> read_versions(const char* option, const std::string& text);
engine::Lifecycle lifecycle_of(bool deleted_runs);

// --experiments and --experiment-ids. `by_name`: names count, too. Adds what is not there to plan.missing;
// throws NotFound when nothing is. Leaves the selection's ids empty when all are meant.
async::Task<> choose_experiments(mlflow::Client& client, const char* option, std::string text, bool by_name,
                                 mlflow::View view, ExportPlan& plan);

// Text of the request in a tree's file: " --name value", nothing for an empty value; a long list as a hash.
std::string said(const char* name, const std::string& value);
std::string said(const char* name, const std::vector<std::string>& list);
// A value for the files: null when it is empty.
boost::json::value text_or_null(const std::string& text);

// The commands of each file.
void add_run_exports(CLI::App& app, Run& run);
void add_model_exports(CLI::App& app, Run& run);
void add_member_exports(CLI::App& app, Run& run);
void add_prompt_exports(CLI::App& app, Run& run);
void add_dataset_exports(CLI::App& app, Run& run);

}  // namespace mlferry::cli
