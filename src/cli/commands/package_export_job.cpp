#include "cli/commands/package_export_job.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>

#include "cli/package_options.hpp"
#include "engine/endpoints/tree_target.hpp"
#include "engine/transfer.hpp"
#include "protocol/digest/sha256.hpp"

namespace mlferry::cli {

namespace {

constexpr std::size_t most_said = 2000;

// What the plan asked for by id and nothing of it came: it vanished meanwhile, or is nothing that can be
// exported.
void check_that_some_came(const engine::Report& report, const engine::TreeExport& what) {
  auto const kind = engine::TreeLayout(what.form).root_object();
  if (!kind || report.counts(*kind).found > 0) return;
  throw engine::NotFound("the server has none such any more: " + what.request);
}

async::Task<ExitCode> export_body(Runtime& runtime, const PackageExport& job, MakePlan make_plan) {
  auto const server = std::make_shared<ServerEnd>(runtime, job.source, Side::source, true);
  auto const legs = co_await legs_from_server(runtime, server->client, job.workspaces);
  if (legs.size() > 1)
    throw UsageError("a directory holds one workspace, and the server has " + std::to_string(legs.size()) +
                     ": choose one with --workspaces");
  auto const& leg = legs.front();
  runtime.report().enter_workspace(leg.source.name);
  auto const end = in_workspace(server, runtime, job.source, Side::source, true, leg.source.name);
  auto plan = co_await make_plan(runtime, end->client, job);
  auto& context = runtime.context();
  plan.selection.text = plan.what.request;
  plan.what.output_dir = job.output_dir;
  plan.what.use_threads = job.global.jobs != "1";
  context.options.selection = plan.selection;
  context.options.version_files = plan.version_files;
  engine::ServerSource source(context, end->client, {end->name, end->local_artifacts, false, leg.source.doc});
  engine::TreeTarget target(context, job.output_dir, 0, plan.what);
  for (auto const& missing : plan.missing) {
    runtime.report().found(missing.kind);
    runtime.report().failed(missing.kind, missing.id, missing.id, missing.reason);
  }
  co_await engine::transfer(context, source, target);
  check_that_some_came(runtime.report(), plan.what);
  co_return ExitCode::ok;
}

ExitCode run_export(const PackageExport& job, MakePlan plan, void (*check)(const PackageExport&)) {
  refuse_databricks(job.export_permissions, job.notebook_formats);
  if (job.output_dir.find("://") != std::string::npos)
    throw UsageError("'" + job.output_dir + "' is no folder");
  if (check != nullptr) check(job);
  Runtime runtime(job.global);
  auto const code = runtime.run([&] { return export_body(runtime, job, plan); });
  if (code != ExitCode::ok) return code;
  return finish_transfer(runtime);
}

}  // namespace

ExportCommand add_export(CLI::App& app, Run& run, const char* name, const char* help, MakePlan plan,
                         void (*check)(const PackageExport&)) {
  auto job = std::make_shared<PackageExport>();
  auto* command = app.add_subcommand(name, help);
  add_server_options(*command, job->source, Side::source, true);
  command
      ->add_option("--output-dir", job->output_dir, "Directory to write, in the form of mlflow-export-import")
      ->envname("MLFERRY_OUTPUT_DIR")
      ->required();
  add_workspace_options(*command, job->workspaces, false);
  add_global_options(*command, job->global);
  command->callback(
      [job, &run, plan, check] { run = [job, plan, check] { return run_export(*job, plan, check); }; });
  return {command, job};
}

void add_wanted(ExportCommand& command, const char* name, const char* help) {
  command.app->add_option(name, command.job->wanted, help)->required();
}

void add_time_window(ExportCommand& command) {
  command.app->add_option(
      "--run-start-time", command.job->run_start_time,
      "Only runs that started at this time or later (2026-11-24, 2026-11-24 10:00:00); UTC");
  command.app->add_option("--runs-until", command.job->runs_until,
                          "Only runs that started before this time; UTC");
}

void add_deleted_runs(ExportCommand& command) {
  add_bool_value(*command.app, "--export-deleted-runs", command.job->export_deleted_runs,
                 "Deleted runs, too");
}

void add_permissions(ExportCommand& command) {
  add_bool_value(*command.app, "--export-permissions", command.job->export_permissions,
                 "Databricks permissions: refused, other servers have none");
}

void add_notebooks(ExportCommand& command) {
  command.app->add_option("--notebook-formats", command.job->notebook_formats,
                          "Databricks notebooks: refused, other servers have none");
}

void refuse_databricks(bool permissions, const std::string& notebook_formats) {
  if (permissions) refuse_databricks("--export-permissions true");
  if (!notebook_formats.empty()) refuse_databricks("--notebook-formats " + notebook_formats);
}

void read_time_window(const std::string& from, const std::string& until, engine::Selection& selection) {
  auto const read = [](const char* option, const std::string& text) -> std::optional<std::int64_t> {
    if (text.empty()) return std::nullopt;
    try {
      return engine::parse_time(text, false);
    } catch (const engine::SelectionError& error) {
      throw UsageError(std::string(option) + ": " + error.what());
    }
  };
  selection.since = read("--run-start-time", from);
  selection.until = read("--runs-until", until);
  if (selection.until) --*selection.until;
  if (selection.since && selection.until && *selection.since > *selection.until)
    throw UsageError("--run-start-time is not before --runs-until: no run would be exported");
  if (selection.since || selection.until) selection.with_runs = true;
}

std::set<std::string> read_stages(const std::string& text) {
  std::set<std::string> stages;
  for (auto const& word : split_list(text)) {
    auto stage = engine::canonical_stage(word);
    if (!stage) throw UsageError("--stages: '" + word + "' is none of Production, Staging, Archived, None");
    stages.insert(std::move(*stage));
  }
  return stages;
}

std::set<std::int64_t> read_versions(const char* option, const std::string& text) {
  std::set<std::int64_t> numbers;
  for (auto const& word : split_list(text)) {
    std::int64_t number = 0;
    auto const [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || number <= 0)
      throw UsageError(std::string(option) + ": '" + word + "' is no version number");
    numbers.insert(number);
  }
  return numbers;
}

engine::Lifecycle lifecycle_of(bool deleted_runs) {
  return deleted_runs ? engine::Lifecycle::all : engine::Lifecycle::active;
}

async::Task<> choose_experiments(mlflow::Client& client, const char* option, std::string text, bool by_name,
                                 mlflow::View view, ExportPlan& plan) {
  using How = engine::ExperimentWish::How;
  std::vector<mlflow::Experiment> all;
  bool all_listed = false;
  auto const items = list_or_file(option, text);
  std::set<std::string> ids;
  for (auto const& item : items) {
    auto wish = engine::parse_experiment_wish(item);
    if (wish.how == How::all && items.size() == 1) co_return;
    std::size_t found = 0;
    if (wish.how == How::all || wish.how == How::prefix) {
      if (!std::exchange(all_listed, true)) all = co_await engine::list_experiments(client, view);
      for (auto const& experiment : all) {
        if (!engine::wishes(wish, experiment.id(), by_name ? experiment.name() : experiment.id())) continue;
        ids.emplace(experiment.id());
        ++found;
      }
    } else {
      if (!by_name) wish.how = How::id;
      auto const experiment = co_await engine::find_experiment(client, wish);
      if (experiment) {
        ids.emplace(experiment->id());
        ++found;
      }
    }
    if (found == 0) {
      plan.missing.push_back({engine::Kind::experiment, item,
                              by_name ? "the server has no experiment of this name or id"
                                      : "the server has no experiment of this id"});
    }
  }
  if (ids.empty()) {
    throw engine::NotFound(std::string(option) + " " + text + ": the server has no such experiment" +
                           (by_name ? "" : " (ids are asked for, not names)"));
  }
  plan.selection.ids[engine::Kind::experiment] = std::move(ids);
}

std::string said(const char* name, const std::string& value) {
  return value.empty() ? std::string() : " " + std::string(name) + " " + value;
}

std::string said(const char* name, const std::vector<std::string>& list) {
  std::string text;
  for (auto const& item : list) text += (text.empty() ? "" : ",") + item;
  if (text.size() > most_said) {
    digest::Sha256 hash;
    hash.update(text);
    text = std::to_string(list.size()) + " names, SHA-256 " + digest::to_hex(hash.finish());
  }
  return said(name, text);
}

boost::json::value text_or_null(const std::string& text) {
  return text.empty() ? boost::json::value() : boost::json::value(text);
}

}  // namespace mlferry::cli
