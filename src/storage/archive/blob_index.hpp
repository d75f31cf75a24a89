#pragma once
// Which chunks the archive has, by content: 48 bytes a place in one flat table, because an archive of
// millions of chunks must not cost gigabytes of memory.

#include <cstdint>
#include <vector>

#include "storage/archive/format.hpp"

namespace mlferry::archive {

class BlobIndex {
 public:
  struct Place {
    Digest sha256{};
    std::uint32_t pack = 0;  // 0: an empty place of the table
    std::uint32_t frame = 0;
    std::uint32_t offset = 0;  // in the decoded frame
    std::uint32_t size = 0;
  };
  // The pack of chunks that this writer has taken and not necessarily written yet.
  static constexpr std::uint32_t kOwn = 0xffffffff;

  // Null when unknown. Valid until the next add.
  const Place* find(const Digest& sha256) const;
  // Keeps the first place of a chunk: false when it was known.
  bool add(const Place& place);
  std::size_t size() const { return size_; }

 private:
  std::size_t slot_of(const Digest& sha256) const;
  void grow();

  std::vector<Place> places_;
  std::size_t size_ = 0;
};

}  // namespace mlferry::archive
