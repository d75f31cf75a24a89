#include "protocol/mlflow/call.hpp"

#include <utility>

namespace mlferry::mlflow {

Call get_call(std::string target, http::RequestClass request_class) {
  Call call;
  call.target = std::move(target);
  call.request_class = request_class;
  return call;
}

Call post_call(std::string target, std::string body, http::RequestClass request_class) {
  Call call;
  call.method = http::Method::post;
  call.target = std::move(target);
  call.body = std::move(body);
  call.request_class = request_class;
  return call;
}

std::string api2_target(std::string_view path) {
  return std::string(api2) + std::string(path);
}

async::Task<http::Response> send_call(http::Client& http, Call call) {
  http::Request request;
  request.method = call.method;
  request.target = std::move(call.target);
  if (!call.body.empty()) request.content_type = "application/json";
  request.body = std::move(call.body);
  request.request_class = call.request_class;
  request.repeat = call.repeat;
  request.max_response_bytes = call.max_response_bytes;
  co_return co_await http.send(std::move(request));
}

async::Task<json::object> ask(http::Client& http, Call call) {
  std::string const name = call_name(call.method, call.target);
  http::Response const response = co_await send_call(http, std::move(call));
  co_return answer_object(name, response.status, response.body);
}

async::Task<std::optional<json::object>> ask_maybe(http::Client& http, Call call) {
  std::string const name = call_name(call.method, call.target);
  http::Response const response = co_await send_call(http, std::move(call));
  co_return answer_or_missing(name, response.status, response.body);
}

async::Task<std::optional<json::object>> Client::call(http::Method method, std::string target,
                                                      std::string body, http::RequestClass request_class) {
  Call call;
  call.method = method;
  call.target = std::move(target);
  call.body = std::move(body);
  call.request_class = request_class;
  std::string const name = call_name(call.method, call.target);
  http::Response const response = co_await send_call(http_, std::move(call));
  if (!response.ok()) {
    ApiError error = api_error(name, response.status, response.body);
    if (error.no_such_call()) co_return std::nullopt;
    throw error;
  }
  co_return answer_object(name, response.status, response.body);
}

async::Task<json::object> Client::change(http::Method method, std::string target, json::object body,
                                         http::Repeat repeat) {
  Call call;
  call.method = method;
  call.target = std::move(target);
  call.body = to_json(body);
  call.request_class = http::RequestClass::write;
  call.repeat = repeat;
  co_return co_await ask(http_, std::move(call));
}

}  // namespace mlferry::mlflow
