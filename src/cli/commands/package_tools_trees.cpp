// rewrite-export and filter-one-model: plain directories changed and cut, without a server.

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include "cli/commands/package_tools.hpp"
#include "cli/report_table.hpp"
#include "engine/tools/model_filter.hpp"
#include "engine/tools/rewrite_rules.hpp"
#include "engine/tools/tree_rewrite.hpp"

namespace mlferry::cli {

namespace {

struct RewriteTool {
  GlobalOptions global;
  std::string input_dir, rules, command, module;
};

struct FilterTool {
  GlobalOptions global;
  engine::ModelFilter filter;
};

// The rules, and how often each was applied.
struct Rules {
  std::vector<engine::RewriteRule> rules;
  std::vector<std::size_t> changes;
};

std::shared_ptr<Rules> read_rules(const std::string& file) {
  auto const text = read_text_file("--rules", file);
  try {
    auto rules = engine::parse_rules(text);
    auto const count = rules.size();
    return std::make_shared<Rules>(Rules{std::move(rules), std::vector<std::size_t>(count, 0)});
  } catch (const engine::BadRules& error) {
    throw UsageError("--rules: " + file + ": " + error.what());
  }
}

engine::RewriteFile by_rules(std::shared_ptr<Rules> rules) {
  return [rules](const std::string& path, boost::json::value document) {
    for (std::size_t i = 0; i < rules->rules.size(); ++i) {
      if (engine::applies_to(rules->rules[i], path))
        rules->changes[i] += engine::apply_rule(rules->rules[i], document);
    }
    return document;
  };
}

void print_line(std::FILE* to, std::string text) {
  std::fputs((printable(std::move(text)) + "\n").c_str(), to);
}

async::Task<ExitCode> rewrite_body(Runtime& runtime, const RewriteTool& tool) {
  if (!tool.module.empty()) {
    throw UsageError(
        "--custom-rewriters-module is Python code, which mlferry does not run: write the changes as --rules "
        "FILE, or give "
        "--command PROGRAM that reads each object as JSON and prints the new one");
  }
  if (tool.rules.empty() == tool.command.empty())
    throw UsageError("give --rules or --command, and one of them only");
  auto const rules = tool.rules.empty() ? nullptr : read_rules(tool.rules);
  engine::RewriteFile rewrite = [&tool](const std::string& path, boost::json::value document) {
    return engine::rewrite_by_command(tool.command, path, document);
  };
  if (rules) rewrite = by_rules(rules);
  bool const dry_run = runtime.options().dry_run;
  auto const result =
      co_await engine::rewrite_tree(runtime.context(), tool.input_dir, std::move(rewrite), dry_run);
  for (std::size_t i = 0; rules && i < rules->changes.size(); ++i) {
    if (rules->changes[i] == 0)
      print_line(stderr, fmt::format("mlferry: warning: rule {} changed nothing", i + 1));
  }
  for (auto const& [path, why] : result.failed) print_line(stderr, "mlferry: error: " + path + ": " + why);
  print_line(stdout, fmt::format("{} files read, {} {}, {} failed", result.files, result.changed,
                                 dry_run ? "would change" : "changed", result.failed.size()));
  co_return result.failed.empty() ? ExitCode::ok : ExitCode::some_failed;
}

async::Task<ExitCode> filter_body(Runtime& runtime, const FilterTool& tool) {
  engine::FilteredModel done;
  try {
    done = co_await engine::filter_model(runtime.context(), tool.filter);
  } catch (const engine::BadFilter& error) {
    throw UsageError(error.what());
  }
  for (auto const& note : done.notes) print_line(stderr, "mlferry: warning: " + note);
  print_line(stdout, fmt::format("model '{}' with {} versions, {} experiments, {} files", tool.filter.model,
                                 done.versions, done.experiments.size(), done.files));
  co_return done.notes.empty() ? ExitCode::ok : ExitCode::some_failed;
}

}  // namespace

void add_rewrite_export(CLI::App& app, Run& run) {
  auto tool = std::make_shared<RewriteTool>();
  auto* command = app.add_subcommand("rewrite-export",
                                     "Change models, experiments and runs in a directory that was exported");
  command
      ->add_option("--input-dir", tool->input_dir,
                   "Directory of an export; it is changed, with backups *.json.backup")
      ->required();
  command->add_option("--rules", tool->rules,
                      "JSON file of changes (docs/coming-from-mlflow-export-import.md)");
  command->add_option("--command", tool->command,
                      "Shell command that reads an object's JSON and prints the new one");
  command->add_option("--custom-rewriters-module", tool->module, "Python code of the package: refused");
  command->add_flag("-n,--dry-run", tool->global.dry_run, "Say how many files would change, write nothing")
      ->envname("MLFERRY_DRY_RUN");
  command->callback([tool, &run] {
    run = [tool] {
      return run_tool(tool->global, [tool](Runtime& runtime) { return rewrite_body(runtime, *tool); });
    };
  });
}

void add_filter_one_model(CLI::App& app, Run& run) {
  auto tool = std::make_shared<FilterTool>();
  auto* command = app.add_subcommand("filter-one-model",
                                     "Copy one model and its experiments out of an export's directory");
  command->add_option("--input-dir", tool->filter.input, "Directory of export-models or export-all")
      ->required();
  command->add_option("--output-dir", tool->filter.output, "New directory")->required();
  command->add_option("--src-model", tool->filter.model, "The model")->required();
  command->add_option("--dst-model", tool->filter.new_model,
                      "Its name in the new directory; default: the same");
  command->add_option("--dst-experiment", tool->filter.new_experiment,
                      "The experiment's name in the new directory, when there is one; default: the same");
  command->callback([tool, &run] {
    run = [tool] {
      return run_tool(tool->global, [tool](Runtime& runtime) { return filter_body(runtime, *tool); });
    };
  });
}

}  // namespace mlferry::cli
