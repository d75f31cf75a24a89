#include "storage/archive/blob_index.hpp"

#include <cstring>
#include <utility>

namespace mlferry::archive {

// The slot of the chunk, or the empty one where it belongs. A digest's own bytes are random enough as a hash.
std::size_t BlobIndex::slot_of(const Digest& sha256) const {
  std::size_t hash = 0;
  std::memcpy(&hash, sha256.data(), sizeof hash);
  std::size_t const mask = places_.size() - 1;  // a power of two
  std::size_t slot = hash & mask;
  while (places_[slot].pack != 0 && places_[slot].sha256 != sha256) slot = (slot + 1) & mask;
  return slot;
}

const BlobIndex::Place* BlobIndex::find(const Digest& sha256) const {
  if (places_.empty()) return nullptr;
  auto const& place = places_[slot_of(sha256)];
  return place.pack == 0 ? nullptr : &place;
}

bool BlobIndex::add(const Place& place) {
  if ((size_ + 1) * 10 > places_.size() * 7) grow();
  auto& slot = places_[slot_of(place.sha256)];
  if (slot.pack != 0) return false;
  slot = place;
  ++size_;
  return true;
}

void BlobIndex::grow() {
  std::vector<Place> old(places_.empty() ? 1024 : places_.size() * 2);
  std::swap(old, places_);
  for (auto const& place : old) {
    if (place.pack != 0) places_[slot_of(place.sha256)] = place;
  }
}

}  // namespace mlferry::archive
