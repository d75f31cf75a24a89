// import-run and its like of the package mlflow-export-import (docs/package-imports.md).

#include <CLI/CLI.hpp>

#include <memory>

#include "cli/commands/commands.hpp"
#include "cli/commands/package_copies.hpp"
#include "cli/commands/package_import_options.hpp"
#include "cli/package_options.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

const std::set<Kind> members{Kind::experiment, Kind::run, Kind::logged_model, Kind::trace};
const std::set<Kind> models_and_runs{Kind::experiment, Kind::run, Kind::logged_model, Kind::registered_model};

// A command with what all of these have. `kinds`: what it imports; `accepts`: directories that it reads.
struct Command {
  Command(CLI::App& app, Run& run, const char* name, const char* help, std::set<Kind> kinds, std::set<TreeForm> accepts)
      : job(std::make_shared<ImportJob>()), sub(*app.add_subcommand(name, help)) {
    job->mapping.kinds = std::move(kinds);
    job->tree.accepts = std::move(accepts);
    job->archives = false;
    job->target.lock_wait = lock_wait;
    job->target.versions_need_files = true;
    sub.add_option("--input-dir", job->place.folder, "What the export command of the same name wrote")->required();
    sub.callback([job = job, &run] { run = [job] { return run_import(*job); }; });
  }
  // After the command's own, so that --help shows those first.
  void end() {
    sub.add_option("--dst-workspace", job->workspaces.destination, "Workspace of the destination")
        ->envname("MLFERRY_DST_WORKSPACE");
    add_server_options(sub, job->destination, Side::destination, true);
    add_global_options(sub, job->global);
  }
  void end(ThreadsForm threads) {
    end();
    add_use_threads(sub, job->global, threads);
  }
  // What it imports goes into one experiment, which is no copy of another.
  void into_experiment() {
    sub.add_option("--experiment-name", job->mapping.into_experiment,
                   "Experiment of the destination; made when it is not there, else added to")
        ->required()
        ->check(no_empty_text);
    job->mapping.experiment_metadata = false;
    job->target.keep_experiments = true;
    job->target.links_stay_open = true;
    job->target.new_trace_ids = true;
  }
  void several(bool archive) {
    job->archives = archive;
    job->target.links_stay_open = true;
    job->target.new_trace_ids = true;
    if (archive) {
      add_snapshot_option(sub, job->place.archive);
      sub.add_option("--workspaces", job->workspaces.globs, "Only these workspaces of an archive: names or globs")
          ->delimiter(',')
          ->allow_extra_args(false);
    }
  }
  void name(const char* option, std::string& value, const char* help, bool required) {
    auto* added = sub.add_option(option, value, help)->check(no_empty_text);
    if (required) added->required();
  }

  std::shared_ptr<ImportJob> job;
  CLI::App& sub;
};

void add_run_commands(CLI::App& app, Run& run) {
  Command one(app, run, "import-run", "Import a run that export-run wrote",
              {Kind::experiment, Kind::run, Kind::logged_model}, {TreeForm::run});
  one.into_experiment();
  add_source_tags_option(one.sub, *one.job);
  add_source_user_option(one.sub, *one.job);
  add_notebook_option(one.sub, *one.job);
  add_mlmodel_option(one.sub, *one.job);
  one.end();

  Command whole(app, run, "import-experiment", "Import an experiment that export-experiment wrote", members,
                {TreeForm::experiment});
  whole.into_experiment();
  whole.job->mapping.experiment_metadata = true;
  add_permissions_option(whole.sub, whole.job->permissions, "--import-permissions");
  add_source_tags_option(whole.sub, *whole.job);
  add_source_user_option(whole.sub, *whole.job);
  add_notebook_option(whole.sub, *whole.job);
  whole.end();

  Command all(app, run, "import-experiments", "Import the experiments that export-experiments wrote", members,
              {TreeForm::experiments, TreeForm::all});
  all.several(true);
  add_permissions_option(all.sub, all.job->permissions, "--import-permissions");
  add_source_tags_option(all.sub, *all.job);
  add_source_user_option(all.sub, *all.job);
  add_rename_options(all.sub, *all.job, false);
  all.end(ThreadsForm::value);
}

void add_model_commands(CLI::App& app, Run& run) {
  Command one(app, run, "import-model", "Import a registered model that export-model wrote, with its runs",
              models_and_runs, {TreeForm::model});
  one.name("--model", one.job->mapping.model, "Name of the registered model in the destination", true);
  one.into_experiment();
  add_delete_model_option(one.sub, *one.job);
  add_permissions_option(one.sub, one.job->permissions, "--import-permissions");
  add_source_tags_option(one.sub, *one.job);
  one.sub
      .add_option("--await-creation-for", one.job->await_creation_for,
                  "Seconds that a new version may take to be READY; not given: it is not waited for")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{86'400}));
  add_verbose_option(one.sub, one.job->verbose);
  one.end();

  auto kinds = models_and_runs;
  kinds.insert(Kind::trace);
  Command all(app, run, "import-models", "Import the registered models and experiments that export-models wrote", kinds,
              {TreeForm::all});
  all.several(true);
  add_delete_model_option(all.sub, *all.job);
  add_permissions_option(all.sub, all.job->permissions, "--import-permissions");
  add_rename_options(all.sub, *all.job, true);
  add_source_tags_option(all.sub, *all.job);
  add_source_user_option(all.sub, *all.job);
  add_verbose_option(all.sub, all.job->verbose);
  all.end(ThreadsForm::value);

  Command version(app, run, "import-model-version", "Import a model version that export-model-version wrote",
                  models_and_runs, {TreeForm::model_version});
  auto& job = *version.job;
  version.name("--model", job.mapping.model, "Name of the registered model in the destination", true);
  version.into_experiment();
  job.target.append_versions = true;
  job.target.create_models = false;
  job.mapping.stages_and_aliases = false;
  job.mapping.model_metadata = false;
  add_bool_value(version.sub, "--create-model", job.target.create_models,
                 "Make the registered model when it is not there");
  add_permissions_option(version.sub, job.permissions, "--import-permissions");
  add_source_tags_option(version.sub, job);
  add_bool_value(version.sub, "--import-stages-and-aliases", job.mapping.stages_and_aliases,
                 "Also its stage and aliases");
  add_bool_value(version.sub, "--import-metadata", job.mapping.model_metadata,
                 "Also description and tags of its model, and tags of its experiment");
  version.end();
  version.sub.callback([job = version.job, &run] {
    job->mapping.experiment_metadata = job->mapping.model_metadata;
    run = [job] { return run_import(*job); };
  });
}

void add_logged_model_and_trace_commands(CLI::App& app, Run& run) {
  // With the runs that stand in for those that models come from.
  std::set<Kind> const logged{Kind::experiment, Kind::run, Kind::logged_model};
  Command model(app, run, "import-logged-model", "Import a logged model that export-logged-model wrote", logged,
                {TreeForm::logged_model});
  model.into_experiment();
  add_mlmodel_option(model.sub, *model.job);
  model.end();

  Command models(app, run, "import-logged-models", "Import the logged models that export-logged-models wrote", logged,
                 {TreeForm::logged_models});
  models.several(false);
  models.end();

  Command trace(app, run, "import-trace", "Import a trace that export-trace wrote", {Kind::experiment, Kind::trace},
                {TreeForm::trace});
  trace.into_experiment();
  trace.end();

  Command traces(app, run, "import-traces", "Import the traces that export-traces wrote",
                 {Kind::experiment, Kind::trace}, {TreeForm::traces});
  traces.several(false);
  traces.end();
}

void add_prompt_and_dataset_commands(CLI::App& app, Run& run) {
  Command prompt(app, run, "import-prompt", "Import a prompt version that export-prompt wrote", {Kind::prompt},
                 {TreeForm::prompt});
  prompt.job->target.append_versions = true;
  prompt.name("--prompt-name", prompt.job->mapping.prompt, "Its name in the destination (default: its own)", false);
  add_delete_prompt_option(prompt.sub, *prompt.job);
  prompt.end();

  Command prompts(app, run, "import-prompts", "Import the prompts that export-prompts wrote", {Kind::prompt},
                  {TreeForm::prompts, TreeForm::all});
  prompts.several(true);
  add_delete_prompt_option(prompts.sub, *prompts.job);
  prompts.end(ThreadsForm::flag);

  Command dataset(app, run, "import-evaluation-dataset", "Import an evaluation dataset that export-evaluation-dataset wrote",
                  {Kind::evaluation_dataset}, {TreeForm::dataset});
  dataset.name("--evaluation-dataset-name", dataset.job->mapping.dataset, "Its name in the destination (default: its own)",
               false);
  add_delete_dataset_option(dataset.sub, *dataset.job);
  dataset.end();

  Command datasets(app, run, "import-evaluation-datasets",
                   "Import the evaluation datasets that export-evaluation-datasets wrote", {Kind::evaluation_dataset},
                   {TreeForm::datasets, TreeForm::all});
  datasets.several(true);
  add_delete_dataset_option(datasets.sub, *datasets.job);
  datasets.end(ThreadsForm::value);
}

}  // namespace

void add_package_imports(CLI::App& app, Run& run) {
  add_run_commands(app, run);
  add_model_commands(app, run);
  add_logged_model_and_trace_commands(app, run);
  add_prompt_and_dataset_commands(app, run);
  add_package_copies(app, run);
}

}  // namespace mlferry::cli
