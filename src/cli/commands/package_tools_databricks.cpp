// Tools of the package that do nothing without a Databricks server: their options are checked, then they are
// refused.

#include <CLI/CLI.hpp>

#include <limits>

#include "cli/commands/package_tools.hpp"
#include "cli/package_options.hpp"
#include "protocol/mlflow/json.hpp"

namespace mlferry::cli {

namespace {

struct NotebookTool {
  std::string output_dir, notebook, revision, formats = "SOURCE";
};

struct SubmitTool {
  std::string profile, spec_file;
  std::int64_t sleep_seconds = 5, timeout_seconds = std::numeric_limits<std::int64_t>::max();
  bool verbose = false;
};

ExitCode download_notebook(const NotebookTool& tool) {
  auto const formats = list_or_file("--notebook-formats", tool.formats);
  for (auto format : formats) {
    for (auto& c : format) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    bool const known = format == "SOURCE" || format == "HTML" || format == "JUPYTER" || format == "DBC";
    if (!known)
      throw UsageError("--notebook-formats: '" + format + "' is none of SOURCE, HTML, JUPYTER, DBC");
  }
  if (!tool.notebook.starts_with('/'))
    throw UsageError("--notebook: '" + tool.notebook + "' is no path of a workspace: it begins with /");
  if (tool.revision.find_first_not_of("0123456789") != tool.revision.npos)
    throw UsageError("--revision: '" + tool.revision + "' is no timestamp in milliseconds");
  refuse_databricks("download-notebook");
}

ExitCode run_submit(const SubmitTool& tool) {
  auto const text = read_text_file("--spec-file", tool.spec_file);
  try {
    if (!mlflow::parse_json(text, tool.spec_file).is_object())
      throw UsageError("--spec-file: " + tool.spec_file + " is no JSON object");
  } catch (const mlflow::JsonError& error) {
    throw UsageError(std::string("--spec-file is no JSON: ") + error.what());
  }
  refuse_databricks("run-submit");
}

}  // namespace

void add_download_notebook(CLI::App& app, Run& run) {
  auto tool = std::make_shared<NotebookTool>();
  auto* command = app.add_subcommand("download-notebook",
                                     "Download a notebook (Databricks only: refused by this version)");
  command->add_option("--output-dir", tool->output_dir, "Folder for NOTEBOOK.FORMAT")->required();
  command->add_option("--notebook", tool->notebook, "Path in the workspace")->required();
  command->add_option("--revision", tool->revision, "Revision's timestamp; default: the latest");
  command->add_option("--notebook-formats", tool->formats, "SOURCE, HTML, JUPYTER, DBC, with commas between")
      ->capture_default_str();
  command->callback([tool, &run] { run = [tool] { return download_notebook(*tool); }; });
}

void add_run_submit(CLI::App& app, Run& run) {
  auto tool = std::make_shared<SubmitTool>();
  auto* command = app.add_subcommand(
      "run-submit", "Submit a job run and wait for it (Databricks only: refused by this version)");
  command->add_option("--profile", tool->profile, "Profile of .databrickscfg");
  command->add_option("--spec-file", tool->spec_file, "JSON file for jobs/runs/submit")->required();
  command->add_option("--sleep-seconds", tool->sleep_seconds, "Pause between two looks")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--timeout-seconds", tool->timeout_seconds, "When to give up; default: never")
      ->check(CLI::PositiveNumber);
  add_bool_value(*command, "--verbose", tool->verbose, "Say more");
  command->callback([tool, &run] { run = [tool] { return run_submit(*tool); }; });
}

}  // namespace mlferry::cli
