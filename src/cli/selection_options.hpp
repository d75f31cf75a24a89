#pragma once
// The options that choose a part of the source; the same for all commands that move or compare.

#include <optional>
#include <string>
#include <vector>

#include "engine/endpoints/tree_layout.hpp"
#include "engine/selection.hpp"

namespace CLI {
class App;
}

namespace mlferry::cli {

// As they were given.
struct SelectionOptions {
  std::vector<std::string> kinds, experiments, models, prompts, include, exclude;
  std::string since, until;
  std::string lifecycle = "all";
};

void add_selection_options(CLI::App& app, SelectionOptions& options);

// Throws UsageError that names the option and what is wrong with it.
engine::Selection selection_of(const SelectionOptions& options);

// The options that the package mlflow-export-import has on export-all, as they were given. Without them
// everything is taken, deleted runs too.
struct PackageSelectionOptions {
  std::string stages, run_start_time, runs_until, notebook_formats;
  bool export_latest_versions = false, export_version_model = false, export_permissions = false;
  std::optional<bool> export_deleted_runs;
};

void add_package_selection_options(CLI::App& app, PackageSelectionOptions& options);
// Narrows the selection; throws UsageError, also where two options contradict each other.
void apply(const PackageSelectionOptions& options, const SelectionOptions& others,
           engine::Selection& selection);
// What a tree's files say of them.
engine::TreeExport tree_export_of(const PackageSelectionOptions& options);

}  // namespace mlferry::cli
