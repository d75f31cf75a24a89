#include "engine/objects/object_kind.hpp"

#include <algorithm>
#include <array>

#include "async/task_group.hpp"
#include "engine/kind_order.hpp"

namespace mlferry::engine {

namespace {

constexpr int most_pages = 100'000;
constexpr std::size_t experiments_at_once = 16;

std::string with_token(const std::string& target, const std::string& token) {
  if (token.empty()) return target;
  return target + (target.find('?') == target.npos ? "?" : "&") + "page_token=" + http::percent_encode(token);
}

}  // namespace

async::Task<> ObjectKind::complete(const ServerView&, ObjectRecord&) const {
  co_return;
}

async::Task<MappedObject> ObjectKind::map(const ObjectRecord& record, IdMap&) const {
  co_return MappedObject{record.doc, {}, {}};
}

async::Task<> ObjectKind::discard(const ServerView&, std::string) const {
  throw std::logic_error("objects of this kind are not replaced: " + std::string(kind_name(kind())));
}

async::Task<std::vector<std::string>> ObjectKind::update(const ServerView&, const ObjectRecord& existing,
                                                         const json::object& wanted, bool) const {
  co_return differing_fields(comparable(wanted), comparable(existing.doc));
}

std::vector<std::string> ObjectKind::differences(const json::object& wanted,
                                                 const json::object& existing) const {
  return differing_fields(comparable(wanted), comparable(existing));
}

std::span<const ObjectKind* const> object_kinds() {
  static const std::array<std::unique_ptr<const ObjectKind>, 14> owners{
      make_label_schema_kind(),     make_gateway_secret_kind(),     make_gateway_model_definition_kind(),
      make_gateway_endpoint_kind(), make_scorer_kind(),             make_evaluation_dataset_kind(),
      make_issue_kind(),            make_review_queue_kind(),       make_gateway_guardrail_kind(),
      make_gateway_budget_kind(),   make_mcp_server_kind(),         make_user_kind(),
      make_role_kind(),             make_webhook_kind()};
  static const auto kinds = [] {
    std::array<const ObjectKind*, owners.size()> all{};
    for (std::size_t i = 0; i < owners.size(); ++i) all[i] = owners[i].get();
    auto const& order = write_order();
    std::sort(all.begin(), all.end(), [&order](const ObjectKind* a, const ObjectKind* b) {
      return std::find(order.begin(), order.end(), a->kind()) < std::find(order.begin(), order.end(), b->kind());
    });
    return all;
  }();
  return kinds;
}

bool is_object_kind(Kind kind) {
  auto const kinds = object_kinds();
  return std::any_of(kinds.begin(), kinds.end(),
                     [kind](const ObjectKind* one) { return one->kind() == kind; });
}

const ObjectKind& object_kind(Kind kind) {
  for (auto const* one : object_kinds()) {
    if (one->kind() == kind) return *one;
  }
  throw std::invalid_argument(std::string(kind_label(kind)) + " are not whole in one document");
}

async::Task<std::optional<std::vector<json::object>>> list_all(mlflow::Client& client, http::Method method,
                                                               std::string target, json::object body,
                                                               std::string items) {
  std::vector<json::object> found;
  std::string token;
  for (int page = 0; page < most_pages; ++page) {
    bool const in_query = method == http::Method::get;
    if (!token.empty() && !in_query) body["page_token"] = token;
    auto answer =
        co_await client.call(method, in_query ? with_token(target, token) : target,
                             in_query ? std::string() : mlflow::to_json(body), http::RequestClass::search);
    if (!answer && page == 0) co_return std::nullopt;
    auto* list = answer ? answer->if_contains(items) : nullptr;
    if (list == nullptr || !list->is_array() || list->get_array().empty()) co_return found;
    for (auto& item : list->get_array()) {
      if (!item.is_object())
        throw std::runtime_error("the server's list of " + items + " holds what is no object");
      found.push_back(std::move(item.get_object()));
    }
    token = mlflow::get_string(*answer, "next_page_token");
    if (token.empty()) co_return found;
  }
  throw std::runtime_error("the server's list of " + items + " does not end");
}

namespace {

using Found = std::optional<std::vector<json::object>>;

async::Task<> list_into(std::function<async::Task<Found>(std::string)> list_one, std::string experiment,
                        Found& found) {
  try {
    found = co_await list_one(std::move(experiment));
  } catch (const mlflow::ApiError& error) {
    if (!error.not_found()) throw;
    found = std::vector<json::object>();
  }
}

}  // namespace

async::Task<std::optional<std::vector<json::object>>> list_by_experiment(
    std::vector<std::string> experiments, std::function<async::Task<Found>(std::string)> list_one) {
  std::vector<json::object> all;
  auto const executor = co_await boost::asio::this_coro::executor;
  for (std::size_t i = 0; i < experiments.size(); i += experiments_at_once) {
    auto const n = std::min(experiments_at_once, experiments.size() - i);
    std::vector<Found> lists(n);
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (std::size_t k = 0; k < n; ++k) tasks.spawn(list_into(list_one, experiments[i + k], lists[k]));
      co_return;
    };
    co_await async::with_task_group(executor, body);
    for (auto& list : lists) {
      if (!list) co_return std::nullopt;
      for (auto& item : *list) all.push_back(std::move(item));
    }
  }
  co_return all;
}

json::object only_fields(const json::object& doc, std::span<const std::string_view> fields) {
  json::object out;
  for (auto const field : fields) {
    if (auto const* value = doc.if_contains(field); value != nullptr && !value->is_null())
      out[field] = *value;
  }
  return out;
}

std::vector<std::string> differing_fields(const json::object& wanted, const json::object& existing) {
  std::vector<std::string> fields;
  auto named = [](std::string_view key) {
    return key.size() > 120 ? std::string(key.substr(0, 120)) + "…" : std::string(key);
  };
  auto text = [](const json::value* value) {
    return value == nullptr ? std::string() : mlflow::to_canonical_json(*value);
  };
  for (auto const& [key, value] : wanted) {
    if (text(&value) != text(existing.if_contains(key))) fields.push_back(named(key) + " differs");
  }
  for (auto const& [key, value] : existing) {
    if (!wanted.contains(key)) fields.push_back(named(key) + " is not in the original");
  }
  return fields;
}

}  // namespace mlferry::engine
