// http-client: one request to the server, as the user writes it.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>

#include "cli/commands/package_tools.hpp"
#include "protocol/http/url.hpp"
#include "protocol/mlflow/answer.hpp"
#include "protocol/mlflow/json_query.hpp"

namespace mlferry::cli {

namespace {

struct HttpTool : ToolServer {
  std::string api = "mlflow", resource, method = "GET", params, data, output_file;
  bool has_params = false, has_data = false;
};

http::Method method_of(const std::string& name) {
  if (name == "GET") return http::Method::get;
  if (name == "POST") return http::Method::post;
  if (name == "PUT") return http::Method::put;
  if (name == "PATCH") return http::Method::patch;
  return http::Method::del;
}

// JSON text, or "@FILE" that holds it.
mlflow::json::value json_of(const std::string& option, const std::string& text) {
  auto const given = text.starts_with('@') ? read_text_file(option, text.substr(1)) : text;
  try {
    return mlflow::parse_json(given, option);
  } catch (const mlflow::JsonError& error) {
    throw UsageError(option + " is no JSON: " + error.what());
  }
}

std::string target_of(const HttpTool& tool) {
  auto resource = tool.resource;
  while (resource.starts_with('/')) resource.erase(0, 1);
  std::string target = (tool.api == "mlflow" ? "/api/2.0/mlflow/" : "/api/2.0/") + resource;
  if (resource.empty() || resource.find('#') != resource.npos || !http::is_target(target))
    throw UsageError("--resource: '" + tool.resource + "' is no path of a call, such as experiments/search");
  if (!tool.has_params) return target;
  auto const value = json_of("--params", tool.params);
  if (!value.is_object()) throw UsageError("--params is no JSON object");
  try {
    auto const query = mlflow::to_query(value.get_object());
    if (!query.empty()) target += (target.find('?') == target.npos ? "?" : "&") + query;
  } catch (const std::invalid_argument& error) {
    throw UsageError(std::string("--params: ") + error.what());
  }
  return target;
}

// Everything that can be wrong with the options is found before the server is asked.
http::Request request_of(const HttpTool& tool) {
  bool const reads = tool.method == "GET";
  if (tool.has_data && reads)
    throw UsageError("--data is for POST, PUT, PATCH and DELETE; GET takes --params");
  if (tool.has_params && !reads && tool.method != "DELETE")
    throw UsageError("--params is for GET and DELETE; " + tool.method + " takes --data");
  http::Request request;
  request.method = method_of(tool.method);
  request.target = target_of(tool);
  request.request_class = reads ? http::RequestClass::read : http::RequestClass::write;
  // Sent twice, the others mean the same.
  bool const makes = tool.method == "POST" || tool.method == "PATCH";
  request.repeat = makes ? http::Repeat::unclear : http::Repeat::safe;
  if (!reads) {
    request.body = tool.has_data ? mlflow::to_json(json_of("--data", tool.data)) : "{}";
    request.content_type = "application/json";
  }
  return request;
}

async::Task<ExitCode> http_body(Runtime& runtime, const HttpTool& tool) {
  auto request = request_of(tool);
  ServerEnd end(runtime, tool.server, Side::source, true);
  auto const name = mlflow::call_name(request.method, request.target);
  auto const response = co_await end.http.send(std::move(request));
  log_info(runtime, name + ": " + std::to_string(response.status));
  if (!response.ok()) throw mlflow::api_error(name, response.status, response.body);
  std::string text = response.body;
  try {
    text = pretty_json(mlflow::parse_python_json(response.body, "the answer"));
  } catch (const mlflow::JsonError&) {  // a file, or a text such as that of /version
  }
  if (tool.output_file.empty()) {
    print(text + "\n");
  } else {
    write_text_file(tool.output_file, text);
  }
  co_return ExitCode::ok;
}

}  // namespace

void add_http_client(CLI::App& app, Run& run) {
  auto tool = std::make_shared<HttpTool>();
  auto* command =
      app.add_subcommand("http-client", "Send one request to the server's REST API and print the answer");
  command->add_option("--api", tool->api, "mlflow: paths below /api/2.0/mlflow; databricks: below /api/2.0")
      ->check(CLI::IsMember({"mlflow", "databricks"}))
      ->capture_default_str();
  command->add_option("--resource", tool->resource, "Path of the call, such as experiments/search")
      ->required();
  command->add_option("--method", tool->method, "GET, POST, PUT, PATCH or DELETE")
      ->transform(CLI::IsMember({"GET", "POST", "PUT", "PATCH", "DELETE"}, CLI::ignore_case))
      ->capture_default_str();
  command->add_option("--params", tool->params,
                      "JSON object that becomes the query of GET or DELETE, or @FILE");
  command->add_option("--data", tool->data, "JSON body of POST, PUT, PATCH or DELETE, or @FILE");
  command->add_option("--output-file", tool->output_file, "Write the answer to this file");
  add_tool_server(*command, *tool, Requests::few);
  command->callback([tool, command, &run] {
    tool->has_params = command->count("--params") > 0;
    tool->has_data = command->count("--data") > 0;
    run = [tool] {
      return run_tool(tool->global, [tool](Runtime& runtime) { return http_body(runtime, *tool); });
    };
  });
}

}  // namespace mlferry::cli
