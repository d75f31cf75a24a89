#pragma once
// zstd for one frame at a time, in buffers whose sizes are known before. Blocking: call it on the worker
// pool.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace mlferry::archive {

// Memory that is not zeroed first: a chunk's buffer is filled by a read anyway.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : data_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}
  std::span<std::byte> span() { return {data_.get(), size_}; }
  std::span<const std::byte> span() const { return {data_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0;
};

// How large a compressed frame may be to be worth it: 97 % of `raw`.
constexpr std::size_t worthwhile_size(std::size_t raw) {
  return raw - raw / 33 - (raw < 33 ? raw != 0 : 0);
}

class Compressor {
 public:
  Compressor();
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  // The size of the frame in `out`, or nothing when it does not fit: give `out` worthwhile_size(in.size())
  // bytes.
  std::optional<std::size_t> compress(std::span<const std::byte> in, std::span<std::byte> out, int level);
  // False when pieces from all over `in` cannot be made smaller: then compressing all of it would only cost
  // time. Of small inputs always true.
  bool promises_gain(std::span<const std::byte> in, int level);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether `frame` is exactly one zstd frame and fills `out` exactly. Reads and writes nothing beyond the two.
bool decompress(std::span<const std::byte> frame, std::span<std::byte> out);

}  // namespace mlferry::archive
