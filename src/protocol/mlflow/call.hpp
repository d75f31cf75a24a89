#pragma once
// One REST call as it is sent. The calls by noun (client_*.cpp) describe it; these functions carry it out.

#include <optional>
#include <string>
#include <string_view>

#include "protocol/mlflow/answer.hpp"

namespace mlferry::mlflow {

struct Call {
  http::Method method = http::Method::get;
  std::string target;  // path and query below the base URL
  std::string body;    // JSON, or empty
  http::RequestClass request_class = http::RequestClass::read;
  http::Repeat repeat = http::Repeat::safe;
  std::size_t max_response_bytes = 64u << 20;
};

Call get_call(std::string target, http::RequestClass request_class = http::RequestClass::read);
Call post_call(std::string target, std::string body,
               http::RequestClass request_class = http::RequestClass::write);

inline constexpr std::string_view api2 = "/api/2.0/mlflow/";
inline constexpr std::string_view api3 = "/api/3.0/mlflow/";
inline constexpr std::string_view ajax2 = "/ajax-api/2.0/mlflow/";
// "/api/2.0/mlflow/" + path
std::string api2_target(std::string_view path);

// `http` must outlive the coroutine.
async::Task<http::Response> send_call(http::Client& http, Call call);
// The object answered; throws ApiError.
async::Task<json::object> ask(http::Client& http, Call call);
// The same, but nothing when the object asked for does not exist.
async::Task<std::optional<json::object>> ask_maybe(http::Client& http, Call call);

}  // namespace mlferry::mlflow
