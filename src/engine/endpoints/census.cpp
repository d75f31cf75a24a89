#include "engine/endpoints/census.hpp"

#include <algorithm>
#include <optional>

#include "async/task_group.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr std::int64_t unknown = -1;
constexpr std::size_t experiments_a_question = 200;
constexpr int most_pages = 100'000;

std::string with_token(const std::string& target, const std::string& token) {
  if (token.empty()) return target;
  return target + (target.find('?') == std::string::npos ? "?" : "&") +
         "page_token=" + http::percent_encode(token);
}

// How many items in all pages; nullopt when the server has no such call.
async::Task<std::optional<std::int64_t>> count_pages(mlflow::Client& client, std::string target,
                                                     std::string items) {
  std::int64_t n = 0;
  std::string token;
  for (int page = 0; page < most_pages; ++page) {
    auto const answer =
        co_await client.call(http::Method::get, with_token(target, token), {}, http::RequestClass::search);
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
    auto const n = co_await count_pages(client, query, "traces");
    if (!n) co_return std::nullopt;
    total += *n;
  }
  co_return total;
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
                                   const mlflow::Capabilities& capabilities, Access access,
                                   std::vector<std::string> experiment_ids) {
  Count old_traces{"traces", {}, {}}, users{"users and their grants", {}, {}};
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    if (!capabilities.traces_v3) tasks.spawn(fill(old_traces, count_old_traces(client, experiment_ids)));
    if (access.logins && access.admin)
      tasks.spawn(fill(users, count_pages(client, "/api/2.0/mlflow/users/list", "users")));
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
  add(old_traces);
  // Where they are listed they are moved.
  if (access.logins && access.admin && !users.n && !users.failure) {
    census.counts[users.label] = unknown;
    census.notes.push_back(
        "this MLflow cannot list its users (3.10 is the first that does): they and their "
        "grants are not moved");
  }
  co_return census;
}

}  // namespace mlferry::engine
