#include <CLI/CLI.hpp>

#include <memory>
#include <random>

#include <fmt/format.h>

#include "cli/commands/commands.hpp"
#include "cli/commands/package_import_options.hpp"
#include "cli/import_job.hpp"
#include "cli/package_options.hpp"
#include "cli/places.hpp"
#include "cli/selection_options.hpp"
#include "cli/workspace_options.hpp"
#include "engine/compare.hpp"
#include "engine/transfer.hpp"

namespace mlferry::cli {

namespace {

// Everything a command of this file may take; each adds only its own options.
struct Job {
  GlobalOptions global;
  ServerOptions source, destination;
  PlaceOptions place;
  engine::CompareOptions compare;
  SelectionOptions selection;
  PackageSelectionOptions package;  // of export-all
  WorkspaceOptions workspaces;
  bool verify_after = false;
};

namespace json = boost::json;

// Names what belongs together in an archive.
std::string new_job_id() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

// The report is printed when the loop has ended, so that its time is whole.
ExitCode finish(Runtime& runtime, ExitCode code, ExitCode (*print)(Runtime&)) {
  if (code != ExitCode::ok) return code;
  return print(runtime);
}

async::Task<ExitCode> export_body(Runtime& runtime, const Job& job) {
  auto const server = std::make_shared<ServerEnd>(runtime, job.source, Side::source, true);
  auto const legs = co_await legs_from_server(runtime, server->client, job.workspaces);
  if (legs.size() > 1 && !is_archive(job.place))
    throw UsageError("a directory holds one workspace, and the server has " + std::to_string(legs.size()) +
                     ": choose one with --workspaces, or write an --archive");
  engine::SnapshotOfJob part{new_job_id(), {}};
  for (auto const& leg : legs) part.workspaces.push_back(leg.source.name);
  name_job(runtime, legs, server->http.base_url(), "archive " + job.place.archive.place);
  for (auto const& leg : legs) {
    runtime.report().enter_workspace(leg.source.name);
    auto const end = in_workspace(server, runtime, job.source, Side::source, true, leg.source.name);
    engine::ServerSource source(runtime.context(), end->client,
                                {end->name, end->local_artifacts, true, leg.source.doc});
    auto const place = open_target(runtime, job.place, part);
    co_await engine::transfer(runtime.context(), source, *place.target);
  }
  co_return ExitCode::ok;
}

async::Task<ExitCode> copy_body(Runtime& runtime, const Job& job) {
  auto const from = std::make_shared<ServerEnd>(runtime, job.source, Side::source, false);
  auto const to = std::make_shared<ServerEnd>(runtime, job.destination, Side::destination, false);
  auto workspaces = co_await engine::list_workspaces(from->client);
  auto const legs = co_await legs_to_server(runtime, std::move(workspaces), to->client, job.workspaces, true);
  bool const same = from->http.base_url() == to->http.base_url();
  for (auto const& leg : legs) {
    if (same && (leg.destination == leg.source.name || leg.destination.empty()))
      throw UsageError("source and destination are the same server: " + to->http.base_url());
  }
  name_job(runtime, legs, from->http.base_url(), to->http.base_url());
  for (auto const& leg : legs) {
    runtime.report().enter_workspace(leg.source.name);
    if (co_await is_only_planned(runtime, to->client, leg)) continue;
    auto const end_from = in_workspace(from, runtime, job.source, Side::source, false, leg.source.name);
    auto const end_to = in_workspace(to, runtime, job.destination, Side::destination, false, leg.destination);
    engine::ServerSource source(runtime.context(), end_from->client,
                                {end_from->name, end_from->local_artifacts, true, leg.source.doc});
    engine::ServerTarget target(runtime.context(), end_to->client, state_folder(job.global),
                                end_to->local_artifacts, {leg.destination, &to->client});
    co_await engine::transfer(runtime.context(), source, target);
    if (!job.verify_after || job.global.dry_run) continue;
    engine::ServerSource original(runtime.context(), end_from->client,
                                  {end_from->name, end_from->local_artifacts, false, leg.source.doc});
    auto const workspace = co_await workspace_there(to->client, leg.destination);
    co_await verify_after(runtime, original, *end_to, workspace);
  }
  co_return ExitCode::ok;
}

async::Task<ExitCode> verify_body(Runtime& runtime, const Job& job) {
  bool const from_archive = !job.place.archive.place.empty() || !job.place.folder.empty();
  auto const to = std::make_shared<ServerEnd>(runtime, job.destination, Side::destination, from_archive);
  std::shared_ptr<ServerEnd> from;
  SnapshotParts parts;
  std::vector<engine::Workspace> workspaces;
  if (from_archive) {
    parts = co_await parts_of_place(runtime, job.place);
    workspaces = parts.workspaces;
  } else {
    from = std::make_shared<ServerEnd>(runtime, job.source, Side::source, false);
    workspaces = co_await engine::list_workspaces(from->client);
  }
  auto const legs =
      co_await legs_to_server(runtime, std::move(workspaces), to->client, job.workspaces, !from_archive);
  name_job(runtime, legs, from_archive ? "archive " + place_name(job.place) : from->http.base_url(), to->http.base_url());
  // The copy is read whole: its ids and some of its times are others.
  auto reading_copy = runtime.context();
  reading_copy.options.selection = {};
  for (auto const& leg : legs) {
    runtime.report().enter_workspace(leg.source.name);
    auto const there = co_await workspace_there(to->client, leg.destination);
    if (there.empty() && !leg.destination.empty()) {
      runtime.report().found(engine::Kind::workspace);
      runtime.report().different(engine::Kind::workspace, leg.source.name, "",
                                 {"is missing in the copy, with all that is in it"});
      continue;
    }
    auto const end = in_workspace(to, runtime, job.destination, Side::destination, from_archive, leg.destination);
    engine::ServerSource copy(reading_copy, end->client, {"", end->local_artifacts, false, there});
    std::shared_ptr<ServerEnd> end_from;
    SourcePlace original;
    if (from_archive) {
      original = open_source(runtime, runtime.context(), job.place, parts.snapshot_of(leg.source.name));
    } else {
      end_from = std::make_shared<ServerEnd>(runtime, job.source, Side::source, false, leg.source.name);
      original.source = std::make_unique<engine::ServerSource>(
          runtime.context(), end_from->client,
          engine::ServerSourceOptions{end_from->name, end_from->local_artifacts, true, leg.source.doc});
    }
    co_await engine::compare(runtime.context(), *original.source, copy, job.compare);
  }
  co_return ExitCode::ok;
}

ExitCode run_job(const Job& job, async::Task<ExitCode> (*body)(Runtime&, const Job&), ExitCode (*print)(Runtime&)) {
  Runtime runtime(job.global, selection_of(job.selection));
  return finish(runtime, runtime.run([&] { return body(runtime, job); }), print);
}

ExitCode export_all(const Job& job) {
  auto selection = selection_of(job.selection);
  apply(job.package, job.selection, selection);
  if (job.package.export_version_model && is_archive(job.place))
    throw UsageError("--export-version-model is for a directory (--output-dir): an archive holds each file once");
  auto with_tree = job;
  with_tree.place.tree = tree_export_of(job.package);
  Runtime runtime(job.global, std::move(selection));
  runtime.context().options.version_files = job.package.export_version_model;
  return finish(runtime, runtime.run([&] { return export_body(runtime, with_tree); }), finish_transfer);
}

ExitCode verify(const Job& job) {
  bool const from_place = !job.place.archive.place.empty() || !job.place.folder.empty();
  if (from_place && !job.source.uri.empty())
    throw UsageError("give --archive, --input-dir or --src-mlflow-uri, and one of them only");
  return run_job(job, verify_body, finish_verification);
}

void add_verify_flag(CLI::App& command, Job& job) {
  command
      .add_flag("--verify", job.verify_after,
                "Afterwards read both ends again and compare them, field by field and byte by byte")
      ->envname("MLFERRY_VERIFY");
}

}  // namespace

void add_export_all(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command = app.add_subcommand("export-all", "Back up a whole server into an archive or a directory");
  add_server_options(*command, job->source, Side::source, true);
  add_output_options(*command, job->place);
  add_selection_options(*command, job->selection);
  add_package_selection_options(*command, job->package);
  add_workspace_options(*command, job->workspaces, false);
  add_global_options(*command, job->global);
  add_use_threads(*command, job->global, ThreadsForm::value);
  command->callback([job, &run] { run = [job] { return export_all(*job); }; });
}

void add_import_all(CLI::App& app, Run& run) {
  auto job = std::make_shared<ImportJob>();
  auto* command = app.add_subcommand("import-all", "Restore a whole server from an archive or a directory");
  add_server_options(*command, job->destination, Side::destination, true);
  add_input_options(*command, job->place);
  command
      ->add_flag("--verify", job->verify_after,
                 "Afterwards read both ends again and compare them, field by field and byte by byte")
      ->envname("MLFERRY_VERIFY");
  add_selection_options(*command, job->selection);
  add_workspace_options(*command, job->workspaces, true);
  add_global_options(*command, job->global);
  add_import_all_options(*command, *job);
  command->callback([job, &run] { run = [job] { return run_import(*job); }; });
}

void add_copy_all(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command = app.add_subcommand("copy-all", "Copy a whole server to another one");
  add_server_options(*command, job->source, Side::source, false);
  add_server_options(*command, job->destination, Side::destination, false);
  add_verify_flag(*command, *job);
  add_selection_options(*command, job->selection);
  add_workspace_options(*command, job->workspaces, true);
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return run_job(*job, copy_body, finish_transfer); }; });
}

void add_verify(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command =
      app.add_subcommand("verify", "Compare a server, an archive or a directory with the server that it was copied to");
  add_server_options(*command, job->source, Side::source, false);
  add_server_options(*command, job->destination, Side::destination, false);
  add_input_options(*command, job->place);
  command->add_flag("!--no-data", job->compare.data,
                    "Compare names and sizes of artifacts, not their content");
  add_selection_options(*command, job->selection);
  add_workspace_options(*command, job->workspaces, true);
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return verify(*job); }; });
}

}  // namespace mlferry::cli
