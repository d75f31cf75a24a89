#pragma once
// A download that survives broken connections: asks for the rest, or for everything again, and makes sure
// that what it goes on with is the same file.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "async/byte_stream.hpp"
#include "protocol/http/session.hpp"

namespace mlferry::http {

// "bytes 5-9/10" or "bytes 5-9/*".
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

class ResumingReader final : public async::ByteReader {
 public:
  // `request` must be a GET for anything to be resumed; `first` is its 2xx answer with a live body.
  ResumingReader(std::shared_ptr<Session> session, Request request, Answer first);
  ~ResumingReader() override;

  // Throws TransportError(changed) when the file is not the same any more, else as Session::run.
  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override;

 private:
  struct Digest;
  async::Task<> resume();
  async::Task<> skip_delivered(bool check);
  std::string refusal(const Answer& answer) const;

  std::shared_ptr<Session> session_;
  Request request_;
  RetryState state_;
  std::unique_ptr<LiveBody> live_;
  int status_ = 0;
  std::string etag_;                   // strong, or empty
  std::optional<ContentRange> range_;  // of the first answer
  std::optional<std::uint64_t> size_;
  std::uint64_t delivered_ = 0;
  bool ended_ = false;  // only the end itself was missing
  std::uint64_t delivered_at_failure_ = 0;
  std::unique_ptr<Digest> digest_;  // of what was delivered, where no ETag tells that a file is the same
};

}  // namespace mlferry::http
