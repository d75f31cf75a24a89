#pragma once
// The packs that are there, what is in them, and which of them a new catalog refers to. Data packs are known
// by their trailers, so that also packs which no snapshot names are used.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/archive/blob_index.hpp"
#include "storage/archive/catalog_writer.hpp"
#include "storage/archive/pack_format.hpp"
#include "storage/backend/backend.hpp"

namespace mlferry::archive {

class PackSet {
 public:
  // Takes note of a pack without reading it.
  void list(std::string name, std::uint64_t size);
  // Takes note of a pack and its blobs.
  void add(std::string name, std::uint64_t size, const std::vector<PackFrame>& frames);
  // The pack is there and must not be used.
  void add_damaged(std::string name);

  BlobIndex& index() { return index_; }
  // Whether a pack of that name and size is there, and not damaged.
  bool has(const std::string& name, std::uint64_t size) const;

  // The number of a pack in the new catalog: from 1, new for each new pack.
  std::uint32_t new_number() { return ++last_number_; }
  std::uint32_t number_of(const std::string& name);
  // The rows of a blob that is in a pack of this set.
  FrameInsert frame_row(const BlobIndex::Place& place, std::optional<Digest> sha256 = std::nullopt);
  ChunkInsert chunk_row(const BlobIndex::Place& place);
  // The packs that have got a number by number_of, frame_row or chunk_row.
  std::vector<CatalogWriter::Pack> used() const;

 private:
  struct Frame {
    std::uint32_t offset = 0, stored = 0, raw = 0;  // a pack has at most 1 GiB
    Encoding encoding = Encoding::raw;
  };
  struct Pack {
    std::string name;
    std::uint64_t size = 0;
    std::vector<Frame> frames;
    std::uint32_t number = 0;
    bool damaged = false;
  };
  Pack& make(std::string name, std::uint64_t size);

  std::vector<Pack> packs_;
  std::map<std::string, std::size_t> by_name_;
  BlobIndex index_;  // Place::pack: position in packs_, plus 1
  std::uint32_t last_number_ = 0;
};

}  // namespace mlferry::archive
