#pragma once
// Where bytes come from and where they go: a file, a response body, a decompressor. Users pull through
// read_some; nothing is buffered behind it beyond what the class says.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "async/task.hpp"

namespace mlferry::async {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills the front of `buffer` (never empty) and returns how many bytes; 0 only at the end. Throws when the
  // source breaks or is shorter than it announced. Cancelled: the reader can only be destroyed.
  virtual Task<std::size_t> read_some(std::span<std::byte> buffer) = 0;
};

class ByteWriter {
 public:
  virtual ~ByteWriter() = default;
  // Takes all of `data`, which must stay valid until the await returns.
  virtual Task<> write(std::span<const std::byte> data) = 0;
};

// Opens the same bytes from the start, any number of times: what a retry needs.
using OpenReader = std::function<Task<std::unique_ptr<ByteReader>>()>;

// Reads until the buffer is full or the end: less than asked means the end.
Task<std::size_t> read_full(ByteReader& reader, std::span<std::byte> buffer);

// Everything, as text; throws std::length_error with `what` in it when there is more than `limit` bytes.
Task<std::string> read_all(ByteReader& reader, std::size_t limit, std::string what);

// Copies until the end with one buffer of `buffer_size` bytes; returns how many bytes.
Task<std::uint64_t> copy(ByteReader& reader, ByteWriter& writer, std::size_t buffer_size = 256 * 1024);

// Bytes in memory.
class MemoryReader final : public ByteReader {
 public:
  explicit MemoryReader(std::string data) : data_(std::move(data)) {}
  Task<std::size_t> read_some(std::span<std::byte> buffer) override;

 private:
  std::string data_;
  std::size_t position_ = 0;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace mlferry::async
