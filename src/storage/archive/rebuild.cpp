#include <map>

#include "storage/archive/archive_impl.hpp"
#include "storage/archive/catalog_writer.hpp"
#include "storage/archive/entry.hpp"
#include "storage/archive/frame_reader.hpp"
#include "storage/archive/publish.hpp"

namespace mlferry::archive {

namespace {

// Turns entries into rows of a new catalog.
class Replay {
 public:
  Replay(PackSet& packs, std::string where) : packs_(packs), where_(std::move(where)) {}

  void begin_frame(const BlobIndex::Place& place) {
    frame_ = packs_.frame_row(place, place.sha256);
    rows.emplace_back(frame_);
  }

  void operator()(ObjectEntry entry) {
    if (!entry.kept) {
      rows.emplace_back(
          ObjectInsert{std::move(entry.row), frame_.pack, frame_.frame, entry.record_offset, entry.length});
      return;
    }
    auto const& place = find(entry.kept->frame, "record", describe(entry.row.kind, entry.row.id));
    auto const frame = packs_.frame_row(place, place.sha256);
    if (entry.kept->offset > frame.raw || entry.length > frame.raw - entry.kept->offset) {
      throw Corrupt(where_ + ": a kept record is beyond the end of its frame");
    }
    rows.emplace_back(frame);
    rows.emplace_back(
        ObjectInsert{std::move(entry.row), frame.pack, frame.frame, entry.kept->offset, entry.length});
  }
  void operator()(FileEntry entry) {
    auto chunks = entry.chunks;
    if (chunks.empty() && entry.size > 0) chunks.push_back(entry.sha256);
    auto const what = describe(entry.kind, entry.id, entry.path);
    for (auto const& sha256 : chunks) {
      auto const& place = find(sha256, "chunk", what);
      rows.emplace_back(packs_.frame_row(place));
      rows.emplace_back(packs_.chunk_row(place));
    }
    rows.emplace_back(FileInsert{std::move(entry.kind), std::move(entry.id), std::move(entry.path),
                                 entry.size, entry.sha256, std::move(entry.chunks)});
  }
  void operator()(GapRow entry) { rows.emplace_back(std::move(entry)); }

  std::vector<CatalogInsert> rows;

 private:
  const BlobIndex::Place& find(const Digest& sha256, const char* type, const std::string& what) {
    if (auto const* const place = packs_.index().find(sha256)) return *place;
    throw Corrupt(where_ + ": the " + type + " " + hex(sha256) + " of " + what +
                  " is in no pack that the manifest names");
  }

  PackSet& packs_;
  std::string where_;
  FrameInsert frame_;
};

// Where the frames of one of the snapshot's own meta packs are.
struct OwnPack {
  std::string name;
  std::vector<PackFrame> frames;
};

}  // namespace

async::Task<> rebuild(std::shared_ptr<Context> context, Manifest manifest) {
  auto& backend = *context->backend;
  PackSet packs;
  std::vector<OwnPack> own;
  for (auto const& pack : manifest.packs) {
    auto const size = co_await backend.size(pack.name);
    if (!size) throw Corrupt(pack.name + ": the pack is missing");
    if (*size != pack.size) throw Corrupt(pack.name + ": the pack has another size than the manifest says");
    auto frames = co_await read_trailer(backend, pack.name, *size);
    packs.add(pack.name, *size, frames);
    if (pack.own) own.push_back({pack.name, std::move(frames)});
  }
  FrameReader reader(context->pool, context->memory, context->backend);
  auto const path = co_await backend.scratch_path();
  auto catalog = co_await context->pool.run([&path] { return std::make_unique<CatalogWriter>(path); });
  for (auto const& pack : own) {
    for (std::uint32_t number = 0; number < pack.frames.size(); ++number) {
      auto const& frame = pack.frames[number];
      auto const where = pack.name + ": frame " + std::to_string(number);
      if (frame.blobs.size() != 1) throw Corrupt(where + ": a frame of entries is one blob");
      auto const sha256 = frame.blobs.front().sha256;
      FrameRef ref{pack.name, number, frame.offset, frame.stored, frame.raw, frame.encoding, sha256};
      auto const decoded = co_await reader.read(std::move(ref), false, "entries");
      auto const* const place = packs.index().find(sha256);
      if (place == nullptr) throw Corrupt(where + ": not listed");
      auto const start = *place;
      co_await context->pool.run([&] {
        Replay replay(packs, where);
        replay.begin_frame(start);
        decode_entries(async::as_text(decoded->bytes.span()), where,
                       [&replay](Entry entry) { std::visit(replay, std::move(entry)); });
        catalog->apply(replay.rows);
      });
    }
  }
  auto const old = manifest.catalog;
  auto const published = co_await publish_catalog(*context, std::move(catalog), packs.used());
  auto const& info = manifest.info;
  if (published.totals.objects != info.objects || published.totals.files != info.files ||
      published.totals.bytes != info.bytes) {
    throw Corrupt(manifest.name() + ": the packs hold " + std::to_string(published.totals.objects) +
                  " objects and " + std::to_string(published.totals.files) + " files, the manifest counts " +
                  std::to_string(info.objects) + " and " + std::to_string(info.files));
  }
  manifest.catalog = published.name;
  manifest.catalog_size = published.size;
  auto const text = encode_manifest(manifest);
  auto upload = co_await backend.begin();
  co_await upload->write(async::as_bytes(text));
  co_await upload->commit(manifest.name(), true);
  co_await backend.clean_up();  // the working file of the catalog
  // The damaged file is of no use to anybody, unless another snapshot has the same catalog.
  if (old == manifest.catalog) co_return;
  for (auto const& entry : co_await backend.list(std::string(kSnapshotFolder))) {
    auto const other = co_await read_small_file(backend, entry.name, kLargestManifest);
    if (other && other->find(hex_of_name(old)) != std::string::npos) co_return;
  }
  auto const there = co_await backend.size(old);
  if (there) co_await backend.remove(old);
}

}  // namespace mlferry::archive
