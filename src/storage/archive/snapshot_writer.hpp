#pragma once
// The inside of a SnapshotWriter. Three streams run into packs and catalog: big chunks, groups of small
// chunks, and entries; each is bounded, and a failure of any ends the writer.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/semaphore.hpp"
#include "async/task_group.hpp"
#include "storage/archive/catalog_writer.hpp"
#include "storage/archive/chunk_hasher.hpp"
#include "storage/archive/compression.hpp"
#include "storage/archive/entry.hpp"
#include "storage/archive/pack_set.hpp"
#include "storage/archive/pack_writer.hpp"
#include "storage/archive/snapshot_reader.hpp"
#include "storage/archive/spare_buffers.hpp"

namespace mlferry::archive {

// Throws invalid_argument for keys that the format cannot hold.
void check_key(const std::string& kind, const std::string& id, const std::string& path);

class SnapshotWriterImpl final : public SnapshotWriter {
 public:
  struct Start {
    std::shared_ptr<Context> context;
    std::shared_ptr<void> lock;
    std::string archive_id;
    std::string source;
    std::shared_ptr<SnapshotReader::Impl> base;  // or null
    std::int64_t begun_ms = 0;                   // later than the creation of every snapshot that is there
    PackSet packs;
    std::string working_path;  // of the catalog while it is built; removed by the destructor
    std::unique_ptr<CatalogWriter> catalog;
  };
  explicit SnapshotWriterImpl(Start start);
  ~SnapshotWriterImpl() override;

  async::Task<std::optional<ObjectRow>> previous(std::string kind, std::string id) override;
  async::Task<std::vector<FileRow>> previous_files(std::string kind, std::string id) override;
  async::Task<Kept> keep(std::string kind, std::string id) override;
  async::Task<> put_object(ObjectRow row, json::object record) override;
  async::Task<FileRow> put_file(std::string kind, std::string id, std::string path, async::ByteReader& reader,
                                std::optional<std::uint64_t> expected_size) override;
  async::Task<> put_gap(GapRow gap) override;
  async::Task<SnapshotInfo> commit(json::object summary) override;

 private:
  // One call from outside: not after the end, not after a failure.
  class Call {
   public:
    explicit Call(SnapshotWriterImpl& writer);
    ~Call() { --writer_.calls_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    SnapshotWriterImpl& writer_;
  };
  struct Group {  // small chunks that will be one frame
    std::vector<std::byte> bytes;
    std::vector<Blob> blobs;
  };
  struct Entries {  // lines that will be one frame, and the catalog's rows for them
    std::string text;
    std::vector<CatalogInsert> rows;
  };
  struct Chunk {
    Chunk(SpareBuffers& spares, std::size_t most) : spares(spares), buffer(spares.take(most)) {}
    ~Chunk() { free(); }
    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;
    std::span<std::byte> bytes() { return buffer.span().first(size); }
    void free() { spares.give_back(std::exchange(buffer, {})); }

    SpareBuffers& spares;
    Buffer buffer;
    std::size_t size = 0;
    Digest sha256{};
    async::Permit permit, room;
  };
  struct FileState;

  async::Task<> read_chunks(FileState& state, async::TaskGroup& stores);
  async::Task<Digest> hash_chunk(FileState& state, std::span<const std::byte> bytes);
  bool take_known(const Digest& sha256);
  async::Task<> store_chunk(std::unique_ptr<Chunk> chunk);
  async::Task<> store_group(bool force);
  async::Task<> store_entries(bool force);
  async::Task<> flush_if_full();
  bool entries_full() const;
  std::string& entry_text();
  void add_kept(const ObjectPlace& place, const std::vector<FilePlace>& files,
                const std::vector<ChunkRef>& chunks, const std::vector<GapRow>& gaps);
  FrameInsert kept_frame(const FrameRef& frame);
  struct Compressed {
    Encoding encoding = Encoding::raw;
    Buffer buffer;  // empty when raw
    std::span<const std::byte> bytes;
    Digest raw_sha256{};     // of the input, when asked for
    Digest stored_sha256{};  // of `bytes` when they are compressed
  };
  async::Task<Compressed> compress(std::span<const std::byte> raw, bool hash);
  static PackWriter::Frame frame_of(const Compressed& packed, std::vector<Blob> blobs) {
    return {packed.encoding, packed.bytes, packed.stored_sha256, std::move(blobs)};
  }
  void fail();

  Start start_;
  PackWriter data_;
  PackWriter meta_;
  async::Semaphore group_slots_;
  // Of chunks that are read, hashed, compressed or written: bytes, but at most 4 MiB of each. More of them would not make
  // a writer faster that the processor or the disk holds up, and new memory costs as much as hashing what is put there.
  async::Semaphore chunk_room_;
  async::Semaphore entries_turn_;
  std::vector<Compressor> compressors_;  // idle ones
  ChunkHasher hasher_;
  SpareBuffers spares_;  // not paid from the budget: a small part of it
  Group group_;
  Entries entries_;
  std::uint64_t entry_frames_ = 0;
  std::vector<CatalogInsert> chunk_rows_;  // of chunks that are in packs
  std::exception_ptr failure_;
  std::size_t calls_ = 0;
  bool ended_ = false;
};

}  // namespace mlferry::archive
