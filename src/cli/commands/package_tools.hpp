#pragma once
// What the tools of the package mlflow-export-import share, and one function each to add them.

#include <functional>
#include <memory>
#include <string>

#include "cli/commands/commands.hpp"
#include "cli/endpoints.hpp"
#include "cli/package_options.hpp"

namespace mlferry::cli {

void add_http_client(CLI::App& app, Run& run);
void add_get_model_signature(CLI::App& app, Run& run);
void add_set_model_signature(CLI::App& app, Run& run);
void add_list_model_versions_without_signatures(CLI::App& app, Run& run);
void add_find_artifacts(CLI::App& app, Run& run);
void add_list_registered_models(CLI::App& app, Run& run);
void add_rewrite_export(CLI::App& app, Run& run);
void add_filter_one_model(CLI::App& app, Run& run);
void add_download_notebook(CLI::App& app, Run& run);
void add_run_submit(CLI::App& app, Run& run);

// The server that a tool asks; MLFLOW_TRACKING_URI unless --src-mlflow-uri names one.
struct ToolServer {
  GlobalOptions global;
  ServerOptions server;
};
enum class Requests { few, many };
// Whether files that lie in folders of this machine may be read and written there.
enum class Files { none, local };
void add_tool_server(CLI::App& command, ToolServer& tool, Requests requests, Files files = Files::none);

// Runs the tool's body on an event loop, without progress view or report.
using ToolBody = std::function<async::Task<ExitCode>(Runtime&)>;
ExitCode run_tool(const GlobalOptions& global, ToolBody body);

void log_info(Runtime& runtime, const std::string& text);

// To stdout; throws when it cannot be written.
void print(std::string_view text);
// A regular file appears whole, in the place of another one.
void write_text_file(const std::string& path, std::string_view text);

// JSON as Python's json.dumps(…, indent=2) writes it, without a line feed at the end.
std::string pretty_json(const boost::json::value& value);

}  // namespace mlferry::cli
