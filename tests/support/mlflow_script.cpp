#include "support/mlflow_script.hpp"

#include <algorithm>
#include <deque>
#include <exception>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/task.hpp"

namespace mlferry::test {

namespace asio = boost::asio;
using asio::ip::tcp;

struct MlflowScript::State {
  explicit State(asio::io_context& context)
      : acceptor(context, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {}

  struct Answer {
    int status;
    std::string body;
    std::string content_type;
  };

  tcp::acceptor acceptor;
  std::deque<Answer> answers;
  std::vector<Seen> seen;
};

namespace {

constexpr int hang_up_status = 0;

std::string header_value(std::string_view head, std::string_view lower_name) {
  for (std::size_t line = head.find("\r\n"); line != head.npos; line = head.find("\r\n", line + 2)) {
    std::string_view const rest = head.substr(line + 2);
    std::size_t const colon = rest.find(':');
    if (colon == rest.npos) continue;
    std::string name(rest.substr(0, colon));
    for (char& c : name) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
    if (name != lower_name) continue;
    std::string_view value = rest.substr(colon + 1, rest.find("\r\n") - colon - 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return std::string(value);
  }
  return "";
}

template <class State>
async::Task<> serve_one(std::shared_ptr<State> state, tcp::socket socket) {
  std::string data;
  std::size_t const head_size =
      co_await asio::async_read_until(socket, asio::dynamic_buffer(data), "\r\n\r\n", asio::use_awaitable);
  std::string const head = data.substr(0, head_size);
  data.erase(0, head_size);
  std::string const length = header_value(head, "content-length");
  std::size_t const wanted = length.empty() ? 0 : std::stoul(length);
  if (data.size() < wanted) {
    std::size_t const missing = wanted - data.size();
    co_await asio::async_read(socket, asio::dynamic_buffer(data), asio::transfer_exactly(missing),
                              asio::use_awaitable);
  }
  std::size_t const space = head.find(' ');
  std::size_t const second = head.find(' ', space + 1);
  state->seen.push_back({head.substr(0, space), head.substr(space + 1, second - space - 1),
                         header_value(head, "content-type"), data.substr(0, wanted)});

  typename State::Answer answer{418, "nothing in the script", "text/plain"};
  if (!state->answers.empty()) {
    answer = std::move(state->answers.front());
    state->answers.pop_front();
  }
  if (answer.status == hang_up_status) co_return;
  std::string const reply = "HTTP/1.1 " + std::to_string(answer.status) +
                            " X\r\nContent-Type: " + answer.content_type +
                            "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                            "\r\nConnection: close\r\n\r\n" + answer.body;
  co_await asio::async_write(socket, asio::buffer(reply), asio::use_awaitable);
}

template <class State>
async::Task<> serve(std::shared_ptr<State> state) {
  while (true) {
    tcp::socket socket = co_await state->acceptor.async_accept(asio::use_awaitable);
    try {
      co_await serve_one(state, std::move(socket));
    } catch (const boost::system::system_error&) {
      // The client went away: the next one may come.
    }
  }
}

}  // namespace

MlflowScript::MlflowScript(asio::io_context& context) : state_(std::make_shared<State>(context)) {
  // Ends with an error when the acceptor is closed, which is how it is meant to end.
  asio::co_spawn(context, serve(state_), [](std::exception_ptr) {});
}

MlflowScript::~MlflowScript() {
  state_->acceptor.close();
}

std::string MlflowScript::url() const {
  return "http://127.0.0.1:" + std::to_string(state_->acceptor.local_endpoint().port());
}

MlflowScript& MlflowScript::answer(int status, std::string body, std::string content_type) {
  state_->answers.push_back({status, std::move(body), std::move(content_type)});
  return *this;
}

MlflowScript& MlflowScript::hang_up() {
  return answer(hang_up_status, "");
}

const std::vector<MlflowScript::Seen>& MlflowScript::seen() const {
  return state_->seen;
}

std::size_t MlflowScript::answers_left() const {
  return state_->answers.size();
}

}  // namespace mlferry::test
