// export-run, export-experiment, export-experiments.

#include <CLI/CLI.hpp>

#include "cli/commands/package_export_job.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

async::Task<ExportPlan> plan_run(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  auto const run = co_await engine::find_run(client, job.wanted);
  if (!run) throw engine::NotFound("--run-id " + job.wanted + ": the server has no such run");
  auto models = co_await engine::models_of_run(runtime.context(), client, *run);
  ExportPlan plan;
  auto& selection = plan.selection;
  selection.kinds = {Kind::run, Kind::logged_model};
  models.experiments.emplace(run->experiment_id());
  selection.ids = {{Kind::run, {std::string(run->id())}},
                   {Kind::logged_model, std::move(models.logged_models)},
                   {Kind::experiment, std::move(models.experiments)}};
  plan.what.form = TreeForm::run;
  plan.what.request = "--run-id " + std::string(run->id());
  co_return plan;
}

// What is said of runs in the files and in the request.
std::string say_runs(const PackageExport& job, engine::TreeExport& what) {
  what.run_start_time = text_or_null(job.run_start_time);
  what.runs_until = text_or_null(job.runs_until);
  what.export_deleted_runs = job.export_deleted_runs;
  what.deleted_in_lists = true;
  return said("--run-start-time", job.run_start_time) + said("--runs-until", job.runs_until) +
         (job.export_deleted_runs ? " --export-deleted-runs true" : "");
}

async::Task<> choose_runs(mlflow::Client& client, const PackageExport& job, std::string experiment_id,
                          ExportPlan& plan) {
  auto ids = split_list(job.run_ids);
  auto const found = co_await engine::find_runs(client, experiment_id, ids);
  std::vector<std::string> roots;
  for (auto const& id : ids) {
    auto const run = found.find(id);
    if (run == found.end()) {
      plan.missing.push_back({Kind::run, id, "experiment " + experiment_id + " has no such run"});
    } else if (run->second.deleted() && !job.export_deleted_runs) {
      plan.missing.push_back({Kind::run, id, "it is deleted: --export-deleted-runs true takes it"});
    } else {
      roots.push_back(id);
    }
  }
  if (job.check_nested_runs) {
    auto const view = job.export_deleted_runs ? mlflow::View::all : mlflow::View::active;
    auto const children = co_await engine::nested_runs(client, experiment_id, view);
    roots = engine::with_descendants(roots, children);
  }
  plan.selection.ids[Kind::run] = {roots.begin(), roots.end()};
  plan.selection.with_runs = true;
}

async::Task<ExportPlan> plan_experiment(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  // No glob and no word for all: it is one experiment.
  auto wish = engine::parse_experiment_wish(job.wanted);
  using How = engine::ExperimentWish::How;
  if (wish.how == How::all || wish.how == How::prefix) wish = {How::either, job.wanted};
  auto const experiment = co_await engine::find_experiment(client, wish);
  if (!experiment)
    throw engine::NotFound("--experiment " + job.wanted + ": the server has no such experiment");
  std::string const id(experiment->id());
  if (experiment->deleted() && !job.export_deleted_runs) {
    runtime.report().notes.push_back(
        "experiment '" + std::string(experiment->name()) +
        "' is deleted, and what is in it with it: --export-deleted-runs true takes it");
  }
  ExportPlan plan;
  plan.selection.kinds = {Kind::run, Kind::logged_model, Kind::trace};
  plan.selection.ids[Kind::experiment] = {id};
  plan.selection.lifecycle = lifecycle_of(job.export_deleted_runs);
  read_time_window(job.run_start_time, job.runs_until, plan.selection);
  plan.what.form = TreeForm::experiment;
  plan.what.request = "--experiment id:" + id + said("--run-ids", split_list(job.run_ids)) +
                      (job.check_nested_runs ? " --check-nested-runs true" : "") + say_runs(job, plan.what);
  if (!job.run_ids.empty()) co_await choose_runs(client, job, id, plan);
  co_return plan;
}

async::Task<ExportPlan> plan_experiments(Runtime&, mlflow::Client& client, const PackageExport& job) {
  ExportPlan plan;
  plan.selection.kinds = {Kind::run, Kind::logged_model, Kind::trace};
  plan.selection.lifecycle = lifecycle_of(job.export_deleted_runs);
  read_time_window(job.run_start_time, job.runs_until, plan.selection);
  auto const view = job.export_deleted_runs ? mlflow::View::all : mlflow::View::active;
  co_await choose_experiments(client, "--experiments", job.wanted, true, view, plan);
  plan.what.form = TreeForm::experiments;
  plan.what.experiments = job.wanted;
  plan.what.request =
      said("--experiments", list_or_file("--experiments", job.wanted)).substr(1) + say_runs(job, plan.what);
  co_return plan;
}

void check_runs(const PackageExport& job) {
  engine::Selection unused;
  read_time_window(job.run_start_time, job.runs_until, unused);
  if (job.check_nested_runs && job.run_ids.empty())
    throw UsageError("--check-nested-runs true adds to --run-ids, which are not given");
  if (!job.run_ids.empty() && split_list(job.run_ids).empty()) throw UsageError("--run-ids names nothing");
}

void check_experiments(const PackageExport& job) {
  check_runs(job);
  list_or_file("--experiments", job.wanted);
}

}  // namespace

void add_run_exports(CLI::App& app, Run& run) {
  auto one = add_export(app, run, "export-run", "Write one run with its logged models into a directory",
                        plan_run, nullptr);
  add_wanted(one, "--run-id", "The run; a deleted one, too");
  add_notebooks(one);

  auto experiment = add_export(app, run, "export-experiment", "Write one experiment into a directory",
                               plan_experiment, check_runs);
  add_wanted(experiment, "--experiment", "Name or id; name:7 and id:7 where a name looks like another's id");
  experiment.app->add_option("--run-ids", experiment.job->run_ids,
                             "Only these runs (a comma list), with their logged models and traces");
  add_permissions(experiment);
  add_time_window(experiment);
  add_deleted_runs(experiment);
  add_bool_value(*experiment.app, "--check-nested-runs", experiment.job->check_nested_runs,
                 "With --run-ids: all runs below them, too");
  add_notebooks(experiment);

  auto experiments = add_export(app, run, "export-experiments", "Write experiments into a directory",
                                plan_experiments, check_experiments);
  add_wanted(experiments, "--experiments",
             "Comma list of names or ids (name:7, id:7), all, prefix* of a name or id, or a .txt file with "
             "one a line");
  add_permissions(experiments);
  add_time_window(experiments);
  add_deleted_runs(experiments);
  add_notebooks(experiments);
  add_use_threads(*experiments.app, experiments.job->global, ThreadsForm::value);
}

}  // namespace mlferry::cli
