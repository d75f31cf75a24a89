#pragma once
// Plain TCP: connecting within a limit, and the stream over it.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "protocol/http/socket_link.hpp"
#include "protocol/http/stream.hpp"

namespace mlferry::http {

// How many bytes a wait is for when the peer owes at least `promised`: at least 1, and never the last segment. A sender
// without TCP_NODELAY keeps that one until all before it is acknowledged, and while nobody reads, Linux holds the
// acknowledgement back for 40 ms.
std::size_t bytes_to_wait_for(std::size_t promised);

class TcpStream final : public Stream {
 public:
  explicit TcpStream(std::shared_ptr<SocketLink> link) : link_(std::move(link)) {}

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override { return read(buffer, 1); }
  async::Task<std::size_t> read_promised(std::span<std::byte> buffer) override;
  async::Task<std::size_t> write_some(std::span<const std::byte> data) override;
  void start_watch() override { link_->start_watch(); }
  void stop_watch() override { link_->stop_watch(); }
  void pause_watch(bool paused) override { link_->pause_watch(paused); }
  bool quiet() override { return link_->quiet(); }

  const std::shared_ptr<SocketLink>& link() const { return link_; }

 private:
  async::Task<std::size_t> read(std::span<std::byte> buffer, std::size_t wake_at);

  std::shared_ptr<SocketLink> link_;
};

using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

// The addresses of `host`: never empty. Throws TransportError(resolve), or (timeout) at the deadline.
// Cancelled: the system's look-up goes on in the background, and its result is dropped.
async::Task<Endpoints> resolve(std::string host, std::uint16_t port,
                               std::chrono::steady_clock::time_point deadline);

// Tries the addresses in turn; each gets its share of the time that is left. Throws TransportError(connect),
// or (timeout) when the last one did not answer.
async::Task<std::unique_ptr<TcpStream>> connect_tcp(Endpoints endpoints,
                                                    std::chrono::steady_clock::time_point deadline,
                                                    std::chrono::milliseconds idle_limit);

}  // namespace mlferry::http
