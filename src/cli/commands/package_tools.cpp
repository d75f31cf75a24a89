#include "cli/commands/package_tools.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "storage/tree/python_json.hpp"

namespace mlferry::cli {

void add_package_tools(CLI::App& app, Run& run) {
  add_http_client(app, run);
  add_get_model_signature(app, run);
  add_set_model_signature(app, run);
  add_list_model_versions_without_signatures(app, run);
  add_find_artifacts(app, run);
  add_list_registered_models(app, run);
  add_rewrite_export(app, run);
  add_filter_one_model(app, run);
  add_download_notebook(app, run);
  add_run_submit(app, run);
}

void add_tool_server(CLI::App& command, ToolServer& tool, Requests requests, Files files) {
  add_server_options(command, tool.server, Side::source, true);
  // Names the source of copies, of which there are none here.
  command.remove_option(command.get_option("--src-name"));
  if (files == Files::none) command.remove_option(command.get_option("--src-local-artifacts"));
  if (requests == Requests::many) add_rate_options(command, tool.global);
  add_request_options(command, tool.global);
}

ExitCode run_tool(const GlobalOptions& global, ToolBody body) {
  auto quiet = global;
  quiet.no_progress = true;
  Runtime runtime(quiet);
  auto const code = runtime.run([&] { return body(runtime); });
  if (std::fflush(stdout) != 0) return ExitCode::other;
  return code;
}

void log_info(Runtime& runtime, const std::string& text) {
  runtime.context().log(engine::LogLevel::info, text);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    throw std::runtime_error("cannot write to standard output");
}

void write_text_file(const std::string& path, std::string_view text) {
  std::error_code unknown;
  auto const type = std::filesystem::symlink_status(path, unknown).type();
  // A pipe, a device or a link such as /dev/stdout is written to, not replaced.
  bool const replaces =
      type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  auto const temporary = replaces ? path + ".mlferry-tmp" : path;
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code error;
  if (file && replaces) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    if (replaces) std::filesystem::remove(temporary, unknown);
    throw std::runtime_error("cannot write " + path + ": is the folder there and writable?");
  }
}

std::string pretty_json(const boost::json::value& value) {
  std::string text;
  tree::JsonWriter writer([&text](std::string_view part) { text += part; });
  writer.value(value);
  writer.finish();
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace mlferry::cli
