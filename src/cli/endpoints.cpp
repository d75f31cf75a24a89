#include "cli/endpoints.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>

#include <boost/json/serialize.hpp>

#include "cli/report_table.hpp"
#include "storage/backend/folder_backend.hpp"

namespace mlferry::cli {

namespace {

void write_report_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << '\n';
  file.close();
  if (!file)
    throw std::runtime_error("cannot write the report to " + path + ": is the folder there and writable?");
}

void print_report(Runtime& runtime, TableKind kind) {
  auto const& options = runtime.options();
  auto document = runtime.report().to_json();
  if (!options.report_file.empty()) write_report_file(options.report_file, boost::json::serialize(document));
  if (options.json) {
    document["type"] = "report";
    std::fputs((boost::json::serialize(document) + "\n").c_str(), stdout);
  } else {
    std::fputs(report_table(runtime.report(), kind).c_str(), stdout);
  }
  std::fflush(stdout);
}

// What was named and is not there counts as failed; a glob that matches nothing is only told.
void report_unmatched(Runtime& runtime) {
  auto& report = runtime.report();
  // A dry run does not list what would come into a workspace that it would make.
  if (runtime.options().dry_run && report.counts(engine::Kind::workspace).copied > 0) return;
  for (auto const& rule : runtime.context().options.selection.unmatched()) {
    if (rule.is_exact()) {
      report.found(rule.kind);
      report.failed(rule.kind, rule.glob, rule.glob,
                    "the source has none of that name or id (selected by " + rule.text() + ")");
    } else {
      report.notes.push_back("nothing in the source matches " + rule.text());
    }
  }
}

}  // namespace

void add_archive_option(CLI::App& app, ArchiveOptions& options, bool required) {
  auto* option =
      app.add_option("--archive", options.place, "Folder of the archive")->envname("MLFERRY_ARCHIVE");
  if (required) option->required();
}

void add_snapshot_option(CLI::App& app, ArchiveOptions& options) {
  app.add_option("--snapshot", options.snapshot, "Snapshot: an id, the beginning of one, or 'latest'")
      ->envname("MLFERRY_SNAPSHOT")
      ->capture_default_str();
}

namespace {

http::ClientOptions options_in(http::ClientOptions options, const std::string& workspace) {
  if (workspace.empty()) return options;
  options.headers.push_back({workspace_header, workspace});
  return options;
}

}  // namespace

ServerEnd::ServerEnd(Runtime& runtime, const ServerOptions& options, Side side, bool only_server,
                     const std::string& workspace)
    : http(runtime.executor(),
           options_in(client_options(options, side, only_server, runtime.options(), process_environment()),
                      workspace),
           &runtime.new_limiter()),
      client(http),
      local_artifacts(options.local_artifacts || is_this_machine(http.base_url())),
      name(options.name) {}

std::shared_ptr<ServerEnd> in_workspace(std::shared_ptr<ServerEnd> server, Runtime& runtime, const ServerOptions& options,
                                        Side side, bool only_server, const std::string& workspace) {
  if (workspace.empty()) return server;
  return std::make_shared<ServerEnd>(runtime, options, side, only_server, workspace);
}

std::unique_ptr<archive::Archive> open_archive(Runtime& runtime, const ArchiveOptions& options) {
  if (options.place.find("://") != std::string::npos) {
    throw UsageError("'" + options.place + "': archives in buckets come later; give a folder");
  }
  archive::Options settings;
  settings.compression_level = options.compression;
  return std::make_unique<archive::Archive>(
      runtime.executor(), runtime.pool(), runtime.memory(),
      std::make_shared<backend::FolderBackend>(runtime.pool(), options.place), settings);
}

ExitCode finish_transfer(Runtime& runtime) {
  report_unmatched(runtime);
  print_report(runtime, TableKind::transfer);
  if (runtime.report().total_different() > 0) return ExitCode::mismatch;
  bool const whole = runtime.report().total_failed() == 0 && runtime.report().hidden.empty();
  return whole ? ExitCode::ok : ExitCode::some_failed;
}

ExitCode finish_verification(Runtime& runtime) {
  report_unmatched(runtime);
  print_report(runtime, TableKind::verification);
  auto const& report = runtime.report();
  if (report.total_different() > 0) return ExitCode::mismatch;
  for (auto const kind : engine::all_kinds) {
    if (report.counts(kind).skipped + report.counts(kind).failed > 0) return ExitCode::some_failed;
  }
  return report.hidden.empty() ? ExitCode::ok : ExitCode::some_failed;
}

}  // namespace mlferry::cli
