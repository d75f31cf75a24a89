#include "cli/import_job.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "cli/package_options.hpp"
#include "cli/version_table.hpp"
#include "engine/compare.hpp"
#include "engine/transfer.hpp"

namespace mlferry::cli {

namespace {

constexpr std::size_t most_rename_bytes = 16u << 20;

namespace json = boost::json;

engine::Context reporting_to(engine::Report& report, const engine::Context& context) {
  return {context.executor, context.pool,    context.memory, context.transfers,
          report,           context.options, context.log};
}

// The options that are looked at once, into what the job does.
ImportJob prepared(ImportJob job) {
  if (job.permissions) refuse_databricks("--import-permissions");
  if (!job.notebook_dir.empty()) refuse_databricks("--dst-notebook-dir");
  if (!job.experiment_rename_file.empty())
    job.mapping.experiments = read_rename_file("--experiment-rename-file", job.experiment_rename_file);
  if (!job.model_rename_file.empty())
    job.mapping.models = read_rename_file("--model-rename-file", job.model_rename_file);
  if (job.await_creation_for) job.target.await_ready = std::chrono::seconds(*job.await_creation_for);
  if (job.delete_model) job.target.replaced.insert(engine::Kind::registered_model);
  if (job.delete_prompt) job.target.replaced.insert(engine::Kind::prompt);
  if (job.delete_dataset) job.target.replaced.insert(engine::Kind::evaluation_dataset);
  job.tree.kinds = job.mapping.kinds;
  if (!job.archives && is_archive(job.place))
    throw UsageError(place_name(job.place) + " is an archive, which holds many objects: import it with mlferry import-all");
  return job;
}

engine::Selection selection_for(const ImportJob& job) {
  auto selection = selection_of(job.selection);
  // A directory is read by its parts; of an archive only these are.
  if (is_archive(job.place) && !job.mapping.kinds.empty()) selection.kinds = job.mapping.kinds;
  selection.kinds.erase(engine::Kind::model_version);
  return selection;
}

async::Task<ExitCode> import_body(Runtime& runtime, const ImportJob& job, std::vector<VersionRow>& versions) {
  auto const server = std::make_shared<ServerEnd>(runtime, job.destination, Side::destination, true);
  auto const parts = co_await parts_of_place(runtime, job.place);
  auto const legs = co_await legs_to_server(runtime, parts.workspaces, server->client, job.workspaces, false);
  name_job(runtime, legs, "archive " + place_name(job.place), server->http.base_url());
  for (auto const& leg : legs) {
    auto const snapshot = parts.snapshot_of(leg.source.name);
    runtime.report().enter_workspace(leg.source.name);
    if (co_await is_only_planned(runtime, server->client, leg)) continue;
    auto const end = in_workspace(server, runtime, job.destination, Side::destination, true, leg.destination);
    auto const place = open_source(runtime, runtime.context(), job.place, snapshot, job.tree);
    engine::MappedSource source(*place.source, job.mapping);
    engine::ServerTarget target(runtime.context(), end->client, state_folder(job.global), end->local_artifacts,
                                {leg.destination, &server->client}, job.target);
    co_await engine::transfer(runtime.context(), source, target);
    if (job.verbose) {
      for (auto const& model : source.models_given()) {
        auto rows = co_await version_rows(end->client, model);
        versions.insert(versions.end(), rows.begin(), rows.end());
      }
    }
    if (!job.verify_after || job.global.dry_run) continue;
    // What cannot be read there is in the report already.
    engine::Report unseen;
    auto const quiet = reporting_to(unseen, runtime.context());
    auto const original = open_source(runtime, quiet, job.place, snapshot, job.tree);
    engine::MappedSource mapped(*original.source, job.mapping);
    auto const workspace = co_await workspace_there(server->client, leg.destination);
    co_await verify_after(runtime, mapped, *end, workspace);
  }
  co_return ExitCode::ok;
}

}  // namespace

ExitCode run_import(const ImportJob& given) {
  auto const job = prepared(given);
  Runtime runtime(job.global, selection_for(job));
  std::vector<VersionRow> versions;
  auto const code = runtime.run([&] { return import_body(runtime, job, versions); });
  if (code != ExitCode::ok) return code;
  auto const finished = finish_transfer(runtime);
  // Beside the report: where that is JSON, not in it.
  if (job.verbose) std::fputs(("\n" + version_table(versions)).c_str(), job.global.json ? stderr : stdout);
  return finished;
}

async::Task<> verify_after(Runtime& runtime, engine::Source& original, ServerEnd& end, const json::object& workspace) {
  auto& context = runtime.context();
  engine::Report comparison;
  auto const reading = reporting_to(comparison, context);
  auto reading_copy = reading;
  reading_copy.options.selection = {};
  engine::ServerSource copy(reading_copy, end.client, {"", end.local_artifacts, false, workspace});
  co_await engine::compare(reading, original, copy, {});
  runtime.report().take_verification(comparison);
}

void name_job(Runtime& runtime, const std::vector<WorkspaceLeg>& legs, const std::string& from, const std::string& to) {
  if (legs.size() < 2) return;
  runtime.report().source = fmt::format("{} ({} workspaces)", from, legs.size());
  runtime.report().target = to;
}

async::Task<json::object> workspace_there(mlflow::Client& server, std::string name) {
  if (name.empty()) co_return json::object();
  auto found = co_await engine::get_workspace(server, name);
  co_return found ? std::move(*found) : json::object();
}

async::Task<bool> is_only_planned(Runtime& runtime, mlflow::Client& server, const WorkspaceLeg& leg) {
  if (!runtime.options().dry_run || leg.destination.empty()) co_return false;
  auto const there = co_await engine::get_workspace(server, leg.destination);
  if (there) co_return false;
  runtime.report().found(engine::Kind::workspace);
  runtime.report().copied(engine::Kind::workspace, true);
  runtime.report().notes.push_back("workspace '" + leg.destination +
                                   "' is not in the destination: a real run would make it and copy all of '" +
                                   leg.source.name + "' into it, which is not counted here");
  co_return true;
}

engine::RenameRules read_rename_file(const std::string& option, const std::string& file) {
  auto const text = read_text_file(option, file, most_rename_bytes);
  try {
    return engine::RenameRules::parse(text);
  } catch (const engine::RenameError& wrong) {
    throw UsageError(option + ": " + file + ": " + wrong.what());
  }
}

}  // namespace mlferry::cli
