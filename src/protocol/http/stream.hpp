#pragma once
// A connected byte stream, over TCP or TLS, whose waits end when nothing moves for the idle limit. It hides
// which of the two it is: code above compiles without OpenSSL, and one HTTP implementation serves both.

#include <chrono>
#include <cstddef>
#include <span>

#include "async/task.hpp"

namespace mlferry::http {

// Contract: one read and one write may be under way together. Errors are TransportError(timeout) when the
// idle limit passed, TransportError(closed) otherwise; a cancelled wait throws operation_aborted. After any
// of them the stream can only be destroyed, which closes it.
class Stream {
 public:
  virtual ~Stream() = default;

  // At least one byte, or 0 when the peer has ended the stream properly. Over TLS an end without close_notify
  // is an error: it cannot be told from an attacker's.
  virtual async::Task<std::size_t> read_some(std::span<std::byte> buffer) = 0;
  // The same, when the peer has promised at least buffer.size() more bytes: may wait until a good part of them is
  // there, so that a fast peer wakes us rarely.
  virtual async::Task<std::size_t> read_promised(std::span<std::byte> buffer) { return read_some(buffer); }
  // How many bytes of the front were taken, at least one.
  virtual async::Task<std::size_t> write_some(std::span<const std::byte> data) = 0;

  // The idle limit counts between these two, from the last byte moved in either direction.
  virtual void start_watch() = 0;
  virtual void stop_watch() = 0;
  // While paused, time does not count: the delay is ours.
  virtual void pause_watch(bool paused) = 0;

  // Whether an unused stream can be used again: not closed by the peer, and nothing unexpected has arrived.
  virtual bool quiet() = 0;
};

// Throws operation_aborted when the awaiting coroutine has been cancelled.
async::Task<> throw_if_cancelled();

}  // namespace mlferry::http
