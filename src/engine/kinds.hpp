#pragma once
// The kinds of objects that jobs move, in the order of the report.

#include <array>
#include <string_view>

namespace mlferry::engine {

enum class Kind {
  workspace,
  experiment,
  run,
  logged_model,
  registered_model,
  model_version,
  prompt,
  prompt_version,
  trace,
  label_schema,
  scorer,
  evaluation_dataset,
  issue,
  review_queue,
  mcp_server,
  gateway_secret,
  gateway_model_definition,
  gateway_endpoint,
  gateway_guardrail,
  gateway_budget,
  user,
  role,
  webhook,
  artifact
};

struct KindNames {
  Kind kind;
  std::string_view name;   // in archives, reports and JSON
  std::string_view label;  // in tables and sentences
};
inline constexpr std::array kind_names{
    KindNames{Kind::workspace, "workspace", "workspaces"},
    KindNames{Kind::experiment, "experiment", "experiments"},
    KindNames{Kind::run, "run", "runs"},
    KindNames{Kind::logged_model, "logged_model", "logged models"},
    KindNames{Kind::registered_model, "registered_model", "registered models"},
    KindNames{Kind::model_version, "model_version", "model versions"},
    KindNames{Kind::prompt, "prompt", "prompts"},
    KindNames{Kind::prompt_version, "prompt_version", "prompt versions"},
    KindNames{Kind::trace, "trace", "traces"},
    KindNames{Kind::label_schema, "label_schema", "label schemas"},
    KindNames{Kind::scorer, "scorer", "scorers"},
    KindNames{Kind::evaluation_dataset, "evaluation_dataset", "evaluation datasets"},
    KindNames{Kind::issue, "issue", "issues"},
    KindNames{Kind::review_queue, "review_queue", "review queues"},
    KindNames{Kind::mcp_server, "mcp_server", "MCP servers"},
    KindNames{Kind::gateway_secret, "gateway_secret", "gateway secrets"},
    KindNames{Kind::gateway_model_definition, "gateway_model_definition", "gateway model definitions"},
    KindNames{Kind::gateway_endpoint, "gateway_endpoint", "gateway endpoints"},
    KindNames{Kind::gateway_guardrail, "gateway_guardrail", "gateway guardrails"},
    KindNames{Kind::gateway_budget, "gateway_budget", "gateway budgets"},
    KindNames{Kind::user, "user", "users"},
    KindNames{Kind::role, "role", "roles"},
    KindNames{Kind::webhook, "webhook", "webhooks"},
    KindNames{Kind::artifact, "artifact", "artifacts"},
};
inline constexpr std::size_t kind_count = kind_names.size();

namespace detail {
constexpr auto kinds_of(const std::array<KindNames, kind_count>& names) {
  std::array<Kind, kind_count> kinds{};
  for (std::size_t i = 0; i < kind_count; ++i) kinds[i] = names[i].kind;
  return kinds;
}
constexpr bool in_order(const std::array<KindNames, kind_count>& names) {
  for (std::size_t i = 0; i < kind_count; ++i) {
    if (static_cast<std::size_t>(names[i].kind) != i) return false;
  }
  return true;
}
}  // namespace detail
static_assert(detail::in_order(kind_names));

inline constexpr std::array all_kinds = detail::kinds_of(kind_names);

// "logged_model"
constexpr std::string_view kind_name(Kind kind) {
  return kind_names[static_cast<std::size_t>(kind)].name;
}

// "logged models"
constexpr std::string_view kind_label(Kind kind) {
  return kind_names[static_cast<std::size_t>(kind)].label;
}

}  // namespace mlferry::engine
