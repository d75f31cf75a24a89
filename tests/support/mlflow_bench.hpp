#pragma once
// A REST client and the scripted server that it talks to. For tests that look at single requests.

#include <chrono>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "protocol/mlflow/client.hpp"
#include "support/mlflow_script.hpp"

namespace mlferry::test {

struct MlflowBench {
  explicit MlflowBench(int attempts = 2)
      : http(context.get_executor(), options(server.url(), attempts), nullptr) {}

  boost::asio::io_context context;
  MlflowScript server{context};
  http::Client http;
  mlflow::Client client{http};

  static http::ClientOptions options(std::string url, int attempts) {
    http::ClientOptions options;
    options.base_url = std::move(url);
    options.retry.attempts = attempts;
    options.retry.base_delay = options.retry.max_delay = std::chrono::milliseconds(1);
    return options;
  }
};

// Forgets the result: calls of different results in one table.
template <class T>
async::Task<> drop(async::Task<T> task) {
  co_await std::move(task);
}

}  // namespace mlferry::test
