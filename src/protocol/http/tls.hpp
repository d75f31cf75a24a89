#pragma once
// TLS for a client: what it trusts and what it shows, set up once and shared by all connections.

#include <chrono>
#include <memory>
#include <string>

#include "protocol/http/client.hpp"
#include "protocol/http/stream.hpp"
#include "protocol/http/tcp_stream.hpp"

namespace mlferry::http {

class TlsContext {
 public:
  // Verifies the peer against the system's authorities unless the options say otherwise. Throws
  // TransportError(tls) for files that cannot be used.
  explicit TlsContext(const TlsOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Shakes hands over a connected stream and checks that the certificate is for `host`, a name or an address.
  // Throws TransportError(tls) when the peer is not to be trusted or refuses us, (timeout) at the deadline,
  // (closed) when the connection ended meanwhile. The context must outlive the stream.
  async::Task<std::unique_ptr<Stream>> handshake(std::unique_ptr<TcpStream> connected, std::string host,
                                                 std::chrono::steady_clock::time_point deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlferry::http
