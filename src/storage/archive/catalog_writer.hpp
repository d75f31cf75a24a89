#pragma once
// Builds the catalog of one snapshot, FORMAT.md section 6, in a working file. Blocking: rows are collected by
// the caller and applied in batches on the worker pool, one batch at a time.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "storage/archive/archive.hpp"
#include "storage/archive/format.hpp"
#include "storage/sqlite/database.hpp"

namespace mlferry::archive {

struct FrameInsert {
  std::uint32_t pack = 0, frame = 0;
  std::uint64_t offset = 0;  // in the pack
  std::uint32_t stored = 0, raw = 0;
  std::uint8_t encoding = 0;
  std::optional<Digest> sha256;  // of frames of entries
};
struct ChunkInsert {
  Digest sha256{};
  std::uint32_t pack = 0, frame = 0, offset = 0, size = 0;
};
struct ObjectInsert {
  ObjectRow row;
  std::uint32_t pack = 0, frame = 0;
  std::uint64_t offset = 0, length = 0;  // of the record in the decoded frame
};
struct FileInsert {
  std::string kind, id, path;
  std::uint64_t size = 0;
  Digest sha256{};
  std::vector<Digest> chunks;  // at least two, or empty
};
using CatalogInsert = std::variant<FrameInsert, ChunkInsert, ObjectInsert, FileInsert, GapRow>;

class CatalogWriter {
 public:
  // `path`: a file that does not exist yet.
  explicit CatalogWriter(const std::string& path);

  // Known frames and chunks are left as they are; objects, files and gaps replace earlier ones.
  void apply(const std::vector<CatalogInsert>& inserts);

  struct Pack {
    std::uint32_t id = 0;
    std::string name;
    std::uint64_t size = 0;
  };
  struct Totals {
    std::uint64_t objects = 0, files = 0, bytes = 0;
  };
  // Names the packs, drops files of objects without a record, and writes the compact catalog to `path`, a
  // file that does not exist yet. The last call.
  Totals finish(const std::vector<Pack>& packs, const std::string& path);

 private:
  struct Apply;
  std::int64_t object_number(const std::string& kind, const std::string& id);

  sqlite::Database database_;
  sqlite::Statement frame_, chunk_, object_, mention_, number_, file_, file_chunk_, forget_chunks_, gap_;
  std::string last_kind_, last_id_;  // files come in rows of the same object
  std::int64_t last_number_ = 0;
};

}  // namespace mlferry::archive
