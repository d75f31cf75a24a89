#include "cli/selection_options.hpp"

#include <CLI/CLI.hpp>

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
  for (auto const& glob : globs) rules.push_back({kind, glob});
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
           "Only these experiments with all that is in them: names, ids or globs");
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

}  // namespace mlferry::cli
