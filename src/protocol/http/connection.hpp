#pragma once
// One connection to the server, and one exchange on it at a time: the request goes out, the answer comes in,
// also when it comes before the request has been sent to its end.

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>

#include "async/byte_stream.hpp"
#include "protocol/http/client.hpp"
#include "protocol/http/response_reader.hpp"
#include "protocol/http/stream.hpp"

namespace mlferry::http {

// The reader of a streamed request body threw. Not a fault of this connection, so it is not repeated.
struct SourceFailure {
  std::exception_ptr cause;
};

class Connection {
 public:
  // `counters`, in which this connection is already counted, must outlive it.
  Connection(std::unique_ptr<Stream> stream, std::size_t max_header_bytes, Counters* counters);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends `bytes` (the header with a small body), then `body_size` bytes of `body` unless that is null, and
  // reads the answer's header. Throws TransportError (malformed too for a success that is announced before
  // the body was sent), SourceFailure. After anything thrown the connection can only be destroyed.
  async::Task<ResponseHead> exchange(Method method, std::string bytes,
                                     std::unique_ptr<async::ByteReader> body, std::uint64_t body_size);
  // The body of the answer, 0 at its end; the idle watch ends with it.
  async::Task<std::size_t> read_body(std::span<std::byte> buffer);

  // About the exchange that failed: whether the connection took any byte of the request, whether any byte of
  // an answer has come, and whether earlier exchanges went through.
  bool request_begun() const { return request_begun_; }
  bool answer_begun() const { return reader_.begun(); }
  bool used_before() const { return exchanges_ > 1; }

  // It is the number()-th connection of its client.
  std::uint64_t number() const { return number_; }
  // Whether the answer has been read to its end.
  bool answer_finished() const { return reader_.finished(); }
  // Whether another exchange can follow now.
  bool reusable() const;
  // Whether the server has left an idle connection alone.
  bool quiet() { return stream_->quiet(); }

 private:
  struct Upload;
  async::Task<> write_all(std::span<const std::byte> data);
  async::Task<> send_body(Upload& upload);
  async::Task<> upload(Upload& upload);
  async::Task<> await_answer(Upload& upload, Method method);
  async::Task<ResponseHead> exchange_both_ways(Method method, std::string bytes,
                                               std::unique_ptr<async::ByteReader> body,
                                               std::uint64_t body_size);
  async::Task<ResponseHead> exchange_in_turn(Method method, std::string bytes);

  std::unique_ptr<Stream> stream_;
  ResponseReader reader_;
  Counters* counters_;
  std::uint64_t number_;
  std::uint64_t exchanges_ = 0;
  std::uint64_t counted_received_ = 0;
  bool request_begun_ = false;
  bool request_complete_ = false;
  bool keep_alive_ = false;
};

}  // namespace mlferry::http
