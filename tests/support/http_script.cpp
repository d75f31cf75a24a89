#include "support/http_script.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include "protocol/http/text.hpp"
#include "support/run.hpp"

namespace mlferry::test {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

template <class S>
class PeerOver final : public Peer {
 public:
  template <class... Arguments>
  explicit PeerOver(tcp::socket& socket, Arguments&&... arguments)
      : stream(std::forward<Arguments>(arguments)...), socket_(socket) {}
  async::Task<std::size_t> read_some(char* data, std::size_t size) override {
    auto [error, n] = co_await stream.async_read_some(asio::buffer(data, size), as_tuple);
    if (error) co_return 0;
    co_return n;
  }
  async::Task<> send(std::string bytes) override {
    co_await asio::async_write(stream, asio::buffer(bytes), asio::use_awaitable);
  }
  tcp::socket& socket() override { return socket_; }

  S stream;

 private:
  tcp::socket& socket_;
};

}  // namespace

struct HttpScript::Tls {
  asio::ssl::context context{asio::ssl::context::tls_server};
};

std::string Received::header(std::string_view name) const {
  std::size_t at = head.find("\r\n") + 2;
  while (at < head.size()) {
    auto const end = head.find("\r\n", at);
    auto const line = head.substr(at, end - at);
    auto const colon = line.find(':');
    if (colon != line.npos && http::same_ignoring_case(line.substr(0, colon), name)) {
      return std::string(http::trimmed(std::string_view(line).substr(colon + 1)));
    }
    at = end + 2;
  }
  return "(none)";
}

std::string reply(int status, std::string_view body, std::string_view headers) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " X\r\n";
  text.append(headers);
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  text.append(body);
  return text;
}

async::Task<std::optional<Received>> Peer::read_head() {
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    char data[16 * 1024];
    auto const n = co_await read_some(data, sizeof data);
    if (n == 0) co_return std::nullopt;
    buffer_.append(data, n);
  }
  Received received;
  received.head = buffer_.substr(0, end + 4);
  buffer_.erase(0, end + 4);
  co_return received;
}

async::Task<std::optional<Received>> Peer::read_request() {
  auto received = co_await read_head();
  if (!received) co_return received;
  auto const length = received->header("Content-Length");
  auto const wanted = length == "(none)" ? 0 : std::stoull(length);
  while (buffer_.size() < wanted) {
    char data[64 * 1024];
    auto const n = co_await read_some(data, sizeof data);
    if (n == 0) co_return std::nullopt;
    buffer_.append(data, n);
  }
  received->body = buffer_.substr(0, wanted);
  buffer_.erase(0, wanted);
  co_return received;
}

void Peer::close() {
  boost::system::error_code ignored;
  socket().close(ignored);
}

void Peer::reset() {
  boost::system::error_code ignored;
  socket().set_option(asio::socket_base::linger(true, 0), ignored);
  socket().close(ignored);
}

async::Task<> Peer::wait_closed() {
  char data[64 * 1024];
  while (true) {
    auto const n = co_await read_some(data, sizeof data);
    if (n == 0) co_return;
  }
}

HttpScript::HttpScript(asio::io_context& context, Script script, std::optional<ServerTls> tls)
    : context_(context),
      script_(std::move(script)),
      acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      port_(acceptor_.local_endpoint().port()),
      tasks_(context.get_executor()) {
  if (tls) {
    tls_ = std::make_unique<Tls>();
    tls_->context.use_certificate_chain_file(tls->certificate);
    tls_->context.use_private_key_file(tls->key, asio::ssl::context::pem);
    if (!tls->client_ca.empty()) {
      tls_->context.load_verify_file(tls->client_ca);
      tls_->context.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
  }
  tasks_.spawn(accept());
}

HttpScript::HttpScript(asio::io_context& context, Handler handler, std::optional<ServerTls> tls)
    : HttpScript(context, Script(), std::move(tls)) {
  handler_ = std::move(handler);
}

HttpScript::~HttpScript() {
  tasks_.cancel();
  try {
    run(context_, tasks_.join());
  } catch (const boost::system::system_error&) {  // the cancellation
  }
}

std::string HttpScript::url(std::string_view host) const {
  return (tls_ ? "https://" : "http://") + std::string(host) + ":" + std::to_string(port_);
}

void HttpScript::stop_listening() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

async::Task<> HttpScript::accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(as_tuple);
    if (error) co_return;
    tasks_.spawn(serve(std::move(socket), connections_++));
  }
}

async::Task<> HttpScript::serve(tcp::socket socket, int number) {
  // A client that goes away is no failure of the server.
  try {
    if (tls_) {
      PeerOver<asio::ssl::stream<tcp::socket&>> peer(socket, socket, tls_->context);
      peer.number = number;
      co_await peer.stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
      co_await handle(peer);
      boost::system::error_code ignored;
      co_await peer.stream.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
    } else {
      PeerOver<tcp::socket&> peer(socket, socket);
      peer.number = number;
      co_await handle(peer);
    }
  } catch (const boost::system::system_error&) {
  }
}

async::Task<> HttpScript::handle(Peer& peer) {
  if (script_) {
    co_await script_(peer);
    co_return;
  }
  while (true) {
    auto request = co_await peer.read_request();
    if (!request) co_return;
    requests_.push_back(*request);
    auto answer = handler_(*request);
    if (answer.empty()) co_return;
    co_await peer.send(std::move(answer));
  }
}

}  // namespace mlferry::test
