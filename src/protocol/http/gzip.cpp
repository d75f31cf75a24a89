#include "protocol/http/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <vector>

#include "protocol/http/error.hpp"
#include "protocol/http/text.hpp"

namespace mlferry::http {

bool is_gzip_coded(const Headers& headers) {
  auto const* const found = find_header(headers, "Content-Encoding");
  if (found == nullptr) return false;
  auto const coding = trimmed(*found);
  if (coding.empty() || same_ignoring_case(coding, "identity")) return false;
  for (std::string_view known : {"gzip", "x-gzip", "deflate"}) {
    if (same_ignoring_case(coding, known)) return true;
  }
  throw TransportError(Fault::malformed, false, "the answer has a content coding that was not asked for");
}

struct GzipReader::Impl {
  std::unique_ptr<async::ByteReader> coded;
  std::uint64_t limit = 0;
  std::uint64_t produced = 0;
  std::vector<std::byte> input = std::vector<std::byte>(64 * 1024);
  z_stream zlib{};
  bool member_ended = false;
  bool coded_ended = false;
  bool any_input = false;
};

GzipReader::GzipReader(std::unique_ptr<async::ByteReader> coded, std::uint64_t limit)
    : impl_(std::make_unique<Impl>()) {
  impl_->coded = std::move(coded);
  impl_->limit = limit;
  constexpr int gzip_or_zlib = 15 + 32;
  if (inflateInit2(&impl_->zlib, gzip_or_zlib) != Z_OK) throw std::bad_alloc();
}

GzipReader::~GzipReader() {
  inflateEnd(&impl_->zlib);
}

async::Task<std::size_t> GzipReader::read_some(std::span<std::byte> buffer) {
  auto& state = *impl_;
  auto& zlib = state.zlib;
  while (true) {
    if (zlib.avail_in == 0 && !state.coded_ended) {
      auto const n = co_await state.coded->read_some(state.input);
      state.coded_ended = n == 0;
      state.any_input = state.any_input || n != 0;
      zlib.next_in = reinterpret_cast<Bytef*>(state.input.data());
      zlib.avail_in = static_cast<uInt>(n);
    }
    if (state.coded_ended && zlib.avail_in == 0 && (state.member_ended || !state.any_input)) co_return 0;
    if (state.member_ended) {  // another member follows
      inflateReset(&zlib);
      state.member_ended = false;
    }
    auto const room =
        static_cast<uInt>(std::min<std::size_t>(buffer.size(), std::numeric_limits<uInt>::max()));
    zlib.next_out = reinterpret_cast<Bytef*>(buffer.data());
    zlib.avail_out = room;
    auto const result = inflate(&zlib, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      throw TransportError(Fault::malformed, false, "the gzip coding of the answer is broken");
    }
    state.member_ended = result == Z_STREAM_END;
    std::size_t const n = room - zlib.avail_out;
    state.produced += n;
    if (state.produced > state.limit) {
      throw ResponseTooLarge("the answer, unpacked, is larger than " + std::to_string(state.limit) +
                             " bytes");
    }
    if (n != 0) co_return n;
    if (state.coded_ended && !state.member_ended) {
      throw TransportError(Fault::short_body, false, "the gzip coding of the answer ends too early");
    }
  }
}

}  // namespace mlferry::http
