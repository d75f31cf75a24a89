#pragma once
// A server in the test's own process that follows a script: expect these bytes, answer those. It lives on the
// test's io_context and ends with it.

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "async/task.hpp"
#include "async/task_group.hpp"

namespace mlferry::test {

struct Received {
  std::string head;  // request line and headers with their line ends
  std::string body;

  std::string line() const { return head.substr(0, head.find("\r\n")); }
  // The value of the first header of that name, or "(none)".
  std::string header(std::string_view name) const;
};

// A whole answer with Content-Length. `headers`: lines that end with \r\n.
std::string reply(int status, std::string_view body, std::string_view headers = {});

// The server's side of one connection.
class Peer {
 public:
  virtual ~Peer() = default;
  // 0 at the end.
  virtual async::Task<std::size_t> read_some(char* data, std::size_t size) = 0;
  virtual async::Task<> send(std::string bytes) = 0;
  virtual boost::asio::ip::tcp::socket& socket() = 0;

  // A request line and headers, and the body that Content-Length announces; nothing when the client has
  // closed.
  async::Task<std::optional<Received>> read_request();
  // Only up to the empty line; the body stays unread.
  async::Task<std::optional<Received>> read_head();
  void close();
  // Ends the connection with RST.
  void reset();
  async::Task<> wait_closed();

  int number = 0;  // of the connection, from 0

 private:
  std::string buffer_;
};

struct ServerTls {
  std::string certificate;  // files
  std::string key;
  std::string client_ca;  // a client certificate is demanded when this is set
};

class HttpScript {
 public:
  using Script = std::function<async::Task<>(Peer&)>;
  using Handler = std::function<std::string(const Received&)>;

  // Runs `script` for each connection; the connection closes when it returns or throws.
  HttpScript(boost::asio::io_context& context, Script script, std::optional<ServerTls> tls = {});
  // Answers each request on kept-alive connections with what the handler returns; an empty answer closes.
  HttpScript(boost::asio::io_context& context, Handler handler, std::optional<ServerTls> tls = {});
  ~HttpScript();
  HttpScript(const HttpScript&) = delete;
  HttpScript& operator=(const HttpScript&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(std::string_view host = "127.0.0.1") const;
  int connections() const { return connections_; }
  // What handlers have received, in order.
  const std::vector<Received>& requests() const { return requests_; }
  // Nobody listens from now on; open connections go on.
  void stop_listening();

 private:
  struct Tls;
  async::Task<> accept();
  async::Task<> serve(boost::asio::ip::tcp::socket socket, int number);
  async::Task<> handle(Peer& peer);

  boost::asio::io_context& context_;
  Script script_;
  Handler handler_;
  std::unique_ptr<Tls> tls_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  int connections_ = 0;
  std::vector<Received> requests_;
  async::TaskGroup tasks_;
};

}  // namespace mlferry::test
