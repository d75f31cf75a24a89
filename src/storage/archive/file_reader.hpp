#pragma once
// The bytes of one file of a snapshot: chunk after chunk, each verified as a whole before its first byte is
// handed out, and the SHA-256 of the whole file before the last chunk is.

#include <memory>
#include <string>
#include <vector>

#include "storage/archive/snapshot_reader.hpp"

namespace mlferry::archive {

struct OpenedFile {
  std::uint64_t size = 0;
  Digest sha256{};
  std::vector<ChunkRef> chunks;
};

// Throws Corrupt when a chunk is not listed or the sizes do not add up. Blocking.
OpenedFile locate_chunks(CatalogReader& catalog, const FilePlace& place, const std::string& what);

class FileReader final : public async::ByteReader {
 public:
  FileReader(std::shared_ptr<SnapshotReader::Impl> snapshot, OpenedFile file, std::string what)
      : snapshot_(std::move(snapshot)), file_(std::move(file)), what_(std::move(what)) {}

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override;

 private:
  async::Task<> load_next();

  std::shared_ptr<SnapshotReader::Impl> snapshot_;
  OpenedFile file_;
  std::string what_;
  std::size_t next_ = 0;  // chunk
  std::shared_ptr<const DecodedFrame> frame_;
  std::string_view left_;  // of the current chunk, in frame_
  digest::Sha256 whole_;
};

}  // namespace mlferry::archive
