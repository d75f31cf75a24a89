// export-evaluation-dataset, export-evaluation-datasets.

#include <CLI/CLI.hpp>

#include <map>

#include "cli/commands/package_export_job.hpp"
#include "engine/objects/object_kind.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

// Its experiments come along nowhere.
ExportPlan plan_of_datasets(TreeForm form) {
  ExportPlan plan;
  plan.selection.kinds = {Kind::evaluation_dataset};
  plan.selection.ids[Kind::experiment] = {};
  plan.what.form = form;
  return plan;
}

// id -> name of all, or of those that belong to one of the experiments.
async::Task<std::map<std::string, std::string>> list_datasets(mlflow::Client& client,
                                                              std::vector<std::string> experiments) {
  boost::json::object body{{"max_results", 1000}};
  if (!experiments.empty())
    body["experiment_ids"] = boost::json::array(experiments.begin(), experiments.end());
  auto const found = co_await engine::list_all(client, http::Method::post, "/api/3.0/mlflow/datasets/search",
                                               std::move(body), "datasets");
  if (!found) throw engine::NotFound("this server has no evaluation datasets, which came with MLflow 3.4");
  std::map<std::string, std::string> names;
  for (auto const& dataset : *found)
    names.emplace(mlflow::get_string(dataset, "dataset_id"), mlflow::get_string(dataset, "name"));
  co_return names;
}

async::Task<ExportPlan> plan_dataset(Runtime&, mlflow::Client& client, const PackageExport& job) {
  auto const all = co_await list_datasets(client, {});
  std::string id, others;
  for (auto const& [one, name] : all) {
    if (job.dataset_id.empty() ? name != job.dataset_name : one != job.dataset_id) continue;
    others += (others.empty() ? "" : ", ") + one;
    if (!id.empty())
      throw UsageError("--dataset-name " + name + ": there are several: give one with --dataset-id (" +
                       others + ")");
    id = one;
  }
  if (id.empty()) {
    throw engine::NotFound(
        (job.dataset_id.empty() ? "--dataset-name " + job.dataset_name : "--dataset-id " + job.dataset_id) +
        ": the server has no such evaluation dataset");
  }
  auto plan = plan_of_datasets(TreeForm::dataset);
  plan.selection.ids[Kind::evaluation_dataset] = {id};
  plan.what.request = "--dataset-id " + id;
  co_return plan;
}

async::Task<std::vector<std::string>> known_experiments(mlflow::Client& client, std::string ids,
                                                        ExportPlan& plan) {
  std::vector<std::string> known;
  for (auto const& id : split_list(ids)) {
    auto const experiment = co_await engine::find_experiment_by_id(client, id);
    if (experiment) {
      known.push_back(id);
    } else {
      plan.missing.push_back({Kind::experiment, id, "the server has no experiment of this id"});
    }
  }
  if (known.empty())
    throw engine::NotFound("--experiment-ids " + ids + ": the server has no such experiment");
  co_return known;
}

async::Task<ExportPlan> plan_datasets(Runtime&, mlflow::Client& client, const PackageExport& job) {
  auto plan = plan_of_datasets(TreeForm::datasets);
  auto const names = list_or_file("--evaluation-datasets", job.wanted);
  plan.what.request =
      said("--evaluation-datasets", names).substr(1) + said("--experiment-ids", job.experiment_ids);
  std::set<std::string> ids;
  if (job.wanted == "all") {
    if (job.experiment_ids.empty()) co_return plan;
    auto experiments = co_await known_experiments(client, job.experiment_ids, plan);
    auto const found = co_await list_datasets(client, std::move(experiments));
    for (auto const& [id, name] : found) ids.insert(id);
  } else {
    auto const all = co_await list_datasets(client, {});
    for (auto const& wanted : names) {
      std::size_t found = 0;
      for (auto const& [id, name] : all) {
        if (name != wanted) continue;
        ids.insert(id);
        ++found;
      }
      if (found == 0)
        plan.missing.push_back(
            {Kind::evaluation_dataset, wanted, "the server has no evaluation dataset of this name"});
    }
    if (ids.empty())
      throw engine::NotFound("--evaluation-datasets " + job.wanted +
                             ": the server has no such evaluation dataset");
  }
  plan.selection.ids[Kind::evaluation_dataset] = std::move(ids);
  co_return plan;
}

void check_dataset(const PackageExport& job) {
  if (job.dataset_id.empty() && job.dataset_name.empty())
    throw UsageError("give --dataset-name or --dataset-id");
}

void check_datasets(const PackageExport& job) {
  list_or_file("--evaluation-datasets", job.wanted);
  if (!job.experiment_ids.empty() && job.wanted != "all")
    throw UsageError("--experiment-ids chooses among all: give it with --evaluation-datasets all");
  if (!job.experiment_ids.empty() && split_list(job.experiment_ids).empty())
    throw UsageError("--experiment-ids names nothing");
}

}  // namespace

void add_dataset_exports(CLI::App& app, Run& run) {
  auto dataset = add_export(app, run, "export-evaluation-dataset",
                            "Write one evaluation dataset with its records into a directory", plan_dataset,
                            check_dataset);
  dataset.app->add_option("--dataset-name", dataset.job->dataset_name, "Its name");
  dataset.app->add_option("--dataset-id", dataset.job->dataset_id, "Its id; counts more than the name");
  auto datasets = add_export(app, run, "export-evaluation-datasets",
                             "Write evaluation datasets with their records into a directory", plan_datasets,
                             check_datasets);
  add_wanted(datasets, "--evaluation-datasets",
             "all, a comma list of names, or a .txt file with one name a line");
  datasets.app->add_option(
      "--experiment-ids", datasets.job->experiment_ids,
      "With all: only those that belong to one of these experiments (a comma list of ids)");
  add_use_threads(*datasets.app, datasets.job->global, ThreadsForm::value);
}

}  // namespace mlferry::cli
