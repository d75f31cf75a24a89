#include "engine/endpoints/census.hpp"

#include <algorithm>
#include <optional>

#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

using http::Method;

// One listing: where, and whether it takes page_token in the query or the body.
struct Listing {
  const char* label;
  Method method;
  const char* target;
  const char* body;   // of a POST, a JSON object
  const char* items;  // the answer's list
};

constexpr Listing listings[] = {
    {"gateway secrets", Method::get, "/api/3.0/mlflow/gateway/secrets/list", "", "secrets"},
    {"gateway model definitions", Method::get, "/api/3.0/mlflow/gateway/model-definitions/list", "",
     "model_definitions"},
    {"gateway endpoints", Method::get, "/api/3.0/mlflow/gateway/endpoints/list", "", "endpoints"},
    {"gateway budgets", Method::get, "/api/3.0/mlflow/gateway/budgets/list", "", "budget_policies"},
    {"gateway guardrails", Method::get, "/api/3.0/mlflow/gateway/guardrails/list", "", "guardrails"},
    {"MCP servers", Method::get, "/api/3.0/mlflow/mcp-servers", "", "mcp_servers"},
    {"users", Method::get, "/api/2.0/mlflow/users/list", "", "users"},
    {"roles", Method::get, "/api/3.0/mlflow/roles/list", "", "roles"},
};

constexpr std::int64_t unknown = -1;
constexpr std::size_t experiments_a_question = 200;
constexpr int most_pages = 100'000;

std::string with_token(const std::string& target, const std::string& token) {
  if (token.empty()) return target;
  return target + (target.find('?') == std::string::npos ? "?" : "&") +
         "page_token=" + http::percent_encode(token);
}

std::string body_with_token(std::string_view body, const std::string& token) {
  if (body.empty() || token.empty()) return std::string(body);
  auto object = mlflow::parse_json(body, "census").as_object();
  object["page_token"] = token;
  return mlflow::to_json(object);
}

// How many items in all pages; nullopt when the server has no such call.
async::Task<std::optional<std::int64_t>> count_pages(mlflow::Client& client, Method method,
                                                     std::string target, std::string body,
                                                     std::string items) {
  std::int64_t n = 0;
  std::string token;
  for (int page = 0; page < most_pages; ++page) {
    auto const answer =
        co_await client.call(method, with_token(target, method == Method::get ? token : std::string()),
                             body_with_token(body, token), http::RequestClass::search);
    if (!answer) co_return page == 0 ? std::nullopt : std::optional(n);
    auto const* list = mlflow::get_array(*answer, items);
    if (list == nullptr || list->empty()) co_return n;
    n += static_cast<std::int64_t>(list->size());
    token = mlflow::get_string(*answer, "next_page_token");
    if (token.empty()) co_return n;
  }
  co_return n;
}

// Traces of the form of MLflow 2.14 to 3.1: every page has to be read.
async::Task<std::optional<std::int64_t>> count_old_traces(mlflow::Client& client,
                                                          std::vector<std::string> ids) {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < ids.size(); i += experiments_a_question) {
    auto const end = std::min(ids.size(), i + experiments_a_question);
    std::string query = "/api/2.0/mlflow/traces?max_results=100";
    for (std::size_t k = i; k < end; ++k) query += "&experiment_ids=" + http::percent_encode(ids[k]);
    auto const n = co_await count_pages(client, Method::get, query, "", "traces");
    if (!n) co_return std::nullopt;
    total += *n;
  }
  co_return total;
}

async::Task<std::optional<std::int64_t>> count_review_queues(mlflow::Client& client,
                                                             std::vector<std::string> ids) {
  std::int64_t total = 0;
  for (auto const& id : ids) {
    try {
      auto const n = co_await count_pages(
          client, Method::get, "/api/3.0/mlflow/review-queues/list?experiment_id=" + http::percent_encode(id),
          "", "review_queues");
      if (!n) co_return std::nullopt;
      total += *n;
    } catch (const mlflow::ApiError& error) {
      if (!error.not_found()) throw;  // the server answers so for deleted experiments
    }
  }
  co_return total;
}

async::Task<> into(async::Task<std::optional<std::int64_t>> count, std::optional<std::int64_t>& out) {
  out = co_await std::move(count);
}

}  // namespace

async::Task<Census> count_uncopied(mlflow::Client& client, const mlflow::Capabilities& capabilities,
                                   std::vector<std::string> experiment_ids) {
  Census census;
  auto add = [&census](const char* label, const std::optional<std::string>& failure,
                       std::optional<std::int64_t> n) {
    if (failure) {
      census.counts[label] = unknown;
      census.notes.push_back(std::string(label) + " could not be counted: " + *failure);
    } else if (n && *n > 0) {
      census.counts[label] = *n;
    }
  };
  for (auto const& listing : listings) {
    std::optional<std::int64_t> n;
    auto const failure = co_await attempt(
        into(count_pages(client, listing.method, listing.target, listing.body, listing.items), n));
    add(listing.label, failure, n);
  }
  if (!capabilities.traces_v3) {
    std::optional<std::int64_t> traces;
    auto const failure = co_await attempt(into(count_old_traces(client, experiment_ids), traces));
    add("traces", failure, traces);
  }
  std::optional<std::int64_t> queues;
  auto const queues_failure = co_await attempt(into(count_review_queues(client, experiment_ids), queues));
  add("review queues", queues_failure, queues);
  if (queues) {
    census.notes.push_back(
        "label schemas are not counted: on this server listing them creates one in every experiment, and "
        "mlferry only reads");
  }
  if (capabilities.workspaces) {
    std::optional<std::int64_t> n;
    auto const failure = co_await attempt(
        into(count_pages(client, Method::get, "/api/3.0/mlflow/workspaces", "", "workspaces"), n));
    if (n && *n > 1) {
      census.notes.push_back("the server has " + std::to_string(*n) +
                             " workspaces: this job moved one of them (MLFLOW_WORKSPACE chooses)");
    }
    add("other workspaces", failure, n ? std::optional(*n - 1) : n);
  }
  co_return census;
}

}  // namespace mlferry::engine
