#include "storage/archive/pack_set.hpp"

namespace mlferry::archive {

PackSet::Pack& PackSet::make(std::string name, std::uint64_t size) {
  by_name_[name] = packs_.size();
  auto& pack = packs_.emplace_back();
  pack.name = std::move(name);
  pack.size = size;
  return pack;
}

void PackSet::list(std::string name, std::uint64_t size) {
  make(std::move(name), size);
}
void PackSet::add_damaged(std::string name) {
  make(std::move(name), 0).damaged = true;
}

void PackSet::add(std::string name, std::uint64_t size, const std::vector<PackFrame>& frames) {
  auto& pack = make(std::move(name), size);
  auto const position = static_cast<std::uint32_t>(packs_.size());
  pack.frames.reserve(frames.size());
  for (auto const& frame : frames) {
    auto const number = static_cast<std::uint32_t>(pack.frames.size());
    pack.frames.push_back(
        {static_cast<std::uint32_t>(frame.offset), frame.stored, frame.raw, frame.encoding});
    std::uint32_t offset = 0;
    for (auto const& blob : frame.blobs) {
      index_.add({blob.sha256, position, number, offset, blob.size});
      offset += blob.size;
    }
  }
}

bool PackSet::has(const std::string& name, std::uint64_t size) const {
  auto const found = by_name_.find(name);
  return found != by_name_.end() && !packs_[found->second].damaged && packs_[found->second].size == size;
}

std::uint32_t PackSet::number_of(const std::string& name) {
  auto& pack = packs_[by_name_.at(name)];
  if (pack.number == 0) pack.number = new_number();
  return pack.number;
}

FrameInsert PackSet::frame_row(const BlobIndex::Place& place, std::optional<Digest> sha256) {
  auto const& pack = packs_[place.pack - 1];
  auto const& frame = pack.frames[place.frame];
  FrameInsert row;
  row.pack = number_of(pack.name);
  row.frame = place.frame;
  row.offset = frame.offset;
  row.stored = frame.stored;
  row.raw = frame.raw;
  row.encoding = static_cast<std::uint8_t>(frame.encoding);
  row.sha256 = sha256;
  return row;
}

ChunkInsert PackSet::chunk_row(const BlobIndex::Place& place) {
  return {place.sha256, number_of(packs_[place.pack - 1].name), place.frame, place.offset, place.size};
}

std::vector<CatalogWriter::Pack> PackSet::used() const {
  std::vector<CatalogWriter::Pack> used;
  for (auto const& pack : packs_) {
    if (pack.number != 0) used.push_back({pack.number, pack.name, pack.size});
  }
  return used;
}

}  // namespace mlferry::archive
