#pragma once
// Options that several import commands of the package mlflow-export-import share.

#include "cli/import_job.hpp"

namespace CLI {
class App;
}

namespace mlferry::cli {

// Those that import-all has of the package's import-all.
void add_import_all_options(CLI::App& app, ImportJob& job);
void add_source_tags_option(CLI::App& app, ImportJob& job);
void add_source_user_option(CLI::App& app, ImportJob& job);
void add_permissions_option(CLI::App& app, bool& value, const std::string& name);
void add_notebook_option(CLI::App& app, ImportJob& job);
void add_mlmodel_option(CLI::App& app, ImportJob& job);
void add_delete_model_option(CLI::App& app, ImportJob& job);
void add_delete_prompt_option(CLI::App& app, ImportJob& job);
void add_delete_dataset_option(CLI::App& app, ImportJob& job);
void add_verbose_option(CLI::App& app, bool& value);
void add_rename_options(CLI::App& app, ImportJob& job, bool models);

}  // namespace mlferry::cli
