#include "storage/archive/catalog_reader.hpp"

#include <limits>

namespace mlferry::archive {

namespace {

constexpr std::size_t kLongestText = 16u << 20;  // of a reason, a name, a fingerprint
constexpr std::uint64_t kLargestFile = std::numeric_limits<std::int64_t>::max();

#define MLFERRY_FRAME_COLUMNS "f.pack, f.frame, f.offset, f.stored, f.raw, f.encoding, f.sha256"
constexpr const char* kObjects =
    "SELECT o.object, o.kind, o.id, o.parent, o.name, o.lifecycle, o.status, o.time, o.fingerprint, o.offset,"
    " o.length, " MLFERRY_FRAME_COLUMNS
    " FROM objects o LEFT JOIN frames f ON f.pack = o.pack AND f.frame = o.frame";
constexpr const char* kChunk =
    "SELECT c.offset, c.size, " MLFERRY_FRAME_COLUMNS
    " FROM chunks c LEFT JOIN frames f ON f.pack = c.pack AND f.frame = c.frame WHERE c.sha256 = ?";
#undef MLFERRY_FRAME_COLUMNS

sqlite::Database open(const std::string& path, const std::string& name) {
  try {
    return sqlite::Database(path, sqlite::Database::Mode::read_only);
  } catch (const sqlite::Error& error) {
    throw Corrupt(name + ": " + error.what());
  }
}

}  // namespace

void CatalogReader::corrupt(const std::string& text) const {
  throw Corrupt(name_ + ": " + text + ". `check` says what is hit; a catalog can be rebuilt from its packs");
}

// SQLite's complaints about the file are ours about the archive.
template <class Work>
auto CatalogReader::guarded(Work work) {
  try {
    return work();
  } catch (const sqlite::Error& error) {
    corrupt(error.what());
  }
}

CatalogReader::CatalogReader(const std::string& path, const Manifest& manifest)
    : name_(manifest.catalog), database_(open(path, manifest.catalog)) {
  guarded([&] {
    auto const pragma = [&](const char* sql) {
      auto statement = database_.prepare(sql);
      return statement.step() ? statement.number(0) : 0;
    };
    if (pragma("PRAGMA application_id") != 0x4d4c4659) corrupt("this is no catalog");
    if (pragma("PRAGMA user_version") != kVersion) corrupt("another version of the catalog");
    std::map<std::string, std::uint64_t> known;
    for (auto const& pack : manifest.packs) known[pack.name] = pack.size;
    auto row = database_.prepare("SELECT pack, name, size FROM packs");
    while (row.step()) {
      Pack pack{text_of(row, 1, 512, "name of a pack"), size_of(row, 2, kLargestPack, "size of a pack")};
      auto const found = known.find(pack.name);
      if (found == known.end() || found->second != pack.size)
        corrupt("a pack that the manifest does not name so");
      packs_[row.number(0)] = std::move(pack);
    }
  });
}

sqlite::Statement& CatalogReader::statement(const std::string& sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) found = statements_.emplace(sql, database_.prepare(sql)).first;
  found->second.reset();  // whoever used it last may have stopped early
  return found->second;
}

std::string CatalogReader::text_of(sqlite::Statement& row, int column, std::size_t limit, const char* what) {
  auto const text = row.text(column);
  if (text.size() > limit) corrupt(std::string(what) + " is too long");
  return std::string(text);
}

std::uint64_t CatalogReader::size_of(sqlite::Statement& row, int column, std::uint64_t limit,
                                     const char* what) {
  auto const value = row.number(column);
  if (row.is_null(column) || value < 0 || static_cast<std::uint64_t>(value) > limit) {
    corrupt(std::string(what) + " is out of bounds");
  }
  return static_cast<std::uint64_t>(value);
}

Digest CatalogReader::digest_of(sqlite::Statement& row, int column, const char* what) {
  if (auto const digest = digest_of_bytes(row.text(column))) return *digest;
  corrupt(std::string(what) + " is no SHA-256");
}

FrameRef CatalogReader::frame_of(sqlite::Statement& row, int first) {
  auto const found = packs_.find(row.number(first));
  if (row.is_null(first) || found == packs_.end()) corrupt("a frame or its pack is not listed");
  FrameRef frame;
  frame.pack = found->second.name;
  frame.pack_size = found->second.size;
  auto const size = found->second.size;
  frame.number = static_cast<std::uint32_t>(size_of(row, first + 1, kMostFrames, "number of a frame"));
  frame.offset = size_of(row, first + 2, size, "offset of a frame");
  frame.stored =
      static_cast<std::uint32_t>(size_of(row, first + 3, size - frame.offset, "length of a frame"));
  frame.raw = static_cast<std::uint32_t>(size_of(row, first + 4, kLargestFrame, "size of a frame"));
  frame.encoding = static_cast<Encoding>(size_of(row, first + 5, 1, "encoding of a frame"));
  if (frame.encoding == Encoding::raw && frame.stored != frame.raw) corrupt("size of a frame is wrong");
  if (!row.is_null(first + 6)) frame.sha256 = digest_of(row, first + 6, "name of a frame");
  return frame;
}

ObjectPlace CatalogReader::object_of(sqlite::Statement& row) {
  ObjectPlace place;
  place.number = row.number(0);
  auto& object = place.row;
  object.kind = text_of(row, 1, kLongestId, "kind of an object");
  object.id = text_of(row, 2, kLongestId, "id of an object");
  object.parent = text_of(row, 3, kLongestId, "parent of an object");
  object.name = text_of(row, 4, kLongestText, "name of an object");
  object.lifecycle = text_of(row, 5, kLongestId, "lifecycle of an object");
  object.status = text_of(row, 6, kLongestId, "status of an object");
  if (!row.is_null(7)) object.time = row.number(7);
  object.fingerprint = text_of(row, 8, kLongestText, "fingerprint of an object");
  place.record.frame = frame_of(row, 11);
  if (!place.record.frame.sha256) corrupt("the frame of a record has no SHA-256");
  auto const raw = place.record.frame.raw;
  place.record.offset = static_cast<std::uint32_t>(size_of(row, 9, raw, "offset of a record"));
  place.record.size =
      static_cast<std::uint32_t>(size_of(row, 10, raw - place.record.offset, "length of a record"));
  return place;
}

std::vector<Digest> CatalogReader::chunks_of(std::int64_t object, const std::string& path) {
  std::vector<Digest> chunks;
  auto& row =
      statement("SELECT position, sha256 FROM file_chunks WHERE object = ? AND path = ? ORDER BY position");
  row.bind(1, object).bind(2, path);
  while (row.step()) {
    if (row.number(0) != static_cast<std::int64_t>(chunks.size())) corrupt("a chunk of a file is missing");
    chunks.push_back(digest_of(row, 1, "name of a chunk"));
  }
  return chunks;
}

FilePlace CatalogReader::file_of(sqlite::Statement& row, std::int64_t object) {
  FilePlace place;
  place.row.path = text_of(row, 0, kLongestPath, "path of a file");
  if (auto const problem = path_problem(place.row.path); !problem.empty())
    corrupt("the path of a file " + problem);
  place.row.size = size_of(row, 1, kLargestFile, "size of a file");
  place.sha256 = digest_of(row, 2, "SHA-256 of a file");
  place.row.sha256 = hex(place.sha256);
  place.chunks = chunks_of(object, place.row.path);
  if (place.chunks.empty() && place.row.size > 0) place.chunks.push_back(place.sha256);
  return place;
}

std::uint64_t CatalogReader::count(const std::string& kind) {
  return guarded([&] {
    auto& row = statement("SELECT count(*) FROM objects WHERE kind = ?");
    row.bind(1, kind).step();
    return static_cast<std::uint64_t>(row.number(0));
  });
}

std::vector<std::pair<std::string, std::uint64_t>> CatalogReader::counts() {
  return guarded([&] {
    std::vector<std::pair<std::string, std::uint64_t>> counts;
    auto& row = statement("SELECT kind, count(*) FROM objects GROUP BY kind ORDER BY min(object)");
    while (row.step()) {
      counts.emplace_back(text_of(row, 0, kLongestId, "kind of an object"),
                          static_cast<std::uint64_t>(row.number(1)));
    }
    return counts;
  });
}

std::vector<ObjectPlace> CatalogReader::objects(const std::string& kind,
                                                const std::optional<std::string>& parent, std::int64_t after,
                                                std::size_t limit) {
  return guarded([&] {
    std::vector<ObjectPlace> places;
    // "+": without it SQLite would sort by an index instead of walking in the order of writing.
    auto& row = statement(std::string(kObjects) +
                          (parent ? " WHERE o.kind = ?1 AND o.parent = ?4" : " WHERE +o.kind = ?1") +
                          " AND o.object > ?2 ORDER BY o.object LIMIT ?3");
    row.bind(1, kind).bind(2, after).bind(3,
                                          static_cast<std::int64_t>(std::min<std::size_t>(limit, 1u << 30)));
    if (parent) row.bind(4, *parent);
    while (row.step()) places.push_back(object_of(row));
    return places;
  });
}

std::optional<ObjectPlace> CatalogReader::find(const std::string& kind, const std::string& id) {
  return guarded([&]() -> std::optional<ObjectPlace> {
    auto& row = statement(std::string(kObjects) + " WHERE o.kind = ? AND o.id = ?");
    row.bind(1, kind).bind(2, id);
    if (!row.step()) return std::nullopt;
    return object_of(row);
  });
}

std::vector<FileRow> CatalogReader::files(const std::string& kind, const std::string& id) {
  return guarded([&] {
    std::vector<FileRow> rows;
    auto& row = statement(
        "SELECT f.path, f.size, f.sha256 FROM objects o JOIN files f USING(object) WHERE o.kind = ? AND o.id "
        "= ?"
        " ORDER BY f.path");
    row.bind(1, kind).bind(2, id);
    while (row.step()) {
      FileRow file;
      file.path = text_of(row, 0, kLongestPath, "path of a file");
      if (auto const problem = path_problem(file.path); !problem.empty())
        corrupt("the path of a file " + problem);
      file.size = size_of(row, 1, kLargestFile, "size of a file");
      file.sha256 = hex(digest_of(row, 2, "SHA-256 of a file"));
      rows.push_back(std::move(file));
    }
    return rows;
  });
}

std::vector<FilePlace> CatalogReader::file_places(std::int64_t object) {
  return guarded([&] {
    std::vector<FilePlace> places;
    auto& row = statement("SELECT path, size, sha256 FROM files WHERE object = ? ORDER BY path");
    row.bind(1, object);
    while (row.step()) places.push_back(file_of(row, object));
    return places;
  });
}

std::optional<FilePlace> CatalogReader::file(const std::string& kind, const std::string& id,
                                             const std::string& path) {
  return guarded([&]() -> std::optional<FilePlace> {
    auto& row = statement(
        "SELECT f.path, f.size, f.sha256, f.object FROM objects o JOIN files f USING(object)"
        " WHERE o.kind = ? AND o.id = ? AND f.path = ?");
    row.bind(1, kind).bind(2, id).bind(3, path);
    if (!row.step()) return std::nullopt;
    return file_of(row, row.number(3));
  });
}

std::optional<SliceRef> CatalogReader::chunk(const Digest& sha256) {
  return guarded([&]() -> std::optional<SliceRef> {
    auto& row = statement(kChunk);
    row.bind_blob(1, bytes_of(sha256));
    if (!row.step()) return std::nullopt;
    SliceRef slice;
    slice.frame = frame_of(row, 2);
    auto const raw = slice.frame.raw;
    slice.offset = static_cast<std::uint32_t>(size_of(row, 0, raw, "offset of a chunk"));
    slice.size = static_cast<std::uint32_t>(
        size_of(row, 1, std::min<std::uint64_t>(raw - slice.offset, kLargestChunk), "size of a chunk"));
    if (slice.size == 0) corrupt("a chunk is empty");
    return slice;
  });
}

std::vector<GapRow> CatalogReader::gaps() {
  return guarded([&] {
    std::vector<GapRow> gaps;
    auto& row = statement("SELECT kind, id, path, reason FROM gaps ORDER BY kind, id, path");
    while (row.step()) {
      gaps.push_back(
          {text_of(row, 0, kLongestId, "kind of a gap"), text_of(row, 1, kLongestId, "id of a gap"),
           text_of(row, 2, kLongestId, "path of a gap"), text_of(row, 3, kLongestText, "reason of a gap")});
    }
    return gaps;
  });
}

std::vector<GapRow> CatalogReader::gaps_of(const std::string& kind, const std::string& id) {
  return guarded([&] {
    std::vector<GapRow> gaps;
    auto& row = statement("SELECT path, reason FROM gaps WHERE kind = ? AND id = ? ORDER BY path");
    row.bind(1, kind).bind(2, id);
    while (row.step()) {
      gaps.push_back({kind, id, text_of(row, 0, kLongestId, "path of a gap"),
                      text_of(row, 1, kLongestText, "reason of a gap")});
    }
    return gaps;
  });
}

void CatalogReader::for_each(
    const std::function<void(const ObjectPlace&, const std::vector<FilePlace>&)>& visit) {
  guarded([&] {
    auto& row = statement(std::string(kObjects) + " ORDER BY o.object");
    while (row.step()) {
      auto const place = object_of(row);
      visit(place, file_places(place.number));
    }
  });
}

std::string CatalogReader::integrity() {
  return guarded([&] {
    auto& row = statement("PRAGMA quick_check(1)");
    return row.step() ? std::string(row.text(0)) : std::string("ok");
  });
}

}  // namespace mlferry::archive
