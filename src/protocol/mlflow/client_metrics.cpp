#include "protocol/mlflow/client.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/monotonic_resource.hpp>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/limits.hpp"

namespace mlferry::mlflow {
namespace {

// gunicorn, which servers up to 3.2 run under, refuses a longer request line.
constexpr std::size_t max_request_line = 4094;

// The length of the request line for a target below `base_url`, without its line end.
std::size_t request_line(std::string_view base_url, std::string_view target) {
  std::size_t const authority = base_url.find("://") + 3;
  std::size_t const prefix = base_url.find('/', authority);
  std::size_t const prefix_size = prefix == base_url.npos ? 0 : base_url.size() - prefix;
  return std::string_view("GET  HTTP/1.1").size() + prefix_size + target.size();
}

std::int64_t point_int(std::string_view call, const json::object& row, std::string_view key) {
  if (!row.contains(key)) return 0;  // servers leave zeros out
  auto const value = get_int(row, key);
  if (!value) throw incomplete_answer(call, key);
  return *value;
}

MetricPoint metric_point(std::string_view call, const json::object& row) {
  auto const value = get_double(row, "value");
  if (!value) throw incomplete_answer(call, "value");
  return {*value, point_int(call, row, "timestamp"), point_int(call, row, "step")};
}

const json::object& row_object(std::string_view call, const json::value& row) {
  const json::object* object = row.if_object();
  if (object == nullptr) throw incomplete_answer(call, "metrics");
  return *object;
}

std::string bulk_target(std::string_view call, std::span<const std::string> run_ids, std::string_view key) {
  Query query(call);
  for (const auto& id : run_ids) query.text("run_id", id);
  query.text("metric_key", key);
  return std::string(ajax2) + "metrics/get-history-bulk" + query.take();
}

async::Task<std::vector<HistoryRow>> ask_bulk(http::Client& http, std::string target) {
  Call call = get_call(std::move(target));
  std::string const name = call_name(call.method, call.target);
  http::Response const response = co_await send_call(http, std::move(call));
  // 25000 rows are read once and dropped: no use in freeing them one by one.
  json::object const answer = answer_object(name, response.status, response.body,
                                            json::make_shared_resource<json::monotonic_resource>());
  std::vector<HistoryRow> rows;
  const json::array* list = get_array(answer, "metrics");
  if (list == nullptr) co_return rows;
  rows.reserve(list->size());
  for (const json::value& element : *list) {
    const json::object& row = row_object(name, element);
    std::string_view const run_id = get_string(row, "run_id");
    if (run_id.empty()) throw incomplete_answer(name, "run_id");
    rows.push_back({std::string(run_id), metric_point(name, row)});
  }
  co_return rows;
}

}  // namespace

async::Task<std::vector<HistoryRow>> Client::history_bulk(std::vector<std::string> run_ids, std::string key) {
  constexpr std::string_view name = "GET metrics/get-history-bulk";
  require_at_most(name, "runs", run_ids.size(), 100);
  // The order of the rows, so that several requests give what one would give.
  std::sort(run_ids.begin(), run_ids.end());
  std::vector<HistoryRow> rows;
  std::span<const std::string> rest(run_ids);
  while (!rest.empty() && rows.size() < history_bulk_limit) {
    std::size_t count = rest.size();
    std::string target = bulk_target(name, rest, key);
    while (count > 1 && request_line(http_.base_url(), target) > max_request_line) {
      --count;
      target = bulk_target(name, rest.first(count), key);
    }
    std::vector<HistoryRow> part = co_await ask_bulk(http_, std::move(target));
    bool const cut = part.size() >= history_bulk_limit;
    if (rows.empty()) {
      rows = std::move(part);
    } else {
      rows.insert(rows.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    }
    if (cut) break;
    rest = rest.subspan(count);
  }
  // Callers know a cut answer by its size.
  if (rows.size() > history_bulk_limit) rows.resize(history_bulk_limit);
  co_return rows;
}

async::Task<Page<MetricPoint>> Client::history(std::string run_id, std::string key, int max_results,
                                               std::string page_token) {
  constexpr std::string_view name = "GET metrics/get-history";
  require_page_size(name, max_results);
  std::string query = Query(name)
                          .text("run_id", run_id)
                          .text("metric_key", key)
                          .integer("max_results", max_results)
                          .text_unless_empty("page_token", page_token)
                          .take();
  Call call = get_call(api2_target("metrics/get-history") + query);
  // 2.x ignores max_results: the whole series comes in one answer, however long.
  call.max_response_bytes = 256u << 20;
  http::Response const response = co_await send_call(http_, std::move(call));
  json::object const answer = answer_object(name, response.status, response.body,
                                            json::make_shared_resource<json::monotonic_resource>());
  Page<MetricPoint> page;
  page.next_token = get_string(answer, "next_page_token");
  if (!page.next_token.empty() && page.next_token == page_token) {
    throw incomplete_answer(name, "another next_page_token");
  }
  const json::array* list = get_array(answer, "metrics");
  if (list == nullptr) co_return page;
  page.items.reserve(list->size());
  for (const json::value& element : *list)
    page.items.push_back(metric_point(name, row_object(name, element)));
  co_return page;
}

}  // namespace mlferry::mlflow
