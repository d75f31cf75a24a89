#include "cli/commands/package_import_options.hpp"

#include <CLI/CLI.hpp>

#include "cli/package_options.hpp"

namespace mlferry::cli {

void add_source_tags_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--import-source-tags", job.mapping.source_tags,
                 "Keep what the copies cannot be given (ids, times, mlflow.* tags) as tags mlflow_exim.*");
}

void add_source_user_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--use-src-user-id", job.mapping.source_user,
                 "Set the tag mlflow.user of each run to the run's user; else it is what it is in the source");
}

void add_permissions_option(CLI::App& app, bool& value, const std::string& name) {
  add_bool_value(app, name, value, "Databricks permissions; only false, since no Databricks server is spoken to yet");
}

void add_notebook_option(CLI::App& app, ImportJob& job) {
  app.add_option("--dst-notebook-dir", job.notebook_dir,
                 "Databricks folder for notebooks; only \"\", since no Databricks server is spoken to yet");
}

void add_mlmodel_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--mlmodel-fix", job.target.fix_mlmodels,
                 "Let the ids in MLmodel files be those of the copies; false leaves the files as they are");
}

void add_delete_model_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--delete-model", job.delete_model,
                 "First delete a model of the same name with all its versions, once its own can be imported");
}

void add_delete_prompt_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--delete-prompt", job.delete_prompt,
                 "First delete a prompt of the same name with all its versions, once its own can be imported");
}

void add_delete_dataset_option(CLI::App& app, ImportJob& job) {
  add_bool_value(app, "--delete-evaluation-dataset", job.delete_dataset,
                 "First delete an evaluation dataset of the same name");
}

void add_verbose_option(CLI::App& app, bool& value) {
  add_bool_value(app, "--verbose", value, "Print the versions of the models as the destination has them afterwards");
}

void add_rename_options(CLI::App& app, ImportJob& job, bool models) {
  app.add_option("--experiment-rename-file", job.experiment_rename_file,
                 "File of lines OLD,NEW: in names that begin with OLD, each OLD becomes NEW");
  if (models) app.add_option("--model-rename-file", job.model_rename_file, "The same for registered models");
}

void add_import_all_options(CLI::App& app, ImportJob& job) {
  add_delete_model_option(app, job);
  add_delete_prompt_option(app, job);
  add_delete_dataset_option(app, job);
  add_permissions_option(app, job.permissions, "--import-permissions");
  add_rename_options(app, job, true);
  add_source_tags_option(app, job);
  add_source_user_option(app, job);
  add_use_threads(app, job.global, ThreadsForm::value);
  add_verbose_option(app, job.verbose);
}

}  // namespace mlferry::cli
