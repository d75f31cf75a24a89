#pragma once
// Buffers that are used again: the kernel gives out new memory a page at a time, which costs a writer of large chunks as
// much as a third of hashing them.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "storage/archive/compression.hpp"

namespace mlferry::archive {

// Keeps at most `most` bytes that nobody uses, the latest returned.
class SpareBuffers {
 public:
  explicit SpareBuffers(std::size_t most) : most_(most) {}

  // Of `size` bytes or up to an eighth more, with any content: files whose sizes differ little share buffers.
  Buffer take(std::size_t size) {
    auto const step = std::bit_floor(std::max(size, kSmallest)) / 8;
    auto const rounded = size < kSmallest ? size : (size + step - 1) / step * step;
    auto const fits = std::find_if(spare_.rbegin(), spare_.rend(), [&](const Buffer& b) { return b.size() == rounded; });
    if (fits == spare_.rend()) return Buffer(rounded);
    auto buffer = std::move(*fits);
    spare_.erase(std::next(fits).base());
    kept_ -= buffer.size();
    return buffer;
  }

  void give_back(Buffer buffer) {
    if (buffer.size() < kSmallest || buffer.size() > most_) return;
    kept_ += buffer.size();
    spare_.push_back(std::move(buffer));
    while (kept_ > most_) {
      kept_ -= spare_.front().size();
      spare_.erase(spare_.begin());
    }
  }

  std::size_t kept() const { return kept_; }

 private:
  static constexpr std::size_t kSmallest = 128 * 1024;  // smaller ones the allocator keeps by itself

  std::size_t most_;
  std::size_t kept_ = 0;
  std::vector<Buffer> spare_;
};

}  // namespace mlferry::archive
