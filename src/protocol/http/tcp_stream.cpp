#include "protocol/http/tcp_stream.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "async/with_timeout.hpp"
#include "protocol/http/error.hpp"

namespace mlferry::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

std::chrono::milliseconds left_until(Clock::time_point deadline) {
  auto const left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return std::max(left, std::chrono::milliseconds(1));
}

// What the resolver and the waiting coroutine share. The system's look-up cannot be interrupted, so a waiter
// that gives up leaves this behind.
struct Lookup {
  explicit Lookup(const async::Executor& executor) : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  asio::steady_timer done;
  bool finished = false;
  boost::system::error_code error;
  Endpoints endpoints;
};

async::Task<boost::system::error_code> connect_one(tcp::socket& socket, tcp::endpoint endpoint) {
  auto [error] = co_await socket.async_connect(endpoint, as_tuple);
  co_return error;
}

}  // namespace

std::size_t bytes_to_wait_for(std::size_t promised) {
  // Large enough that few waits are left for a file, small against the windows that the kernel opens.
  constexpr std::size_t gulp = 256 * 1024;
  constexpr std::size_t largest_segment = 64 * 1024;
  if (promised <= largest_segment) return 1;
  return std::min(promised - largest_segment, gulp);
}

async::Task<> throw_if_cancelled() {
  auto const state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
}

async::Task<std::size_t> TcpStream::read_promised(std::span<std::byte> buffer) {
  return read(buffer, bytes_to_wait_for(buffer.size()));
}

async::Task<std::size_t> TcpStream::read(std::span<std::byte> buffer, std::size_t wake_at) {
  auto const link = link_;
  link->acknowledge_at_once();
  link->wake_at(wake_at);
  auto [error, n] =
      co_await link->socket.async_read_some(asio::buffer(buffer.data(), buffer.size()), as_tuple);
  if (error == asio::error::eof) co_return 0;
  if (error) link->fail(error, "read");
  link->moved();
  co_return n;
}

async::Task<std::size_t> TcpStream::write_some(std::span<const std::byte> data) {
  auto const link = link_;
  auto [error, n] = co_await link->socket.async_write_some(asio::buffer(data.data(), data.size()), as_tuple);
  if (error) link->fail(error, "write");
  link->moved();
  co_return n;
}

async::Task<Endpoints> resolve(std::string host, std::uint16_t port, Clock::time_point deadline) {
  boost::system::error_code not_an_address;
  auto const address = asio::ip::make_address(host, not_an_address);
  if (!not_an_address) co_return Endpoints(1, tcp::endpoint(address, port));

  auto const executor = co_await asio::this_coro::executor;
  auto const lookup = std::make_shared<Lookup>(executor);
  lookup->done.expires_at(deadline);
  lookup->resolver.async_resolve(
      host, std::to_string(port), tcp::resolver::numeric_service,
      [lookup](boost::system::error_code error, const tcp::resolver::results_type& found) {
        lookup->finished = true;
        lookup->error = error;
        for (auto const& entry : found) lookup->endpoints.push_back(entry.endpoint());
        lookup->done.cancel();
      });
  co_await lookup->done.async_wait(as_tuple);
  co_await throw_if_cancelled();
  if (!lookup->finished) {
    throw TransportError(Fault::timeout, false, "looking up the address of '" + host + "' took too long");
  }
  if (lookup->error || lookup->endpoints.empty()) {
    throw TransportError(Fault::resolve, false,
                         "host '" + host + "' has no address: " + lookup->error.message());
  }
  co_return std::move(lookup->endpoints);
}

async::Task<std::unique_ptr<TcpStream>> connect_tcp(Endpoints endpoints, Clock::time_point deadline,
                                                    std::chrono::milliseconds idle_limit) {
  auto const executor = co_await asio::this_coro::executor;
  boost::system::error_code last;
  bool timed_out = false;
  std::size_t remaining = endpoints.size();
  for (auto const& endpoint : endpoints) {
    tcp::socket socket(executor);
    auto const share =
        std::max(left_until(deadline) / static_cast<int>(remaining--), std::chrono::milliseconds(1));
    auto const result = co_await async::with_timeout(connect_one(socket, endpoint), share);
    co_await throw_if_cancelled();
    timed_out = !result;
    if (timed_out) continue;
    last = *result;
    if (last) continue;
    boost::system::error_code ignored;  // an option that is refused costs speed only
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    co_return std::make_unique<TcpStream>(std::make_shared<SocketLink>(std::move(socket), idle_limit));
  }
  if (timed_out) throw TransportError(Fault::timeout, false, "connecting took too long");
  throw TransportError(Fault::connect, false, "cannot connect: " + last.message());
}

}  // namespace mlferry::http
