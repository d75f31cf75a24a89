#pragma once
// Makes connections to one server: address look-up, TCP, a proxy's tunnel, TLS, all within one limit of time.

#include <chrono>
#include <memory>
#include <optional>

#include "protocol/http/client.hpp"
#include "protocol/http/proxy.hpp"
#include "protocol/http/stream.hpp"
#include "protocol/http/tcp_stream.hpp"
#include "protocol/http/tls.hpp"
#include "protocol/http/url.hpp"

namespace mlferry::http {

class Connector {
 public:
  // `options` must outlive it, and it must outlive its streams. Throws TransportError(bad_url, tls).
  Connector(const ClientOptions& options, Origin origin);

  // Throws TransportError: resolve, connect, proxy, tls, timeout, closed. Nothing of a request has been sent
  // then.
  async::Task<std::unique_ptr<Stream>> connect();

  // The proxy whose requests need the absolute form, or null.
  const Proxy* forwarding_proxy() const { return proxy_ && !origin_.tls ? &*proxy_ : nullptr; }

 private:
  using Clock = std::chrono::steady_clock;
  async::Task<std::unique_ptr<TcpStream>> connect_to(std::string host, std::uint16_t port,
                                                     Clock::time_point deadline);

  const ClientOptions& options_;
  Origin origin_;
  std::optional<Proxy> proxy_;
  std::unique_ptr<TlsContext> tls_;
  // A server that closes after each answer would cost a look-up a request.
  Endpoints known_;
  Clock::time_point known_until_{};
};

}  // namespace mlferry::http
