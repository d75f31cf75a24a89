#include <CLI/CLI.hpp>

#include <memory>

#include "cli/commands/commands.hpp"
#include "cli/places.hpp"
#include "engine/compare.hpp"
#include "engine/transfer.hpp"

namespace mlferry::cli {

namespace {

// Everything a command of this file may take; each adds only its own options.
struct Job {
  GlobalOptions global;
  ServerOptions source, destination;
  ArchiveOptions archive;
  PlaceOptions place;
  engine::CompareOptions compare;
  bool verify_after = false;
};

// --verify: reads both ends anew and adds what it finds to the job's report.
async::Task<> verify_after(Runtime& runtime, std::unique_ptr<engine::Source> original, mlflow::Client& client,
                           bool local_artifacts) {
  auto& context = runtime.context();
  engine::Report comparison;
  engine::Context const reading{context.executor, context.pool,    context.memory, context.transfers,
                                comparison,       context.options, context.log};
  engine::ServerSource copy(reading, client, {"", local_artifacts, false});
  co_await engine::compare(reading, *original, copy, {});
  runtime.report().take_verification(comparison);
}

// The report is printed when the loop has ended, so that its time is whole.
ExitCode finish(Runtime& runtime, ExitCode code, ExitCode (*print)(Runtime&)) {
  if (code != ExitCode::ok) return code;
  return print(runtime);
}

ExitCode export_all(const Job& job) {
  Runtime runtime(job.global);
  ServerEnd server(runtime, job.source, Side::source, true);
  engine::ServerSource source(runtime.context(), server.client, {server.name, server.local_artifacts, true});
  auto place = open_target(runtime, job.place);
  auto body = [&]() -> async::Task<ExitCode> {
    co_await engine::transfer(runtime.context(), source, *place.target);
    co_return ExitCode::ok;
  };
  return finish(runtime, runtime.run(body), finish_transfer);
}

ExitCode import_all(const Job& job) {
  Runtime runtime(job.global);
  ServerEnd server(runtime, job.destination, Side::destination, true);
  auto place = open_source(runtime, runtime.context(), job.place);
  engine::ServerTarget target(runtime.context(), server.client, state_folder(job.global),
                              server.local_artifacts);
  auto body = [&]() -> async::Task<ExitCode> {
    co_await engine::transfer(runtime.context(), *place.source, target);
    if (job.verify_after && !job.global.dry_run) {
      // What cannot be read there is in the report already.
      auto const& context = runtime.context();
      engine::Report unseen;
      engine::Context const quiet{context.executor, context.pool,    context.memory, context.transfers,
                                  unseen,           context.options, context.log};
      auto original = open_source(runtime, quiet, job.place);
      co_await verify_after(runtime, std::move(original.source), server.client, server.local_artifacts);
    }
    co_return ExitCode::ok;
  };
  return finish(runtime, runtime.run(body), finish_transfer);
}

ExitCode copy_all(const Job& job) {
  Runtime runtime(job.global);
  ServerEnd from(runtime, job.source, Side::source, false);
  ServerEnd to(runtime, job.destination, Side::destination, false);
  if (from.http.base_url() == to.http.base_url())
    throw UsageError("source and destination are the same server: " + to.http.base_url());
  engine::ServerSource source(runtime.context(), from.client, {from.name, from.local_artifacts, true});
  engine::ServerTarget target(runtime.context(), to.client, state_folder(job.global), to.local_artifacts);
  auto body = [&]() -> async::Task<ExitCode> {
    co_await engine::transfer(runtime.context(), source, target);
    if (job.verify_after && !job.global.dry_run) {
      auto original = std::make_unique<engine::ServerSource>(
          runtime.context(), from.client, engine::ServerSourceOptions{from.name, from.local_artifacts, false});
      co_await verify_after(runtime, std::move(original), to.client, to.local_artifacts);
    }
    co_return ExitCode::ok;
  };
  return finish(runtime, runtime.run(body), finish_transfer);
}

ExitCode verify(const Job& job) {
  bool const from_archive = !job.archive.place.empty();
  if (from_archive && !job.source.uri.empty())
    throw UsageError("give --archive or --src-mlflow-uri, not both");
  Runtime runtime(job.global);
  ServerEnd to(runtime, job.destination, Side::destination, from_archive);
  engine::ServerSource copy(runtime.context(), to.client, {"", to.local_artifacts, false});
  std::unique_ptr<ServerEnd> from;
  std::unique_ptr<archive::Archive> archive;
  std::unique_ptr<engine::Source> original;
  if (from_archive) {
    archive = open_archive(runtime, job.archive);
    original = std::make_unique<engine::ArchiveSource>(runtime.context(), *archive, job.archive.place,
                                                       job.archive.snapshot);
  } else {
    from = std::make_unique<ServerEnd>(runtime, job.source, Side::source, false);
    original = std::make_unique<engine::ServerSource>(
        runtime.context(), from->client,
        engine::ServerSourceOptions{from->name, from->local_artifacts, true});
  }
  auto body = [&]() -> async::Task<ExitCode> {
    co_await engine::compare(runtime.context(), *original, copy, job.compare);
    co_return ExitCode::ok;
  };
  return finish(runtime, runtime.run(body), finish_verification);
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
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return export_all(*job); }; });
}

void add_import_all(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command = app.add_subcommand("import-all", "Restore a whole server from an archive or a directory");
  add_server_options(*command, job->destination, Side::destination, true);
  add_input_options(*command, job->place);
  add_verify_flag(*command, *job);
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return import_all(*job); }; });
}

void add_copy_all(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command = app.add_subcommand("copy-all", "Copy a whole server to another one");
  add_server_options(*command, job->source, Side::source, false);
  add_server_options(*command, job->destination, Side::destination, false);
  add_verify_flag(*command, *job);
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return copy_all(*job); }; });
}

void add_verify(CLI::App& app, Run& run) {
  auto job = std::make_shared<Job>();
  auto* command =
      app.add_subcommand("verify", "Compare a server or an archive with the server that it was copied to");
  add_server_options(*command, job->source, Side::source, false);
  add_server_options(*command, job->destination, Side::destination, false);
  add_archive_option(*command, job->archive, false);
  add_snapshot_option(*command, job->archive);
  command->add_flag("!--no-data", job->compare.data,
                    "Compare names and sizes of artifacts, not their content");
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return verify(*job); }; });
}

}  // namespace mlferry::cli
