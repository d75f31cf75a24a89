#include "engine/endpoints/census.hpp"

#include <deque>
#include <optional>

#include "async/task_group.hpp"
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
    {"users", Method::get, "/api/2.0/mlflow/users/list", "", "users"},
    {"roles", Method::get, "/api/3.0/mlflow/roles/list", "", "roles"},
};

constexpr std::int64_t unknown = -1;
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

// One thing that is counted: the number, or why there is none.
struct Count {
  std::string label;
  std::optional<std::int64_t> n;
  std::optional<std::string> failure;
};

async::Task<> into(async::Task<std::optional<std::int64_t>> counting, std::optional<std::int64_t>& n) {
  n = co_await std::move(counting);
}

async::Task<> fill(Count& count, async::Task<std::optional<std::int64_t>> counting) {
  count.failure = co_await attempt(into(std::move(counting), count.n));
}

}  // namespace

async::Task<Census> count_uncopied(const Context& context, mlflow::Client& client,
                                   const mlflow::Capabilities& capabilities) {
  std::deque<Count> listed;  // a deque: tasks hold references
  Count workspaces{"other workspaces", {}, {}};
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& listing : listings) {
      auto& count = listed.emplace_back(Count{listing.label, {}, {}});
      tasks.spawn(
          fill(count, count_pages(client, listing.method, listing.target, listing.body, listing.items)));
    }
    if (capabilities.workspaces) {
      tasks.spawn(
          fill(workspaces, count_pages(client, Method::get, "/api/3.0/mlflow/workspaces", "", "workspaces")));
    }
    co_return;
  };
  co_await async::with_task_group(context.executor, body);

  Census census;
  auto add = [&census](const Count& count) {
    if (count.failure) {
      census.counts[count.label] = unknown;
      census.notes.push_back(count.label + " could not be counted: " + *count.failure);
    } else if (count.n && *count.n > 0) {
      census.counts[count.label] = *count.n;
    }
  };
  for (auto const& count : listed) add(count);
  if (workspaces.n && *workspaces.n > 1) {
    census.notes.push_back("the server has " + std::to_string(*workspaces.n) +
                           " workspaces: this job moved one of them (MLFLOW_WORKSPACE chooses)");
  }
  if (workspaces.n) --*workspaces.n;  // the one that is moved
  add(workspaces);
  co_return census;
}

}  // namespace mlferry::engine
