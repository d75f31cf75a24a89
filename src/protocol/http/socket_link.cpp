#include "protocol/http/socket_link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "protocol/http/error.hpp"

namespace mlferry::http {

namespace asio = boost::asio;

void SocketLink::start_watch() {
  watching_ = true;
  paused_ = false;
  moved();
  arm();
}

void SocketLink::stop_watch() {
  watching_ = false;
  timer_.cancel();
}

void SocketLink::pause_watch(bool paused) {
  paused_ = paused;
  moved();
}

void SocketLink::arm() {
  timer_.expires_at(last_ + limit_);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code failed) {
    auto const link = weak.lock();
    if (!link || failed || !link->watching_) return;
    if (link->paused_) link->moved();
    if (Clock::now() - link->last_ < link->limit_ || link->wake_for_less()) return link->arm();
    link->expired_ = true;
    boost::system::error_code ignored;
    link->socket.close(ignored);  // ends the waits with operation_aborted, which fail() translates
  });
}

bool SocketLink::quiet() {
  if (!socket.is_open() || expired_) return false;
  char byte = 0;
  auto const n = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void SocketLink::acknowledge_at_once() {
  int const on = 1;  // Linux takes it back by itself; where it is refused it costs speed only
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void SocketLink::wake_at(std::size_t bytes) {
  int const wanted = slow_ ? 1 : static_cast<int>(std::clamp<std::size_t>(bytes, 1, INT_MAX));
  if (wanted == wake_at_) return;
  if (::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted) == 0) wake_at_ = wanted;
}

// Wakes the wait when bytes are there, but fewer than it is to wake for. Whether there were any.
bool SocketLink::wake_for_less() {
  boost::system::error_code failed;
  if (wake_at_ == 1 || socket.available(failed) == 0 || failed) return false;
  moved();
  slow_ = true;
  wake_at(1);
  return true;
}

void SocketLink::fail(const boost::system::error_code& error, const char* operation) const {
  if (expired_) {
    throw TransportError(Fault::timeout, false,
                         "nothing moved for " + std::to_string(limit_.count()) + " ms (" + operation + ")");
  }
  if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
  throw TransportError(Fault::closed, false, std::string(operation) + " failed: " + error.message());
}

}  // namespace mlferry::http
