#pragma once
// Undoes gzip (or zlib) compression of a body while it is read. Its output is bounded, because a small
// compressed body can hold terabytes.

#include <cstdint>
#include <memory>
#include <string_view>

#include "async/byte_stream.hpp"
#include "protocol/http/message.hpp"

namespace mlferry::http {

// Whether the body has to go through a gzip reader. Throws TransportError(malformed) for a coding nobody
// asked for.
bool is_gzip_coded(const Headers& headers);

class GzipReader final : public async::ByteReader {
 public:
  // Throws ResponseTooLarge on reading when there is more output than `limit`. Memory: 64 KiB and zlib's 40
  // KiB.
  GzipReader(std::unique_ptr<async::ByteReader> coded, std::uint64_t limit);
  ~GzipReader() override;
  // Besides: TransportError(short_body) when the coded bytes end early, (malformed) when they are not gzip.
  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlferry::http
