// export-logged-model, export-logged-models, export-trace, export-traces.

#include <CLI/CLI.hpp>

#include "cli/commands/package_export_job.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

async::Task<ExportPlan> plan_logged_model(Runtime&, mlflow::Client& client, const PackageExport& job) {
  auto const capabilities = co_await client.probe();
  if (!capabilities.logged_models)
    throw engine::NotFound("--model-id " + job.wanted +
                           ": this server has no logged models, which came with MLflow 3");
  auto const model = co_await client.get_logged_model(job.wanted);
  if (!model) throw engine::NotFound("--model-id " + job.wanted + ": the server has no such logged model");
  ExportPlan plan;
  plan.selection.kinds = {Kind::logged_model};
  plan.selection.ids = {{Kind::logged_model, {job.wanted}},
                        {Kind::experiment, {std::string(model->experiment_id())}}};
  plan.what.form = TreeForm::logged_model;
  plan.what.request = "--model-id " + job.wanted;
  co_return plan;
}

// Those that are named are taken though they are deleted.
async::Task<ExportPlan> plan_members(Runtime& runtime, mlflow::Client& client, const PackageExport& job,
                                     Kind kind, TreeForm form) {
  ExportPlan plan;
  auto const can = co_await client.probe();
  if (kind == Kind::logged_model ? !can.logged_models : !can.traces_v2 && !can.traces_v3)
    runtime.report().notes.push_back("this server has no " + std::string(engine::kind_label(kind)) + ": " +
                                     can.name());
  plan.selection.kinds = {kind};
  co_await choose_experiments(client, "--experiment-ids", job.wanted, false, mlflow::View::active, plan);
  if (!plan.selection.ids.contains(Kind::experiment)) plan.selection.lifecycle = engine::Lifecycle::active;
  plan.what.form = form;
  plan.what.experiments = job.wanted;
  plan.what.request = said("--experiment-ids", list_or_file("--experiment-ids", job.wanted)).substr(1);
  co_return plan;
}

async::Task<ExportPlan> plan_logged_models(Runtime& runtime, mlflow::Client& client,
                                           const PackageExport& job) {
  co_return co_await plan_members(runtime, client, job, Kind::logged_model, TreeForm::logged_models);
}

async::Task<ExportPlan> plan_traces(Runtime& runtime, mlflow::Client& client, const PackageExport& job) {
  co_return co_await plan_members(runtime, client, job, Kind::trace, TreeForm::traces);
}

async::Task<ExportPlan> plan_trace(Runtime&, mlflow::Client& client, const PackageExport& job) {
  auto const capabilities = co_await client.probe();
  ExportPlan plan;
  plan.selection.kinds = {Kind::trace};
  plan.selection.ids[Kind::trace] = {job.wanted};
  // A server of the older form is searched for it.
  if (capabilities.traces_v3) {
    auto const trace = co_await client.get_trace_info(job.wanted);
    if (!trace) throw engine::NotFound("--request-id " + job.wanted + ": the server has no such trace");
    plan.selection.ids[Kind::experiment] = {trace->experiment_id()};
  } else if (!capabilities.traces_v2) {
    throw engine::NotFound("--request-id " + job.wanted +
                           ": this server has no traces, which came with MLflow 2.14");
  }
  plan.what.form = TreeForm::trace;
  plan.what.request = "--request-id " + job.wanted;
  co_return plan;
}

void check_ids(const PackageExport& job) {
  list_or_file("--experiment-ids", job.wanted);
}

constexpr const char* ids_help = "Comma list of experiment ids, all, or prefix* of an id";

}  // namespace

void add_member_exports(CLI::App& app, Run& run) {
  auto model = add_export(app, run, "export-logged-model", "Write one logged model into a directory",
                          plan_logged_model, nullptr);
  add_wanted(model, "--model-id", "The logged model: m-…");
  auto models =
      add_export(app, run, "export-logged-models", "Write the logged models of experiments into a directory",
                 plan_logged_models, check_ids);
  add_wanted(models, "--experiment-ids", ids_help);
  auto trace = add_export(app, run, "export-trace", "Write one trace into a directory", plan_trace, nullptr);
  add_wanted(trace, "--request-id", "The trace: tr-…");
  auto traces = add_export(app, run, "export-traces", "Write the traces of experiments into a directory",
                           plan_traces, check_ids);
  add_wanted(traces, "--experiment-ids", ids_help);
}

}  // namespace mlferry::cli
