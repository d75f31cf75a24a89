#pragma once
// Our own format: snapshots of deduplicated, compressed, SHA-256-verified data on a backend. FORMAT.md is the
// contract of the bytes; this header is the contract of the code. Nothing here knows what an experiment is:
// objects are (kind, id, parent) with a JSON record and any number of files.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "async/byte_stream.hpp"
#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "storage/backend/backend.hpp"

namespace mlferry::archive {

namespace json = boost::json;

// The archive's bytes are not what FORMAT.md allows: names the file, the offset where it helps, and what to
// do.
class Corrupt : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// There is no archive at that place, or no such snapshot.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  int compression_level = 1;             // zstd, 0 stores raw
  std::uint64_t pack_bytes = 32u << 20;  // a pack is closed when it reaches this
  std::uint64_t chunk_bytes = 4u << 20;  // a file is cut into chunks of this size,
  std::uint64_t one_chunk_bytes = 16u << 20;  // unless its size is announced and not above this: then it is one
  std::function<std::chrono::system_clock::time_point()> clock = std::chrono::system_clock::now;
};

// What the catalog knows about an object without its record.
struct ObjectRow {
  std::string kind;    // "experiment", "run", …
  std::string id;      // unique within the kind
  std::string parent;  // id of the container, or ""
  std::string name;
  std::string lifecycle;             // "active", "deleted"
  std::string status;                // "FINISHED", …, or ""
  std::optional<std::int64_t> time;  // creation or start, ms
  std::string fingerprint;  // the writer's own mark of the listing it was made from; compared to skip what
                            // did not change
};

struct FileRow {
  std::string path;  // from the owner's artifact root; checked: relative, no empty, "." or ".." part, no NUL
  std::uint64_t size = 0;
  std::string sha256;  // 64 hex digits, of the whole file
};

// A file or other part of an object that is known to be missing from the archive, and why.
struct GapRow {
  std::string kind, id;
  std::string path;
  std::string reason;
};

struct Object {
  ObjectRow row;
  json::object record;
};

struct SnapshotInfo {
  std::string id;                                   // 16 hex digits
  std::string created;                              // RFC 3339, UTC, ms
  std::string source;                               // what was backed up
  json::object summary;                             // the writer's own words: counts and so on
  std::uint64_t objects = 0, files = 0, bytes = 0;  // bytes: of files and records, raw
  std::uint64_t stored_bytes = 0;                   // new pack bytes written by this snapshot
};

class SnapshotReader;
class SnapshotWriter;

// One problem that check found.
struct Problem {
  std::string file;    // name in the backend
  std::string object;  // "run 3f… file model/MLmodel", or ""
  std::string text;
};

class Archive {
 public:
  // `pool` does hashing, compression and SQLite; `memory` pays for chunk buffers. All must outlive the
  // archive.
  Archive(async::Executor executor, async::WorkerPool& pool, async::ByteBudget& memory,
          std::shared_ptr<backend::Backend> backend, Options options);
  ~Archive();

  // Whether there is an archive (FORMAT.md: the head file). Throws Corrupt when there is one that this
  // version cannot read.
  async::Task<bool> exists();
  // Makes an empty archive; the place must be empty or hold an archive already (then nothing happens).
  async::Task<> create();

  async::Task<std::vector<SnapshotInfo>> snapshots();  // oldest first
  // `id`: full, a unique prefix, or "latest".
  async::Task<std::shared_ptr<SnapshotReader>> open_snapshot(std::string id);
  // Takes the write lock (backend::Locked when another writer has it). `base`: the snapshot whose objects may
  // be kept, or null.
  async::Task<std::unique_ptr<SnapshotWriter>> begin_snapshot(std::string source,
                                                              std::shared_ptr<SnapshotReader> base);

  // Reads every manifest, catalog and metadata pack; with `read_data` every data pack too. Every flipped bit
  // in what is read is found and reported, with the objects it hits.
  async::Task<std::vector<Problem>> check(
      bool read_data, std::function<void(std::uint64_t done, std::uint64_t total)> progress);
  // Makes a lost or damaged catalog of a snapshot again from its packs.
  async::Task<> rebuild_catalog(std::string snapshot_id);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  friend class SnapshotReader;
  friend class SnapshotWriter;
};

// Everything is bounded and verified: a record or chunk whose SHA-256 is wrong throws Corrupt with the object
// named.
class SnapshotReader {
 public:
  const SnapshotInfo& info() const;
  async::Task<std::uint64_t> count(std::string kind);
  async::Task<std::vector<std::pair<std::string, std::uint64_t>>> counts();  // (kind, how many)
  // Objects in the order in which they were written; a page of at most `limit`. `parent` nullopt: of any
  // parent. `after`: 0, then the `next` of the page before; next 0: no more.
  struct ObjectPage {
    std::vector<Object> objects;
    std::int64_t next = 0;
  };
  async::Task<ObjectPage> objects(std::string kind, std::optional<std::string> parent, std::int64_t after,
                                  std::size_t limit);
  async::Task<std::optional<ObjectRow>> find(std::string kind, std::string id);
  async::Task<std::optional<Object>> get(std::string kind, std::string id);
  async::Task<std::vector<FileRow>> files(std::string kind, std::string id);
  async::Task<std::vector<GapRow>> gaps();
  // The bytes of a file, verified chunk by chunk before they are handed out.
  async::Task<std::unique_ptr<async::ByteReader>> open_file(std::string kind, std::string id,
                                                            std::string path);
  // Paths as users type them: "" lists kinds, "run" lists objects … for `ls` and `cat` the CLI uses the calls
  // above.

  ~SnapshotReader();
  struct Impl;
  explicit SnapshotReader(std::shared_ptr<Impl> impl);

 private:
  std::shared_ptr<Impl> impl_;
  friend class SnapshotWriter;
  friend class Archive;
};

// Writes one snapshot. Calls may overlap freely (many files at once). Nothing is visible before commit(); an
// abandoned writer leaves at worst unreferenced packs, which the next writer finds by content and uses.
class SnapshotWriter {
 public:
  virtual ~SnapshotWriter() = default;
  // The base snapshot's row of this object, if any: compare its fingerprint, then keep() or write anew.
  virtual async::Task<std::optional<ObjectRow>> previous(std::string kind, std::string id) = 0;
  virtual async::Task<std::vector<FileRow>> previous_files(std::string kind, std::string id) = 0;
  // Takes object, record, files and gaps of the base snapshot as they are; no data is read or written.
  // Returns how many files and bytes that were.
  struct Kept {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  virtual async::Task<Kept> keep(std::string kind, std::string id) = 0;
  // Files of an object may come before or after its record; files of an object that gets no record are left
  // out. A second put of the same (kind, id) replaces the first.
  virtual async::Task<> put_object(ObjectRow row, json::object record) = 0;
  // Reads to the end; throws std::runtime_error when the length is not `expected_size` (when given). One
  // pass: read, hash, look up, compress, write. Identical content is stored once in the archive.
  virtual async::Task<FileRow> put_file(std::string kind, std::string id, std::string path,
                                        async::ByteReader& reader,
                                        std::optional<std::uint64_t> expected_size) = 0;
  virtual async::Task<> put_gap(GapRow gap) = 0;
  // packs → catalog → manifest, each durable before the next. Ends the writer.
  virtual async::Task<SnapshotInfo> commit(json::object summary) = 0;
};

}  // namespace mlferry::archive
