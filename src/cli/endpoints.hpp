#pragma once
// Builds the two ends of a job from the options.

#include <memory>
#include <string>

#include "cli/runtime.hpp"
#include "cli/server_options.hpp"
#include "engine/endpoints/archive_source.hpp"
#include "engine/endpoints/archive_target.hpp"
#include "engine/endpoints/server_source.hpp"
#include "engine/endpoints/server_target.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"

namespace mlferry::cli {

struct ArchiveOptions {
  std::string place;  // --archive: a folder
  std::string snapshot = "latest";
  int compression = 1;
};

void add_archive_option(CLI::App& app, ArchiveOptions& options, bool required);
void add_snapshot_option(CLI::App& app, ArchiveOptions& options);

// A connection to one server; outlives the source or target made of it.
struct ServerEnd {
  // `workspace`: that its requests name; "": none.
  ServerEnd(Runtime& runtime, const ServerOptions& options, Side side, bool only_server,
            const std::string& workspace = {});
  http::Client http;
  mlflow::Client client;
  bool local_artifacts;
  std::string name;
};

// `server` itself when there is no workspace to name: what was learned of it is not asked again. Else a connection of
// its own, with the same options.
std::shared_ptr<ServerEnd> in_workspace(std::shared_ptr<ServerEnd> server, Runtime& runtime, const ServerOptions& options,
                                        Side side, bool only_server, const std::string& workspace);

std::unique_ptr<archive::Archive> open_archive(Runtime& runtime, const ArchiveOptions& options);

// Prints the finished report as the options ask; returns the exit code that it means.
ExitCode finish_transfer(Runtime& runtime);
ExitCode finish_verification(Runtime& runtime);

}  // namespace mlferry::cli
