#pragma once
// A server for tests of single calls: it answers requests from a list, in order, and keeps what it was asked.
// What a whole MLflow would do is not its business.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace mlferry::test {

class MlflowScript {
 public:
  struct Seen {
    std::string method;
    std::string target;
    std::string content_type;
    std::string body;
  };

  // Listens on 127.0.0.1 on a free port until it is destroyed.
  explicit MlflowScript(boost::asio::io_context& context);
  ~MlflowScript();
  MlflowScript(const MlflowScript&) = delete;
  MlflowScript& operator=(const MlflowScript&) = delete;

  std::string url() const;

  // Appends an answer. A request without one is answered 418, which fails the call under test.
  MlflowScript& answer(int status, std::string body, std::string content_type = "application/json");
  // The next request is read and the connection closed.
  MlflowScript& hang_up();

  const std::vector<Seen>& seen() const;
  const Seen& last() const { return seen().back(); }
  std::size_t answers_left() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mlferry::test
