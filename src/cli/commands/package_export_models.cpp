// export-model, export-models, export-model-version.

#include <CLI/CLI.hpp>

#include <algorithm>

#include "async/task_group.hpp"
#include "cli/commands/package_export_job.hpp"
#include "engine/endpoints/version_lister.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

constexpr int models_a_page = 1000;

engine::VersionChoice choice_of(const PackageExport& job) {
  engine::VersionChoice choice;
  choice.stages = read_stages(job.stages);
  choice.numbers = read_versions("--versions", job.versions);
  choice.latest = job.export_latest_versions;
  return choice;
}

void check_versions(const PackageExport& job) {
  auto const choice = choice_of(job);
  if (!job.stages.empty() && !job.versions.empty()) throw UsageError("give --stages or --versions, not both");
  if (!job.stages.empty() && choice.stages.empty()) throw UsageError("--stages names nothing");
  if (!job.versions.empty() && choice.numbers.empty()) throw UsageError("--versions names nothing");
}

async::Task<std::optional<mlflow::RegisteredModel>> find_model(mlflow::Client& client, std::string name) {
  auto model = co_await client.get_registered_model(std::move(name));
  if (model && model->is_prompt()) model.reset();
  co_return model;
}

// Adds the versions of a model that are chosen.
async::Task<> add_chosen_versions(mlflow::Client& client, mlflow::RegisteredModel model,
                                  const engine::VersionChoice& choice,
                                  std::vector<mlflow::ModelVersion>& chosen) {
  auto versions = co_await engine::list_versions(client, std::move(model));
  for (auto const i : choice.choose(versions)) chosen.push_back(std::move(versions[i]));
}

void say_versions(const PackageExport& job, ExportPlan& plan) {
  auto& what = plan.what;
  what.stages = text_or_null(job.stages);
  what.export_latest_versions = job.export_latest_versions;
  what.export_version_model = job.export_version_model;
  what.export_deleted_runs = job.export_deleted_runs;
  what.deleted_in_lists = true;
  plan.version_files = job.export_version_model;
  what.request += said("--stages", job.stages) + said("--versions", job.versions);
  if (job.export_latest_versions) what.request += " --export-latest-versions true";
  if (job.export_version_model) what.request += " --export-version-model true";
  if (job.export_deleted_runs) what.request += " --export-deleted-runs true";
}

async::Task<ExportPlan> plan_model(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  auto const model = co_await find_model(client, job.wanted);
  if (!model) throw engine::NotFound("--model " + job.wanted + ": the server has no such registered model");
  ExportPlan plan;
  auto& selection = plan.selection;
  selection.model_versions = choice_of(job);
  std::vector<mlflow::ModelVersion> versions;
  co_await add_chosen_versions(client, *model, selection.model_versions, versions);
  for (auto const number : selection.model_versions.numbers) {
    auto const is_it = [number](const mlflow::ModelVersion& version) { return version.number() == number; };
    if (std::any_of(versions.begin(), versions.end(), is_it)) continue;
    auto const text = std::to_string(number);
    plan.missing.push_back({Kind::model_version, job.wanted + "/" + text, "the model has no such version"});
    plan.what.failed_versions.push_back(
        boost::json::object{{"message", "no such version"},
                            {"version", boost::json::object{{"name", job.wanted}, {"version", text}}}});
  }
  if (!selection.model_versions.numbers.empty() && versions.empty())
    throw engine::NotFound("--versions " + job.versions + ": model '" + job.wanted + "' has none of them");
  auto owners = co_await engine::owners_of(runtime.context(), client, versions);
  selection.kinds = {Kind::run, Kind::logged_model, Kind::registered_model};
  selection.ids = {{Kind::run, std::move(owners.runs)},
                   {Kind::logged_model, std::move(owners.logged_models)},
                   {Kind::experiment, std::move(owners.experiments)},
                   {Kind::registered_model, {job.wanted}}};
  selection.lifecycle = lifecycle_of(job.export_deleted_runs);
  plan.what.form = TreeForm::model;
  plan.what.models = job.wanted;
  plan.what.request = "--model " + job.wanted;
  plan.what.target_stages = selection.model_versions.stages.size();
  plan.what.target_versions = selection.model_versions.numbers.size();
  say_versions(job, plan);
  co_return plan;
}

async::Task<std::vector<mlflow::RegisteredModel>> all_models(mlflow::Client& client) {
  std::vector<mlflow::RegisteredModel> models;
  std::string token;
  do {
    auto page = co_await client.search_registered_models("", models_a_page, token);
    token = page.items.empty() ? std::string() : page.next_token;
    for (auto& model : page.items) {
      if (!model.is_prompt()) models.push_back(std::move(model));
    }
  } while (!token.empty());
  co_return models;
}

// A comma list, all, prefix*, or a file's lines.
async::Task<std::vector<mlflow::RegisteredModel>> choose_models(mlflow::Client& client, std::string text,
                                                                ExportPlan& plan) {
  auto const items = list_or_file("--models", text);
  std::vector<mlflow::RegisteredModel> all, chosen;
  std::set<std::string> names;
  auto const take = [&](const mlflow::RegisteredModel& model) {
    if (names.emplace(model.name()).second) chosen.push_back(model);
  };
  bool all_listed = false;
  for (auto const& item : items) {
    bool const is_all = item == "all";
    std::size_t found = 0;
    if (is_all || item.ends_with('*')) {
      if (!std::exchange(all_listed, true)) all = co_await all_models(client);
      for (auto const& model : all) {
        if (!is_all && !model.name().starts_with(item.substr(0, item.size() - 1))) continue;
        take(model);
        ++found;
      }
      if (is_all) ++found;
    } else if (auto const model = co_await find_model(client, item)) {
      take(*model);
      ++found;
    }
    if (found == 0)
      plan.missing.push_back(
          {Kind::registered_model, item, "the server has no registered model of this name"});
  }
  if (names.empty() && !plan.missing.empty())
    throw engine::NotFound("--models " + text + ": the server has no such registered model");
  // Of all the listing gives more at once.
  if (items.size() != 1 || items.front() != "all")
    plan.selection.ids[Kind::registered_model] = std::move(names);
  co_return chosen;
}

async::Task<ExportPlan> plan_models(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  ExportPlan plan;
  auto& selection = plan.selection;
  selection.kinds = {Kind::run, Kind::logged_model, Kind::trace, Kind::registered_model};
  selection.lifecycle = lifecycle_of(job.export_deleted_runs);
  selection.model_versions = choice_of(job);
  read_time_window(job.run_start_time, job.runs_until, selection);
  std::vector<mlflow::ModelVersion> versions;
  auto const models = co_await choose_models(client, job.wanted, plan);
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& model : models)
      tasks.spawn(add_chosen_versions(client, model, selection.model_versions, versions));
    co_return;
  };
  co_await async::with_task_group(runtime.executor(), body);
  auto owners = co_await engine::owners_of(runtime.context(), client, std::move(versions));
  // As the package has it: of which experiments all runs or which.
  boost::json::value experiments = boost::json::array(owners.experiments.begin(), owners.experiments.end());
  if (!job.export_all_runs) {
    boost::json::object runs;
    for (auto const& [id, some] : owners.runs_by_experiment)
      runs[id] = boost::json::array(some.begin(), some.end());
    experiments = std::move(runs);
  }
  selection.ids[Kind::experiment] = std::move(owners.experiments);
  if (!job.export_all_runs) {
    selection.ids[Kind::run] = std::move(owners.runs);
    selection.ids[Kind::logged_model] = std::move(owners.logged_models);
    selection.with_runs = true;
  } else if (selection.with_runs) {
    selection.ids[Kind::logged_model] = std::move(owners.logged_models);
  }
  auto& what = plan.what;
  what.form = TreeForm::models;
  what.models = job.wanted;
  if (job.wanted.ends_with(".txt")) {
    boost::json::array names;
    for (auto const& name : list_or_file("--models", job.wanted)) names.emplace_back(name);
    what.models = std::move(names);
  }
  what.experiments = std::move(experiments);
  what.export_all_runs = job.export_all_runs;
  what.run_start_time = text_or_null(job.run_start_time);
  what.runs_until = text_or_null(job.runs_until);
  what.request = said("--models", list_or_file("--models", job.wanted)).substr(1) +
                 (job.export_all_runs ? " --export-all-runs true" : "") +
                 said("--run-start-time", job.run_start_time) + said("--runs-until", job.runs_until);
  say_versions(job, plan);
  co_return plan;
}

void check_models(const PackageExport& job) {
  check_versions(job);
  engine::Selection unused;
  read_time_window(job.run_start_time, job.runs_until, unused);
  list_or_file("--models", job.wanted);
}

async::Task<ExportPlan> plan_version(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  auto const numbers = read_versions("--version", job.version);
  auto const name = job.wanted;
  auto const model = co_await find_model(client, name);
  if (!model) throw engine::NotFound("--model " + name + ": the server has no such registered model");
  auto const version = co_await client.get_model_version(name, *numbers.begin());
  if (!version)
    throw engine::NotFound("--version " + job.version + ": model '" + name + "' has no such version");
  auto owners = co_await engine::owners_of(runtime.context(), client, {*version});
  ExportPlan plan;
  auto& selection = plan.selection;
  selection.kinds = {Kind::run, Kind::logged_model, Kind::registered_model};
  selection.model_versions.numbers = numbers;
  selection.ids = {{Kind::run, std::move(owners.runs)},
                   {Kind::logged_model, std::move(owners.logged_models)},
                   {Kind::experiment, std::move(owners.experiments)},
                   {Kind::registered_model, {name}}};
  plan.version_files = job.export_version_model;
  auto& what = plan.what;
  what.form = TreeForm::model_version;
  what.export_version_model = job.export_version_model;
  what.version_artifact_path = job.export_version_model ? job.model_artifact_path : "";
  what.run_artifacts = !job.skip_run_artifacts;
  what.request = "--model " + name + " --version " + std::to_string(*numbers.begin()) +
                 (job.export_version_model ? " --vrm-export-version-model true" : "") +
                 said("--vrm-model-artifact-path", job.model_artifact_path) +
                 (job.skip_run_artifacts ? " --skip-download-run-artifacts true" : "");
  co_return plan;
}

void check_version(const PackageExport& job) {
  if (read_versions("--version", job.version).size() != 1)
    throw UsageError("--version: give one version number");
  if (job.model_artifact_path.empty()) return;
  if (!job.export_version_model)
    throw UsageError(
        "--vrm-model-artifact-path says where --vrm-export-version-model true puts its files, which is not "
        "given");
  if (!tree::is_plain_path(job.model_artifact_path))
    throw UsageError("--vrm-model-artifact-path: '" + job.model_artifact_path +
                     "' is no path below the run's artifacts");
}

void add_version_choice(ExportCommand& command) {
  command.app->add_option(
      "--stages", command.job->stages,
      "Only versions of these stages: a comma list of Production, Staging, Archived, None");
  add_bool_value(*command.app, "--export-latest-versions", command.job->export_latest_versions,
                 "Of each stage only the latest version");
  add_bool_value(*command.app, "--export-version-model", command.job->export_version_model,
                 "Each version's files also in version_models/");
}

}  // namespace

void add_model_exports(CLI::App& app, Run& run) {
  auto model =
      add_export(app, run, "export-model", "Write one registered model with the runs of its versions",
                 plan_model, check_versions);
  add_wanted(model, "--model", "The registered model");
  add_version_choice(model);
  model.app->add_option("--versions", model.job->versions, "Only these versions: a comma list of numbers");
  add_deleted_runs(model);
  add_permissions(model);
  add_notebooks(model);

  auto models =
      add_export(app, run, "export-models", "Write registered models with the runs of their versions",
                 plan_models, check_models);
  add_wanted(models, "--models", "Comma list of names, all, prefix*, or a .txt file with one name a line");
  add_version_choice(models);
  add_bool_value(*models.app, "--export-all-runs", models.job->export_all_runs,
                 "All runs of the experiments, not only those of the versions");
  add_permissions(models);
  add_time_window(models);
  add_deleted_runs(models);
  add_notebooks(models);
  add_use_threads(*models.app, models.job->global, ThreadsForm::value);

  auto version =
      add_export(app, run, "export-model-version", "Write one version of a registered model with its run",
                 plan_version, check_version);
  add_wanted(version, "--model", "The registered model");
  version.app->add_option("--version", version.job->version, "The version's number")->required();
  add_bool_value(*version.app, "--vrm-export-version-model", version.job->export_version_model,
                 "The version's files also in version_model/");
  version.app->add_option("--vrm-model-artifact-path", version.job->model_artifact_path,
                          "Put them below this path of the run's artifacts instead");
  add_bool_value(*version.app, "--skip-download-run-artifacts", version.job->skip_run_artifacts,
                 "The run without its artifacts");
  add_permissions(version);
  add_notebooks(version);
}

}  // namespace mlferry::cli
