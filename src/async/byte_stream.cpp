#include "async/byte_stream.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace mlferry::async {

Task<std::size_t> read_full(ByteReader& reader, std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    auto const n = co_await reader.read_some(buffer.subspan(done));
    if (n == 0) break;
    done += n;
  }
  co_return done;
}

Task<std::string> read_all(ByteReader& reader, std::size_t limit, std::string what) {
  std::string text;
  std::vector<std::byte> buffer(64 * 1024);
  while (true) {
    auto const n = co_await reader.read_some(buffer);
    if (n == 0) co_return text;
    if (text.size() + n > limit) {
      throw std::length_error(what + ": more than " + std::to_string(limit) + " bytes");
    }
    text.append(as_text(std::span(buffer).first(n)));
  }
}

Task<std::uint64_t> copy(ByteReader& reader, ByteWriter& writer, std::size_t buffer_size) {
  std::vector<std::byte> buffer(buffer_size);
  std::uint64_t total = 0;
  while (true) {
    auto const n = co_await reader.read_some(buffer);
    if (n == 0) co_return total;
    co_await writer.write(std::span(buffer).first(n));
    total += n;
  }
}

Task<std::size_t> MemoryReader::read_some(std::span<std::byte> buffer) {
  auto const n = std::min(buffer.size(), data_.size() - position_);
  std::memcpy(buffer.data(), data_.data() + position_, n);
  position_ += n;
  co_return n;
}

}  // namespace mlferry::async
