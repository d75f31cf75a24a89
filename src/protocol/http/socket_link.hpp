#pragma once
// A TCP socket with its idle watch: what a plain and a TLS stream have in common.

#include <chrono>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include "async/task.hpp"

namespace mlferry::http {

// One timer serves all reads and writes of an exchange: moving bytes only notes the time, and the timer, when
// it fires, looks whether that was long ago. Always held by a shared_ptr, because a fired timer's handler may
// still be queued when the stream is gone.
class SocketLink : public std::enable_shared_from_this<SocketLink> {
 public:
  using Clock = std::chrono::steady_clock;

  SocketLink(boost::asio::ip::tcp::socket connected, std::chrono::milliseconds idle_limit)
      : socket(std::move(connected)), timer_(socket.get_executor()), limit_(idle_limit) {}

  void start_watch();
  void stop_watch();
  void pause_watch(bool paused);
  void moved() { last_ = Clock::now(); }
  bool expired() const { return expired_; }
  bool quiet();
  // Called before each wait for bytes. Many servers send header and body in two writes without TCP_NODELAY
  // (MLflow's do): the body then waits for the ACK of the header, which Linux holds back for 40 ms.
  void acknowledge_at_once();
  // A wait for bytes ends only when so many are there, or the peer has ended (SO_RCVLOWAT; the window is opened as
  // far). Never more than the peer still owes. When the idle limit passes with fewer, they count as moved, and this
  // connection wakes for each byte from then on.
  void wake_at(std::size_t bytes);

  // Throws what a failed operation means. `operation`: "read" or "write".
  [[noreturn]] void fail(const boost::system::error_code& error, const char* operation) const;

  boost::asio::ip::tcp::socket socket;

 private:
  void arm();
  bool wake_for_less();

  boost::asio::steady_timer timer_;
  std::chrono::milliseconds limit_;
  Clock::time_point last_{};
  bool watching_ = false;
  bool paused_ = false;
  bool expired_ = false;
  bool slow_ = false;
  int wake_at_ = 1;  // what the kernel was told
};

}  // namespace mlferry::http
