#include "support/fake_router.hpp"

#include <array>

#include <boost/json/parse.hpp>

#include "protocol/mlflow/json.hpp"
#include "support/fake_traces.hpp"

namespace mlferry::test::fake {
namespace {

constexpr std::string_view proxied = "mlflow-artifacts/artifacts";

// Splits `pattern` and `path` at '/', part by part; a '*' takes one part into `id`.
bool fits(std::string_view pattern, std::string_view path, std::string& id) {
  while (true) {
    auto const a = pattern.substr(0, pattern.find('/'));
    auto const b = path.substr(0, path.find('/'));
    if (a == "*" && !b.empty()) {
      id = percent_decode(b, false);
    } else if (a != b) {
      return false;
    }
    bool const more = a.size() < pattern.size();
    if (more != (b.size() < path.size())) return false;
    if (!more) return true;
    pattern.remove_prefix(a.size() + 1);
    path.remove_prefix(b.size() + 1);
  }
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

HttpResponse text_answer(std::string text) {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  return response;
}

HttpResponse not_found() {
  return html_answer(404, "Not Found");
}

// As a server that is newer than whoever asks.
void add_unknown_fields(HttpResponse& response) {
  if (response.status != 200 || !response.body.starts_with('{')) return;
  auto document = mlflow::parse_python_json(response.body, "the answer").as_object();
  if (document.contains("spans")) return;  // OTLP has no place for them
  json::object const field{{"a", json::array{1, nullptr, 0.1, "é"}}};
  for (auto& [key, value] : document) {
    auto* list = value.if_array();
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
      if ((*list)[i].is_object()) (*list)[i].get_object()["x_future"] = field;
    }
  }
  document["x_future"] = field;
  response.body = mlflow::to_python_json(document);
}

}  // namespace

bool changes_state(std::string_view method, std::string_view path) {
  if (method == "GET" || method == "HEAD") return false;
  if (method != "POST") return true;
  for (std::string_view reading : {"/search", "/graphql", "/search-datasets", "/get-latest-versions",
                                   "/batchGetInfos", "/traces/metrics"}) {
    if (path.ends_with(reading)) return false;
  }
  return true;
}

bool Router::lacks(std::string_view path) const {
  if (faults_.no_history_bulk && path.starts_with("metrics/get-history-bulk")) return true;
  if (faults_.no_aliases && path == "registered-models/alias") return true;
  if (faults_.no_log_inputs && path == "runs/log-inputs") return true;
  return faults_.no_logged_models && (path.starts_with("logged-models") || path == "runs/outputs");
}

HttpResponse Router::route_mlflow(const HttpRequest& request, Call& call, std::string_view rest, bool ajax) {
  if (lacks(rest)) return not_found();
  bool known = false;
  // Exact paths before those with a '*': "logged-models/search" is not the model named "search".
  for (bool open : {false, true}) {
    for (const auto* routes : {&experiment_routes, &run_routes, &metric_routes, &logged_model_routes,
                               &registered_model_routes, &model_version_routes, &artifact_routes}) {
      for (const Route& route : *routes) {
        if (open != (route.path.find('*') != route.path.npos) || (route.ajax_only && !ajax)) continue;
        if (!fits(route.path, rest, call.id)) continue;
        if (route.method == request.method) return route.handler(call);
        known = true;
      }
    }
  }
  return known ? html_answer(405, "Method Not Allowed") : not_found();
}

// The few calls of 3.0 that a transfer of today asks: what the server is, and how much of the newer kinds it
// holds.
HttpResponse Router::route_version_3(const HttpRequest& request, Call& call, std::string_view rest) {
  if (request.method == "GET" && rest == "server-info" && !faults_.lacks_something()) {
    return answer({{"store_type", "SqlStore"},
                   {"workspaces_enabled", false},
                   {"trace_archival_enabled", false},
                   {"multipart_uploads_enabled", false},
                   {"multipart_downloads_enabled", false}});
  }
  if (faults_.no_traces_v3 && rest.starts_with("traces")) return not_found();
  bool const post = request.method == "POST";
  if (post && rest == "traces/search") return search_traces(call);
  if (post && rest == "traces") return put_trace(call);
  if (post && fits("traces/*/assessments", rest, call.id)) return put_assessment(call);
  if (request.method == "GET" && fits("traces/*", rest, call.id)) return get_trace(call);
  if (request.method == "POST" && rest == "datasets/search") return answer({});
  if (request.method == "GET" && rest == "scorers/list") return answer({});
  return not_found();
}

HttpResponse Router::route(const HttpRequest& request, Call& call) {
  std::string_view path = request.path;
  if (path.ends_with('/')) return not_found();
  if (auto const found = state_.canned.find(request.path); found != state_.canned.end()) return answer(found->second);
  bool const get = request.method == "GET";
  if (path == "/version") return get ? text_answer(faults_.version) : html_answer(405, "Method Not Allowed");
  if (path == "/health") return get ? text_answer("OK") : html_answer(405, "Method Not Allowed");
  if (path == "/graphql" && !faults_.no_graphql) {
    return request.method == "POST" ? graphql(call) : html_answer(405, "Method Not Allowed");
  }
  if (path == "/v1/traces" && request.method == "POST") return put_spans(call);
  if (path == "/get-artifact" && get) return get_run_artifact(call);

  if (get && (path == "/ajax-api/2.0/mlflow/get-trace-artifact" || path == "/ajax-api/3.0/mlflow/get-trace-artifact"))
    return get_trace_artifact(call);

  bool const ajax = take_prefix(path, "/ajax-api/");
  if (!ajax && !take_prefix(path, "/api/")) return not_found();
  if (take_prefix(path, "2.0/")) {
    if (path == proxied) return get ? proxied_list(call) : html_answer(405, "Method Not Allowed");
    if (take_prefix(path, "mlflow-artifacts/artifacts/")) {
      call.id = path;
      if (get) return proxied_get(call);
      if (request.method == "PUT") return proxied_put(call);
      if (request.method == "DELETE") return proxied_delete(call);
      return html_answer(405, "Method Not Allowed");
    }
    if (path == "mlflow/traces/link-to-run" && request.method == "POST") return link_traces_to_run(call);
    if (path == "mlflow/traces/link-prompts" && request.method == "POST") return link_prompts_to_trace(call);
    if (take_prefix(path, "mlflow/")) return route_mlflow(request, call, path, ajax);
    return not_found();
  }
  if (take_prefix(path, "3.0/mlflow/")) return route_version_3(request, call, path);
  return not_found();
}

HttpResponse Router::carry_out(const HttpRequest& request, bool repeat_row) {
  Call call{state_, request, {}, {}, repeat_row};
  state_.strict_sources = !faults_.no_logged_models;
  state_.lists_outputs = !faults_.no_listed_outputs;
  state_.refuses_known_nan = faults_.refuses_known_nan;
  bool const has_json = request.method != "GET" && request.method != "PUT";
  if (has_json) {
    if (!request.header("content-type").starts_with("application/json") && request.method == "POST") {
      return failure_answer(
          {400, "INVALID_PARAMETER_VALUE", "Bad Request. Content-Type must be 'application/json'."});
    }
    // Strict first: the lenient parser takes bare NaN, which the real server does not.
    boost::json::parse_options strict;
    strict.max_depth = 100;
    boost::system::error_code error;
    boost::json::parse(request.body, error, {}, strict);
    json::value value;
    if (!error) value = mlflow::parse_json(request.body, "the request");
    if (value.is_object()) {
      call.body = std::move(value.get_object());
    } else {
      ++state_.unparsable_bodies;  // and then it is as if nothing had been sent
    }
  }
  try {
    auto response = route(request, call);
    if (faults_.unknown_fields) add_unknown_fields(response);
    return response;
  } catch (const Failure& failure) {
    return failure_answer(failure);
  }
}

}  // namespace mlferry::test::fake
