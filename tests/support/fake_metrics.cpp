#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "protocol/mlflow/json.hpp"
#include "support/fake_calls.hpp"

namespace mlferry::test::fake {
namespace {

constexpr std::size_t bulk_limit = 25000;

double as_stored(double value) {
  if (std::isinf(value)) return std::copysign(std::numeric_limits<double>::max(), value);
  return value == 0 ? 0.0 : value;  // the sign of zero is lost
}

struct NewMetric {
  std::string key;
  Point point;
  std::string model_id;
  std::string dataset_name;
  std::string dataset_digest;
};

std::vector<NewMetric> read_metrics(const json::object& body) {
  std::vector<NewMetric> result;
  const json::array* list = mlflow::get_array(body, "metrics");
  if (list == nullptr) return result;
  for (const json::value& element : *list) {
    const json::object* metric = element.if_object();
    if (metric == nullptr) break;
    NewMetric out;
    out.key = mlflow::get_string(*metric, "key");
    out.model_id = mlflow::get_string(*metric, "model_id");
    out.dataset_name = mlflow::get_string(*metric, "dataset_name");
    out.dataset_digest = mlflow::get_string(*metric, "dataset_digest");
    auto const value = mlflow::get_double(*metric, "value");
    out.point.value = as_stored(value.value_or(0));
    out.point.timestamp = mlflow::get_int(*metric, "timestamp").value_or(0);
    out.point.step = mlflow::get_int(*metric, "step").value_or(0);
    check_key("metric", out.key);
    if (out.point.timestamp < 0) {
      throw Failure{400, "INVALID_PARAMETER_VALUE", "Got invalid timestamp for a metric: it is negative"};
    }
    result.push_back(std::move(out));
    if (!value) break;  // a value that is no number: the rest of the message is lost
  }
  return result;
}

void add_point(std::vector<Point>& points, const Point& point) {
  auto const place = std::lower_bound(points.begin(), points.end(), point, before);
  if (place == points.end() || !same(*place, point)) points.insert(place, point);
}

void add_model_metric(State& state, const Run& run, const NewMetric& metric) {
  auto found = state.logged_models.find(metric.model_id);
  if (found == state.logged_models.end()) {
    // The row of the run is kept all the same, as on the server.
    throw Failure{400, "BAD_REQUEST", "FOREIGN KEY constraint failed"};
  }
  ModelMetric row{metric.key, metric.point, run.id, metric.dataset_name, metric.dataset_digest};
  if (std::isnan(row.point.value)) row.point.value = 0.0;
  auto& rows = found->second.metrics;
  bool const known = std::any_of(rows.begin(), rows.end(), [&](const ModelMetric& other) {
    return other.key == row.key && other.run_id == row.run_id && same(other.point, row.point);
  });
  if (!known) rows.push_back(std::move(row));
}

HttpResponse log_batch(Call& call) {
  Run& run = need_active_run(call);
  auto const metrics = read_metrics(call.body);
  auto const params = pairs(call.body, "params");
  auto const tags = pairs(call.body, "tags");
  if (metrics.size() > 1000 || params.size() > 100 || tags.size() > 100 ||
      metrics.size() + params.size() + tags.size() > 1000) {
    throw Failure{
        400, "INVALID_PARAMETER_VALUE",
        "A batch logging request can contain at most 1000 metrics, 100 params, 100 tags, 1000 in all"};
  }
  std::set<std::string> keys;
  for (const auto& [key, value] : params) {
    check_key("param", key);
    if (!keys.insert(key).second) {
      throw Failure{400, "INVALID_PARAMETER_VALUE", "Duplicate parameter keys have been submitted"};
    }
    auto found = run.params.find(key);
    if (found != run.params.end() && found->second != cut(value, 6000)) {
      throw Failure{400, "INVALID_PARAMETER_VALUE",
                    "Changing param values is not allowed: key '" + key + "'"};
    }
  }
  for (const auto& [key, value] : tags) check_key("tag", key);
  for (const auto& metric : metrics) {
    auto const& points = run.metrics[metric.key];
    auto const known = [&](const Point& point) { return same(point, metric.point); };
    if (call.state.refuses_known_nan && std::isnan(metric.point.value) && std::any_of(points.begin(), points.end(), known))
      throw Failure{400, "BAD_REQUEST", "UNIQUE constraint failed: metrics.key"};
  }

  for (const auto& [key, value] : params) run.params.emplace(key, cut(value, 6000));
  for (const auto& [key, value] : tags) call.state.set_run_tag(run, key, cut(value, 8000));
  for (const auto& metric : metrics) add_point(run.metrics[metric.key], metric.point);
  for (const auto& metric : metrics) {
    if (!metric.model_id.empty()) add_model_metric(call.state, run, metric);
  }
  return answer({});
}

HttpResponse get_history(Call& call) {
  auto const max = int_or(call, "max_results", std::numeric_limits<std::int32_t>::max());
  if (max < 1) throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid value for max_results"};
  std::string const key = need_text(call, "metric_key");
  const Run* run = call.state.read_run(need_text(call, "run_id"));
  json::object out;
  if (run == nullptr) return answer(out);
  json::array list;
  fill_page(
      call, out, call.state.point_count(*run, key), static_cast<std::uint64_t>(max), [&](std::uint64_t n) {
        Point const point = call.state.point_at(*run, key, n);
        list.push_back(json::object{
            {"key", key}, {"value", point.value}, {"timestamp", point.timestamp}, {"step", point.step}});
      });
  if (!list.empty()) out["metrics"] = std::move(list);
  return answer(out);
}

// Written as text: a NaN is a bare token here, which no JSON writer gives.
HttpResponse get_history_bulk(Call& call) {
  auto ids = texts(call, "run_id");
  std::string const key = need_text(call, "metric_key");
  if (ids.empty()) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "GetMetricHistoryBulk request must specify at least one run_id."};
  }
  if (ids.size() > 100) {
    throw Failure{400, "INVALID_PARAMETER_VALUE",
                  "GetMetricHistoryBulk request cannot specify more than 100 run_ids."};
  }
  auto const asked = call.request.parameter("max_results");
  auto limit = bulk_limit;
  if (!asked.empty()) {
    auto const number = int_or(call, "max_results", 0);
    limit = std::min(bulk_limit, static_cast<std::size_t>(std::max<std::int64_t>(number, 0)));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  HttpResponse response;
  std::string& out = response.body;
  out = "{\"metrics\":[";
  std::size_t rows = 0;
  for (const auto& id : ids) {
    const Run* run = call.state.read_run(id);
    if (run == nullptr) continue;
    auto const count = call.state.point_count(*run, key);
    for (std::uint64_t n = 0; n < count && rows < limit; ++n, ++rows) {
      Point const point = call.state.point_at(*run, key, n);
      out += rows == 0 ? "{\"key\":" : ",{\"key\":";
      mlflow::append_json_string(out, key);
      out += ",\"run_id\":\"" + id + "\",\"step\":" + std::to_string(point.step) +
             ",\"timestamp\":" + std::to_string(point.timestamp) + ",\"value\":";
      if (std::isnan(point.value)) {
        out += "NaN";
      } else {
        mlflow::append_json_double(out, point.value);
      }
      out += '}';
    }
  }
  out += "]}";
  return response;
}

}  // namespace

const std::vector<Route> metric_routes = {
    {"POST", "runs/log-batch", log_batch},
    {"GET", "metrics/get-history", get_history},
    {"GET", "metrics/get-history-bulk", get_history_bulk, true},
};

}  // namespace mlferry::test::fake
