#pragma once
// What tests of the HTTP client share: requests in one line, options that do not wait, and an admission that
// remembers what it was told.

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "protocol/http/client.hpp"
#include "support/run.hpp"

namespace mlferry::test {

inline http::ClientOptions quick(const std::string& url) {
  http::ClientOptions options;
  options.base_url = url;
  options.retry.attempts = 3;
  options.retry.base_delay = std::chrono::milliseconds(1);
  options.retry.max_delay = std::chrono::milliseconds(5);
  options.random_seed = 7;
  return options;
}

inline http::Request get(std::string target) {
  http::Request request;
  request.target = std::move(target);
  return request;
}

inline http::Request create(std::string target, std::string body) {
  http::Request request;
  request.method = http::Method::post;
  request.target = std::move(target);
  request.body = std::move(body);
  request.content_type = "application/json";
  request.request_class = http::RequestClass::write;
  request.repeat = http::Repeat::unclear;
  return request;
}

inline http::TransportError error_of(boost::asio::io_context& context, http::Client& client,
                                     http::Request request) {
  try {
    run(context, client.send(std::move(request)));
  } catch (const http::TransportError& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return http::TransportError(http::Fault::closed, false, "");
}

// Counts, and lets everybody in.
struct Gate final : http::Admission {
  explicit Gate(boost::asio::io_context& context) : permits(context.get_executor(), 4) {}
  async::Task<async::Permit> enter(http::RequestClass, http::Repeat) override {
    auto permit = co_await permits.acquire();
    co_return permit;
  }
  http::Connections observe(const http::Observation& observation) override {
    seen.push_back(observation);
    return std::exchange(advice, http::Connections::keep);
  }
  void hold_back(http::RequestClass request_class, std::chrono::nanoseconds duration) override {
    held.emplace_back(request_class, duration);
  }
  async::Semaphore permits;
  std::vector<http::Observation> seen;
  http::Connections advice = http::Connections::keep;  // after the next answer
  std::vector<std::pair<http::RequestClass, std::chrono::nanoseconds>> held;
};

}  // namespace mlferry::test
