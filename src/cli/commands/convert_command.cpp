#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>

#include "cli/commands/commands.hpp"
#include "cli/places.hpp"
#include "engine/transfer.hpp"

namespace mlferry::cli {

namespace {

struct ConvertJob {
  GlobalOptions global;
  PlaceOptions from, to;
};

bool same_place(const std::string& one, const std::string& other) {
  std::error_code error;
  return std::filesystem::equivalent(one, other, error);
}

ExitCode convert(const ConvertJob& job) {
  auto const& to = job.to.folder.empty() ? job.to.archive.place : job.to.folder;
  if (same_place(job.from.folder, to))
    throw UsageError("--from and the place to write to are the same folder: " + to);
  Runtime runtime(job.global);
  auto from = open_source(runtime, runtime.context(), job.from);
  auto target = open_target(runtime, job.to);
  auto body = [&]() -> async::Task<ExitCode> {
    auto const parts = co_await parts_of_place(runtime, job.from);
    if (parts.snapshots.size() > 1)
      throw UsageError(job.from.folder + " holds " + std::to_string(parts.snapshots.size()) +
                       " workspaces, and one at a time can be converted: choose its snapshot with --snapshot "
                       "(`mlferry snapshots` lists them)");
    co_await engine::transfer(runtime.context(), *from.source, *target.target);
    co_return ExitCode::ok;
  };
  auto const code = runtime.run(body);
  return code == ExitCode::ok ? finish_transfer(runtime) : code;
}

}  // namespace

void add_convert(CLI::App& app, Run& run) {
  auto job = std::make_shared<ConvertJob>();
  auto* command = app.add_subcommand(
      "convert", "Make an archive of a directory of mlflow-export-import, or such a directory of an archive");
  command->add_option("--from", job->from.folder, "A directory or an archive: found out by itself")
      ->required();
  add_snapshot_option(*command, job->from.archive);
  add_output_options(*command, job->to);
  add_global_options(*command, job->global);
  command->callback([job, &run] { run = [job] { return convert(*job); }; });
}

}  // namespace mlferry::cli
