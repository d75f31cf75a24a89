#pragma once
// Reads HTTP/1.1 responses from a stream, one after the other: the header, then the body piece by piece.
// Bytes of a body of known length go straight into the caller's buffer.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "async/task.hpp"
#include "protocol/http/message.hpp"
#include "protocol/http/stream.hpp"

namespace mlferry::http {

struct ResponseHead {
  int status = 0;
  Headers headers;
  bool keep_alive = false;              // what the header says; a body that ends with the connection says no
  std::optional<std::uint64_t> length;  // announced size of the body
};

class ResponseReader {
 public:
  // `stream` must outlive it.
  ResponseReader(Stream& stream, std::size_t max_header_bytes);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // The next final (not 1xx) header. `no_body`: an answer to HEAD or CONNECT. Throws TransportError: closed,
  // malformed (not HTTP, or above the bound).
  async::Task<ResponseHead> read_head(bool no_body);
  // The body; 0 at its end. Throws TransportError(short_body) when less arrives than was announced.
  async::Task<std::size_t> read_body(std::span<std::byte> buffer);

  // Whether a byte of the answer that is awaited or read has arrived.
  bool begun() const;
  // Whether the answer has been read to its end and nothing beyond it.
  bool finished() const;
  std::uint64_t bytes_received() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlferry::http
