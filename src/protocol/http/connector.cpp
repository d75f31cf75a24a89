#include "protocol/http/connector.hpp"

#include <algorithm>

#include "async/byte_stream.hpp"
#include "async/with_timeout.hpp"
#include "protocol/http/error.hpp"
#include "protocol/http/response_reader.hpp"

namespace mlferry::http {
namespace {

constexpr auto addresses_stay_good = std::chrono::seconds(30);

async::Task<int> ask_for_tunnel(Stream& stream, std::string request, std::size_t max_header_bytes) {
  auto rest = async::as_bytes(request);
  while (!rest.empty()) {
    auto const n = co_await stream.write_some(rest);
    rest = rest.subspan(n);
  }
  ResponseReader reader(stream, max_header_bytes);
  auto const head = co_await reader.read_head(true);
  if (head.status >= 200 && head.status < 300 && !reader.finished()) {
    throw TransportError(Fault::malformed, false, "the proxy sent data before the tunnel was used");
  }
  co_return head.status;
}

async::Task<> open_tunnel(Stream& stream, Origin origin, std::string authorization,
                          std::size_t max_header_bytes, std::chrono::steady_clock::time_point deadline) {
  auto const there = authority_with_port(origin);
  std::string request = "CONNECT " + there + " HTTP/1.1\r\nHost: " + there + "\r\n";
  if (!authorization.empty()) request += "Proxy-Authorization: " + authorization + "\r\n";
  request += "\r\n";
  auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  auto const status =
      co_await async::with_timeout(ask_for_tunnel(stream, std::move(request), max_header_bytes),
                                   std::max(left, std::chrono::milliseconds(1)));
  co_await throw_if_cancelled();
  if (!status) throw TransportError(Fault::timeout, false, "the proxy took too long to connect");
  if (*status >= 200 && *status < 300) co_return;
  auto const text = "the proxy answered " + std::to_string(*status) + " to CONNECT " + there;
  if (*status == 407) {
    throw TransportError(Fault::proxy, false, text + ": it wants a user and password in the proxy's URL");
  }
  // A gateway error is the server's absence as the proxy saw it, and may pass; anything else is the proxy's
  // will.
  throw TransportError(*status >= 500 ? Fault::connect : Fault::proxy, false, text);
}

}  // namespace

Connector::Connector(const ClientOptions& options, Origin origin)
    : options_(options), origin_(std::move(origin)), proxy_(choose_proxy(options.proxy, origin_)) {
  if (origin_.tls) tls_ = std::make_unique<TlsContext>(options.tls);
}

async::Task<std::unique_ptr<TcpStream>> Connector::connect_to(std::string host, std::uint16_t port,
                                                              Clock::time_point deadline) {
  if (known_.empty() || Clock::now() >= known_until_) {
    auto found = co_await resolve(std::move(host), port, deadline);
    known_ = std::move(found);
    known_until_ = Clock::now() + addresses_stay_good;
  }
  try {
    auto stream = co_await connect_tcp(known_, deadline, options_.idle_timeout);
    co_return stream;
  } catch (const TransportError&) {
    known_.clear();
    throw;
  }
}

async::Task<std::unique_ptr<Stream>> Connector::connect() {
  auto const deadline = Clock::now() + options_.connect_timeout;
  if (!proxy_) {
    auto stream = co_await connect_to(origin_.host, origin_.port, deadline);
    if (!tls_) co_return std::move(stream);
    auto secured = co_await tls_->handshake(std::move(stream), origin_.host, deadline);
    co_return secured;
  }
  std::unique_ptr<TcpStream> stream;
  try {
    stream = co_await connect_to(proxy_->host, proxy_->port, deadline);
    if (tls_)
      co_await open_tunnel(*stream, origin_, proxy_->authorization, options_.max_header_bytes, deadline);
  } catch (const TransportError& failure) {
    throw TransportError(failure.fault(), false, "by way of proxy " + proxy_->host + ": " + failure.what());
  }
  if (!tls_) co_return std::move(stream);
  auto secured = co_await tls_->handshake(std::move(stream), origin_.host, deadline);
  co_return secured;
}

}  // namespace mlferry::http
