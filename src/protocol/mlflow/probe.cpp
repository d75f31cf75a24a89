#include "protocol/mlflow/client.hpp"

#include <utility>

#include "protocol/mlflow/body.hpp"
#include "protocol/mlflow/call.hpp"
#include "protocol/mlflow/utf8.hpp"
#include "protocol/mlflow/version.hpp"

namespace mlferry::mlflow {
namespace {

constexpr std::size_t old_param_characters = 500;
constexpr std::size_t new_param_characters = 6000;

std::string_view trimmed(std::string_view text) {
  std::size_t const start = text.find_first_not_of(" \t\r\n");
  if (start == text.npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

async::Task<std::string> ask_version(http::Client& http) {
  http::Response const response = co_await send_call(http, get_call("/version"));
  if (response.status == 401 || response.status == 403)
    throw api_error("GET /version", response.status, response.body);
  if (!response.ok()) co_return "";
  std::string_view const text = trimmed(response.body);
  if (!parse_version(text) || !is_utf8(text)) co_return "";
  co_return std::string(text);
}

ApiError named_server(const ApiError& error, const std::string& url) {
  ApiError named(url + ": " + error.what(), error.status(), error.code(), error.server_message());
  if (error.no_such_call()) named.set_no_such_call();
  return named;
}

// A call that every MLflow server must answer: it shows what is wrong with URL, login and host name.
async::Task<> ask_first_experiment(http::Client& http) {
  std::string body = Body("POST experiments/search").integer("max_results", 1).take();
  Call call = post_call(api2_target("experiments/search"), std::move(body), http::RequestClass::search);
  http::Response const response = co_await send_call(http, std::move(call));
  try {
    answer_object("POST experiments/search", response.status, response.body);
  } catch (const ApiError& error) {
    throw not_mlflow(error);
  }
}

// Whether the server knows the call, whatever it says to these arguments. The calls below change nothing.
async::Task<bool> has_call(http::Client& http, Call call) {
  std::string const name = call_name(call.method, call.target);
  http::Response const response = co_await send_call(http, std::move(call));
  if (response.ok()) co_return true;
  ApiError error = api_error(name, response.status, response.body);
  if (error.status() == 401) throw error;
  if (error.no_such_call()) co_return false;
  // An error in MLflow's own form is that of a call which exists: an argument is missing, an object was not
  // found.
  co_return !error.code().empty() && error.status() != 501;
}

// A server without server-info: one request for each thing that may be missing.
async::Task<> ask_each(http::Client& http, Capabilities& found) {
  std::string const nobody(32, '0');
  found.history_bulk = co_await has_call(
      http, get_call(std::string(ajax2) + "metrics/get-history-bulk?run_id=" + nobody + "&metric_key=m"));
  // Without a run id it is refused before anything is written.
  found.log_inputs = co_await has_call(http, post_call(api2_target("runs/log-inputs"), "{}"));
  found.logged_models = co_await has_call(
      http, post_call(api2_target("logged-models/search"), R"({"experiment_ids":["0"],"max_results":1})",
                      http::RequestClass::search));
  found.aliases =
      co_await has_call(http, get_call(api2_target("registered-models/alias?name=mlferry&alias=none")));
  found.traces_v3 = co_await has_call(http, post_call(std::string(api3) + "traces/search",
                                                      R"({"max_results":1})", http::RequestClass::search));
  if (!found.traces_v3) {
    found.traces_v2 = co_await has_call(http, get_call(api2_target("traces?experiment_ids=0&max_results=1"),
                                                       http::RequestClass::search));
  }

  // The schema grew with time, so the field itself is asked for.
  Call schema = post_call("/graphql", R"({"query":"{__type(name:\"Query\"){fields{name}}}"})",
                          http::RequestClass::read);
  http::Response const types = co_await send_call(http, std::move(schema));
  found.graphql = types.ok() && types.body.find("\"mlflowListArtifacts\"") != types.body.npos;

  http::Response const hash =
      co_await send_call(http, get_call("/api/2.0/mlflow-artifacts/artifacts?path=a%23b"));
  auto const version = parse_version(found.version);
  found.decodes_paths_twice = hash.status == 400 || (!hash.ok() && version && *version >= Version{2, 9, 0});
  // No call shows the rest (mlflow-rest 9); every server with logged models has all of it.
  auto const since = [&](Version first) { return found.logged_models || (version && *version >= first); };
  found.prompts = since({2, 21, 0});
  found.colon_in_keys = since({2, 17, 0});
  found.param_characters = since({2, 9, 0}) ? new_param_characters : old_param_characters;
}

async::Task<Capabilities> find_capabilities(http::Client& http) {
  Capabilities found;
  found.version = co_await ask_version(http);
  http::Response const info = co_await send_call(http, get_call(std::string(api3) + "server-info"));
  bool has_info = false;
  if (info.ok()) {
    try {
      json::object const document = answer_object("GET server-info", info.status, info.body);
      found.workspaces = get_bool(document, "workspaces_enabled");
      // A single-page application answers every unknown path with 200.
      has_info = document.contains("workspaces_enabled") || document.contains("store_type");
    } catch (const ApiError&) {
      has_info = false;
    }
  }
  // The version is behind the login, and server-info is MLflow's alone: with both, nothing is wrong.
  if (found.version.empty() || !has_info) co_await ask_first_experiment(http);
  if (has_info) {
    // server-info is younger than all of these.
    found.history_bulk = found.graphql = found.logged_models = true;
    found.log_inputs = found.traces_v3 = found.prompts = found.decodes_paths_twice = true;
    found.aliases = found.colon_in_keys = true;
    found.param_characters = new_param_characters;
  } else {
    co_await ask_each(http, found);
  }
  // Only a write would show it (mlflow-rest 9).
  auto const version = parse_version(found.version);
  found.otlp_json = found.traces_v3 && version && *version >= Version{3, 12, 0};
  found.proxies_any_name = version && *version >= Version{3, 13, 0};
  found.says_who_calls = version && *version >= Version{3, 14, 0};
  co_return found;
}

}  // namespace

std::string Capabilities::name() const {
  if (!version.empty()) return "MLflow " + version;
  return logged_models ? "MLflow 3" : "an MLflow without a version, so before 2.3";
}

async::Task<Capabilities> Client::probe() {
  if (probed_) co_return *probed_;
  try {
    probed_ = co_await find_capabilities(http_);
    co_return *probed_;
  } catch (const ApiError& error) {
    // Whoever copies between two servers must see which of them refused.
    throw named_server(error, http_.base_url());
  }
}

}  // namespace mlferry::mlflow
