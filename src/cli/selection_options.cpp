#include "cli/selection_options.hpp"

#include <CLI/CLI.hpp>

#include "cli/commands/package_export_job.hpp"
#include "cli/package_options.hpp"
#include "cli/server_options.hpp"

namespace mlferry::cli {

namespace {

constexpr const char* group = "Selection";

// A CLI11 list: at commas and by repeating the option.
void add_list(CLI::App& app, const char* name, std::vector<std::string>& values, const char* variable, const char* help) {
  app.add_option(name, values, help)->envname(variable)->delimiter(',')->allow_extra_args(false)->group(group);
}

void add_rules(const char* option, const std::vector<std::string>& texts, std::vector<engine::SelectionRule>& rules) {
  for (auto const& text : texts) {
    try {
      rules.push_back(engine::parse_selection_rule(text));
    } catch (const engine::SelectionError& error) {
      throw UsageError(std::string(option) + ": " + error.what());
    }
  }
}

void add_names(engine::Kind kind, const std::vector<std::string>& globs, std::vector<engine::SelectionRule>& rules) {
  for (auto const& glob : globs) rules.push_back(engine::selection_rule_for(kind, glob));
}

std::int64_t time_of(const char* option, const std::string& text, bool end) {
  try {
    return engine::parse_time(text, end);
  } catch (const engine::SelectionError& error) {
    throw UsageError(std::string(option) + ": " + error.what());
  }
}

}  // namespace

void add_selection_options(CLI::App& app, SelectionOptions& options) {
  add_list(app, "--kinds", options.kinds, "MLFERRY_KINDS",
           "Only these kinds (run,trace,model,prompt,…); experiments come along as places");
  add_list(app, "--experiments", options.experiments, "MLFERRY_EXPERIMENTS",
           "Only these experiments with all that is in them: names, ids (id:7 or name:7 where it may be either) or globs");
  add_list(app, "--models", options.models, "MLFERRY_MODELS", "Only these registered models: names or globs");
  add_list(app, "--prompts", options.prompts, "MLFERRY_PROMPTS", "Only these prompts: names or globs");
  // No delimiter: a name may hold commas.
  app.add_option("--include", options.include, "Only what one --include matches: KIND or KIND:GLOB of name or id; repeatable")
      ->envname("MLFERRY_INCLUDE")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--exclude", options.exclude, "Not what this matches: KIND or KIND:GLOB of name or id; repeatable")
      ->envname("MLFERRY_EXCLUDE")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--since", options.since,
                 "Runs, traces and logged models from this time on (2026-11-24, 2026-11-24T10:00Z, ms); UTC")
      ->envname("MLFERRY_SINCE")
      ->group(group);
  app.add_option("--until", options.until, "The same up to this time, itself included")
      ->envname("MLFERRY_UNTIL")
      ->group(group);
  app.add_option("--lifecycle", options.lifecycle, "all, active or deleted")
      ->envname("MLFERRY_LIFECYCLE")
      ->check(CLI::IsMember({"all", "active", "deleted"}))
      ->capture_default_str()
      ->group(group);
}

engine::Selection selection_of(const SelectionOptions& options) {
  engine::Selection selection;
  for (auto const& word : options.kinds) {
    auto const kind = engine::selectable_kind(word);
    if (!kind) throw UsageError("--kinds: '" + word + "' is no kind that can be selected; `mlferry kinds` lists them");
    selection.kinds.insert(*kind);
  }
  add_names(engine::Kind::experiment, options.experiments, selection.include);
  add_names(engine::Kind::registered_model, options.models, selection.include);
  add_names(engine::Kind::prompt, options.prompts, selection.include);
  add_rules("--include", options.include, selection.include);
  add_rules("--exclude", options.exclude, selection.exclude);
  if (!options.since.empty()) selection.since = time_of("--since", options.since, false);
  if (!options.until.empty()) selection.until = time_of("--until", options.until, true);
  if (selection.since && selection.until && *selection.since > *selection.until)
    throw UsageError("--since is later than --until: nothing would be selected");
  if (options.lifecycle == "active") selection.lifecycle = engine::Lifecycle::active;
  if (options.lifecycle == "deleted") selection.lifecycle = engine::Lifecycle::deleted;
  return selection;
}

void add_package_selection_options(CLI::App& app, PackageSelectionOptions& options) {
  app.add_option("--stages", options.stages,
                 "Only model versions of these stages: a comma list of Production, Staging, Archived, None")
      ->group(group);
  add_bool_value(app, "--export-latest-versions", options.export_latest_versions,
                 "Of each stage only a model's latest version")
      ->group(group);
  app.add_option("--run-start-time", options.run_start_time,
                 "Only runs that started at this time or later, with their logged models and traces; UTC")
      ->group(group);
  app.add_option("--runs-until", options.runs_until, "Only runs that started before this time; UTC")->group(group);
  auto const set = [&options](const std::string& text) {
    options.export_deleted_runs = parse_bool(text);
    if (!options.export_deleted_runs)
      throw CLI::ValidationError("--export-deleted-runs", "'" + text + "' is neither true nor false");
  };
  app.add_option_function<std::string>("--export-deleted-runs", set,
                                       "false: without what is deleted; true: a directory lists deleted runs as "
                                       "mlflow-export-import does (default: they are taken, and listed apart)")
      ->type_name("BOOL")
      ->group(group);
  add_bool_value(app, "--export-version-model", options.export_version_model,
                 "In a directory: each model version's files also in version_models/");
  add_bool_value(app, "--export-permissions", options.export_permissions,
                 "Databricks permissions: refused, other servers have none");
  app.add_option("--notebook-formats", options.notebook_formats,
                 "Databricks notebooks: refused, other servers have none");
}

void apply(const PackageSelectionOptions& options, const SelectionOptions& others, engine::Selection& selection) {
  refuse_databricks(options.export_permissions, options.notebook_formats);
  selection.model_versions.stages = read_stages(options.stages);
  if (!options.stages.empty() && selection.model_versions.stages.empty()) throw UsageError("--stages names nothing");
  selection.model_versions.latest = options.export_latest_versions;
  if (!options.run_start_time.empty() || !options.runs_until.empty()) {
    if (!others.since.empty() || !others.until.empty())
      throw UsageError("give --since and --until, or --run-start-time and --runs-until");
    read_time_window(options.run_start_time, options.runs_until, selection);
  }
  if (options.export_deleted_runs) {
    if (others.lifecycle != "all") throw UsageError("give --lifecycle or --export-deleted-runs");
    selection.lifecycle = lifecycle_of(*options.export_deleted_runs);
  }
}

engine::TreeExport tree_export_of(const PackageSelectionOptions& options) {
  engine::TreeExport what;
  what.stages = text_or_null(options.stages);
  what.run_start_time = text_or_null(options.run_start_time);
  what.runs_until = text_or_null(options.runs_until);
  what.export_latest_versions = options.export_latest_versions;
  what.export_version_model = options.export_version_model;
  what.export_deleted_runs = options.export_deleted_runs.value_or(true);
  what.deleted_in_lists = options.export_deleted_runs.value_or(false);
  return what;
}

}  // namespace mlferry::cli
