#include "engine/coverage.hpp"

#include <array>

namespace mlferry::engine {

namespace {

constexpr std::string_view not_settable = "no call sets it";

constexpr std::array rows{
    Coverage{Kind::workspace,
             {},
             "list, then each one's objects",
             "name, description, proxied artifact root, archival of traces",
             "artifact roots in buckets",
             "nothing could be written there yet: `follow_up` in the report"},
    Coverage{Kind::experiment,
             {},
             "search, deleted ones too",
             "name, tags, deleted or not",
             "id, times, artifact location",
             "made by the server; kept in tags"},
    Coverage{Kind::run,
             {},
             "search, bulk histories, GraphQL",
             "all fields, params, tags, histories, inputs, outputs, nesting, deleted or not",
             "id, artifact URI, empty name, time of deletion",
             not_settable},
    Coverage{Kind::logged_model,
             {},
             "search; deleted ones by the runs that name them",
             "all fields, params, tags, metrics, links, status, deleted or not",
             "id, times, NaN metrics, deleted ones that no run names",
             "no call sets or lists them"},
    Coverage{Kind::registered_model, {}, "search", "name, description, tags, aliases", "times", not_settable},
    Coverage{Kind::model_version,
             {},
             "search; one by one where a prompt tag hides them",
             "number with gaps, stage, aliases, tags, description, source, files",
             "times, user, a status that is not READY, deleted numbers after the last one",
             not_settable},
    Coverage{Kind::prompt, {}, "search", "name, description, tags, aliases", "times", not_settable},
    Coverage{Kind::prompt_version,
             {},
             "one by one",
             "number with gaps, text, tags, aliases, description",
             "times",
             not_settable},
    Coverage{Kind::trace,
             {},
             "search, spans one by one, links by a search each",
             "id, times, state, spans, files, assessments with ids, links to runs and prompts",
             "microseconds of the request's time; all on destinations before 3.2",
             "the API rounds; older servers give new ids"},
    Coverage{Kind::label_schema, {}, "list, where asking changes nothing (see below)", "all fields", "id, times, author; those of deleted experiments", "no call sets or lists them"},
    Coverage{Kind::scorer,
             {},
             "list, versions one by one",
             "name, text of every version, numbers with gaps, online scoring",
             "id, times; scorers of deleted experiments",
             "no call sets or lists them"},
    Coverage{Kind::evaluation_dataset,
             {},
             "search, records page by page",
             "name, tags, experiments, records with inputs, outputs, expectations, tags, source",
             "ids, times, author",
             "made by the server; kept in tags"},
    Coverage{Kind::issue, {}, "search", "all fields, run and experiment", "id, times", not_settable},
    Coverage{Kind::review_queue, {}, "list an experiment, items page by page", "name, type, users, schemas, items with status", "id, times; those of deleted experiments", "no call sets or lists them"},
    Coverage{Kind::mcp_server, {}, "list, versions, endpoints", "all fields, versions, tags, aliases, endpoints", "times, author", not_settable},
    Coverage{Kind::gateway_secret, {}, "list", "name, provider, settings, author", "the value", "no server gives it out: `follow_up` in the report"},
    Coverage{Kind::gateway_model_definition, {}, "list", "name, secret, provider, model, author", "id, times", not_settable},
    Coverage{Kind::gateway_endpoint, {}, "list, bindings", "name, models with weights, routing, fallback, experiment, tags, bindings",
             "id, times; endpoints without models", "no call sets or lists them"},
    Coverage{Kind::gateway_guardrail, {}, "list, one question an endpoint", "scorer and version, stage, action, endpoints with order", "id, times, author", not_settable},
    Coverage{Kind::gateway_budget, {}, "list", "all values, author", "id, times, what is spent", not_settable},
    Coverage{Kind::user,
             {},
             "list (MLflow 3.10 and later), as an administrator",
             "name, administrator or not, grants of its own; nothing is taken from users that are there",
             "password; grants on objects that are gone",
             "never readable: a random one and `follow_up` in the report"},
    Coverage{Kind::role,
             {},
             "list (MLflow 3.12 and later), as an administrator",
             "name, description, grants, members",
             "id; grants on objects that are gone",
             not_settable},
    Coverage{Kind::webhook,
             {},
             "list",
             "name, URL, events, description, status",
             "secret",
             "no server gives it out: `follow_up` in the report"},
    Coverage{Kind::artifact,
             {},
             "proxy, local folder, `/get-artifact`",
             "every byte",
             "names that the server cannot serve; files in buckets without a proxy",
             "the server refuses them; buckets not yet"},
    Coverage{{}, "jobs, prompt optimizations", "nothing", "nothing", "all", "writing one would run it"},
};

}  // namespace

std::span<const Coverage> coverage() {
  return rows;
}

std::string coverage_markdown() {
  std::string out = "| kind | read by | arrives | lost | why |\n|---|---|---|---|---|\n";
  for (auto const& row : rows) {
    for (auto const part : {row.name(), row.read, row.written, row.lost, row.why}) {
      out += "| ";
      out += part;
      out += ' ';
    }
    out += "|\n";
  }
  return out;
}

}  // namespace mlferry::engine
