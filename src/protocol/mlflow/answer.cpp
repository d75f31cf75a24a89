#include "protocol/mlflow/answer.hpp"

#include <algorithm>
#include <utility>

#include "protocol/mlflow/utf8.hpp"

namespace mlferry::mlflow {
namespace {

constexpr std::size_t max_server_message = 2000;

std::string_view method_name(http::Method method) {
  switch (method) {
    case http::Method::get:
      return "GET";
    case http::Method::head:
      return "HEAD";
    case http::Method::post:
      return "POST";
    case http::Method::put:
      return "PUT";
    case http::Method::patch:
      return "PATCH";
    case http::Method::del:
      return "DELETE";
  }
  return "?";
}

// Goes into our own text, so it must look like a code.
bool is_error_code(std::string_view text) {
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::optional<json::object> parse_object(std::string_view body) {
  std::size_t const start = body.find_first_not_of(" \t\r\n");
  if (start == body.npos || body[start] != '{') return std::nullopt;
  try {
    json::value value = parse_json(body, "error");
    return std::move(value.get_object());
  } catch (const JsonError&) {
    return std::nullopt;
  }
}

// What a user can do about it; "" when only the code and the server's message can tell.
std::string_view hint(int status, std::string_view code, bool no_such_call, std::string_view message) {
  auto const says = [&](std::string_view text) { return message.find(text) != message.npos; };
  if (no_such_call) return "this server has no such call";
  if (says("Invalid Host header")) {
    return "the server refuses this host name: it must be started with --allowed-hosts, or addressed by "
           "another name";
  }
  if (says("Cross-origin request blocked"))
    return "the server takes this for a request of a foreign web page";
  if (says("Request Line is too large")) return "the URL is too long for this server";
  if (code == "FEATURE_DISABLED")
    return "the server runs without this feature; workspaces need --enable-workspaces";
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return "the server sends the client elsewhere: use the final URL";
    case 401:
      return "log in with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
    case 403:
      return "this user may not do that: log in as another one with MLFLOW_TRACKING_USERNAME and "
             "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
    case 407:
      return "the proxy wants a login";
    case 413:
      return "the server, or a proxy before it, takes no body of this size";
    case 429:
      return "the server asks for fewer requests: lower --jobs";
    case 502:
    case 503:
    case 504:
      return "the server is overloaded or not running";
    default:
      return "";
  }
}

}  // namespace

std::string call_name(http::Method method, std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  for (std::string_view root : {"/ajax-api", "/api"}) {
    if (!path.starts_with(root)) continue;
    std::string_view const rest = path.substr(root.size());
    for (std::string_view base : {"/2.0/mlflow/", "/3.0/mlflow/", "/2.0/", "/3.0/"}) {
      if (rest.starts_with(base))
        return std::string(method_name(method)) + " " + std::string(rest.substr(base.size()));
    }
  }
  return std::string(method_name(method)) + " " + std::string(path);
}

ApiError api_error(std::string_view call, int status, std::string_view body) {
  std::string code;
  std::string message;
  auto const document = parse_object(body);
  if (document) {
    std::string_view const given = get_string(*document, "error_code");
    if (is_error_code(given)) code = given;
    message = readable(get_string(*document, "message"), max_server_message);
    if (message.empty()) message = readable(get_string(*document, "detail"), max_server_message);
  } else {
    message = readable(body, max_server_message);
  }
  // From here on the text is the statement with the values of all its fields (mlflow-rest 11.28), secrets
  // among them.
  message = message.substr(0, message.find("[SQL:"));
  while (message.ends_with(' ')) message.pop_back();
  // Flask answers an unknown path with HTML, FastAPI with {"detail": "Not Found"}, Databricks with a code.
  bool const no_such_call = (status == 404 && (!document || (code.empty() && message == "Not Found"))) ||
                            code == "ENDPOINT_NOT_FOUND";

  std::string text = std::string(call) + ": " + std::to_string(status);
  if (!code.empty()) text += " " + code;
  std::string_view const advice = hint(status, code, no_such_call, message);
  if (!advice.empty()) text += " (" + std::string(advice) + ")";
  ApiError error(text, status, std::move(code), std::move(message));
  if (no_such_call) error.set_no_such_call();
  return error;
}

json::object answer_object(std::string_view call, int status, std::string_view body,
                           json::storage_ptr storage) {
  if (status < 200 || status >= 300) throw api_error(call, status, body);
  std::string problem = "not a JSON object";
  try {
    json::value value = parse_json(body, "the answer", std::move(storage));
    if (value.is_object()) return std::move(value.get_object());
  } catch (const JsonError& error) {
    problem = error.what();
  }
  std::size_t const start = body.find_first_not_of(" \t\r\n");
  std::string_view const advice = start != body.npos && body[start] == '<'
                                      ? " (a web page came: a log-in page, or another service than MLflow)"
                                      : "";
  throw ApiError(std::string(call) + ": " + std::to_string(status) + ", but " + problem + std::string(advice),
                 status, "", readable(body, max_server_message));
}

std::optional<json::object> answer_or_missing(std::string_view call, int status, std::string_view body) {
  if (status == 404) {
    ApiError error = api_error(call, status, body);
    if (error.no_such_call()) throw error;
    return std::nullopt;
  }
  return answer_object(call, status, body);
}

ApiError incomplete_answer(std::string_view call, std::string_view field) {
  return ApiError(std::string(call) + ": 200, but the answer lacks a usable \"" + std::string(field) + "\"",
                  200, "", "");
}

bool says_overloaded(int status, std::string_view body) {
  if (status != 400 && status != 500) return false;
  for (std::string_view const words : {"QueuePool limit of size", "(sqlite3.OperationalError) database is locked"}) {
    if (body.find(words) != std::string_view::npos) return true;
  }
  return false;
}

ApiError not_mlflow(const ApiError& error) {
  bool const elsewhere =
      error.no_such_call() || error.status() == 405 || (error.status() >= 200 && error.status() < 400);
  if (!elsewhere) return error;
  ApiError result("no MLflow server answers at this URL: check it, and the path prefix of the server (" +
                      std::string(error.what()) + ")",
                  error.status(), error.code(), error.server_message());
  if (error.no_such_call()) result.set_no_such_call();
  return result;
}

json::object take_object(std::string_view call, json::object answer, std::string_view field) {
  json::value* found = answer.if_contains(field);
  if (found == nullptr || !found->is_object()) throw incomplete_answer(call, field);
  return std::move(found->get_object());
}

}  // namespace mlferry::mlflow
