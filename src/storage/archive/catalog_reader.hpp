#pragma once
// Reads a catalog, FORMAT.md section 6, as if its author were an enemy: every number is bounded and every
// name checked before it leaves. Blocking: one call at a time, on the worker pool.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/archive/archive.hpp"
#include "storage/archive/manifest.hpp"
#include "storage/archive/pack_format.hpp"
#include "storage/sqlite/database.hpp"

namespace mlferry::archive {

// Where a frame is, within the bounds of its pack and of the format.
struct FrameRef {
  std::string pack;          // name in the backend
  std::uint32_t number = 0;  // of the frame in the pack
  std::uint64_t offset = 0;
  std::uint32_t stored = 0, raw = 0;
  Encoding encoding = Encoding::raw;
  std::optional<Digest> sha256;
  std::uint64_t pack_size = 0;
};
// A part of a decoded frame, within its bounds.
struct SliceRef {
  FrameRef frame;
  std::uint32_t offset = 0, size = 0;
};
struct ObjectPlace {
  std::int64_t number = 0;  // of the row: rises in the order of writing
  ObjectRow row;
  SliceRef record;
};
struct ChunkRef {
  Digest sha256{};
  SliceRef slice;
};
struct FilePlace {
  FileRow row;
  Digest sha256{};
  std::vector<Digest> chunks;  // the names of all chunks, in order; empty for an empty file
};

// All calls throw Corrupt with the catalog's name.
class CatalogReader {
 public:
  CatalogReader(const std::string& path, const Manifest& manifest);

  std::uint64_t count(const std::string& kind);
  std::vector<std::pair<std::string, std::uint64_t>> counts();
  std::vector<ObjectPlace> objects(const std::string& kind, const std::optional<std::string>& parent,
                                   std::int64_t after, std::size_t limit);
  std::optional<ObjectPlace> find(const std::string& kind, const std::string& id);
  std::vector<FileRow> files(const std::string& kind, const std::string& id);
  std::vector<FilePlace> file_places(std::int64_t object);
  std::optional<FilePlace> file(const std::string& kind, const std::string& id, const std::string& path);
  std::optional<SliceRef> chunk(const Digest& sha256);
  std::vector<GapRow> gaps();
  std::vector<GapRow> gaps_of(const std::string& kind, const std::string& id);

  // Every object and every file of it, for check.
  void for_each(const std::function<void(const ObjectPlace&, const std::vector<FilePlace>&)>& visit);
  // SQLite's own look at the file, "ok" when it finds nothing.
  std::string integrity();

 private:
  ObjectPlace object_of(sqlite::Statement& row);
  FilePlace file_of(sqlite::Statement& row, std::int64_t object);
  FrameRef frame_of(sqlite::Statement& row, int first);
  std::string text_of(sqlite::Statement& row, int column, std::size_t limit, const char* what);
  std::uint64_t size_of(sqlite::Statement& row, int column, std::uint64_t limit, const char* what);
  Digest digest_of(sqlite::Statement& row, int column, const char* what);
  std::vector<Digest> chunks_of(std::int64_t object, const std::string& path);
  [[noreturn]] void corrupt(const std::string& text) const;
  template <class Work>
  auto guarded(Work work);
  // The statement, ready to be bound; compiled once. No statement may be asked for again while it is stepped.
  sqlite::Statement& statement(const std::string& sql);

  std::string name_;
  sqlite::Database database_;
  std::map<std::string, sqlite::Statement> statements_;  // after the database: destroyed first
  struct Pack {
    std::string name;
    std::uint64_t size = 0;
  };
  std::map<std::int64_t, Pack> packs_;
};

}  // namespace mlferry::archive
