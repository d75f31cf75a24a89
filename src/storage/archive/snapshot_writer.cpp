#include "storage/archive/snapshot_writer.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "protocol/mlflow/json.hpp"
#include "protocol/mlflow/utf8.hpp"
#include "storage/archive/publish.hpp"

namespace mlferry::archive {

namespace {

constexpr std::size_t kEntriesBytes = 512 * 1024;
constexpr std::size_t kEntriesRows = 4096;
constexpr std::uint64_t kMostSpare = 32 << 20;
constexpr std::uint64_t kChunkRoom = 40 << 20;

}  // namespace

void check_key(const std::string& kind, const std::string& id, const std::string& path) {
  auto const what = describe(kind, id, path);
  if (kind.empty() || kind.size() > kLongestId || id.size() > kLongestId || path.size() > kLongestId) {
    throw std::invalid_argument(what + ": the kind is empty, or kind, id or path too long");
  }
  if (!mlflow::is_utf8(kind) || !mlflow::is_utf8(id) || !mlflow::is_utf8(path)) {
    throw std::invalid_argument(what + ": kind, id or path is not UTF-8");
  }
}

SnapshotWriterImpl::Call::Call(SnapshotWriterImpl& writer) : writer_(writer) {
  if (writer.failure_) std::rethrow_exception(writer.failure_);
  if (writer.ended_) throw std::logic_error("the snapshot has been committed already, or could not be");
  ++writer.calls_;
}

SnapshotWriterImpl::SnapshotWriterImpl(Start start)
    : start_(std::move(start)),
      data_(start_.context, PackKind::data, [this] { return start_.packs.new_number(); }),
      meta_(start_.context, PackKind::meta, [this] { return start_.packs.new_number(); }),
      group_slots_(start_.context->executor, 2),
      chunk_room_(start_.context->executor, kChunkRoom),
      entries_turn_(start_.context->executor, 1),
      hasher_(start_.context->executor, start_.context->pool),
      spares_(static_cast<std::size_t>(std::min(start_.context->memory.capacity() / 8, kMostSpare))) {}

SnapshotWriterImpl::~SnapshotWriterImpl() {
  start_.catalog.reset();
  std::error_code ignored;  // what stays in tmp/, the next writer removes
  std::filesystem::remove(start_.working_path, ignored);
}

void SnapshotWriterImpl::fail() {
  if (!failure_) failure_ = std::current_exception();
}

async::Task<std::optional<ObjectRow>> SnapshotWriterImpl::previous(std::string kind, std::string id) {
  Call const call(*this);
  if (!start_.base) co_return std::nullopt;
  auto const work = [&](CatalogReader& catalog) { return catalog.find(kind, id); };
  auto place = co_await start_.base->query(work);
  if (!place) co_return std::nullopt;
  co_return std::move(place->row);
}

async::Task<std::vector<FileRow>> SnapshotWriterImpl::previous_files(std::string kind, std::string id) {
  Call const call(*this);
  if (!start_.base) co_return std::vector<FileRow>();
  auto const work = [&](CatalogReader& catalog) { return catalog.files(kind, id); };
  co_return co_await start_.base->query(work);
}

FrameInsert SnapshotWriterImpl::kept_frame(const FrameRef& frame) {
  FrameInsert row;
  row.pack = start_.packs.number_of(frame.pack);
  row.frame = frame.number;
  row.offset = frame.offset;
  row.stored = frame.stored;
  row.raw = frame.raw;
  row.encoding = static_cast<std::uint8_t>(frame.encoding);
  row.sha256 = frame.sha256;
  return row;
}

// Where the next entry goes. The first line of a frame says whose it is, so that no two meta packs are ever
// equal: the order in which a manifest lists them is the order of their entries.
std::string& SnapshotWriterImpl::entry_text() {
  if (entries_.text.empty()) {
    entries_.text = "{\"snapshot\":{\"begun\":\"" + rfc3339(start_.begun_ms) +
                    "\",\"frame\":" + std::to_string(entry_frames_) + "}}\n";
  }
  return entries_.text;
}

void SnapshotWriterImpl::add_kept(const ObjectPlace& place, const std::vector<FilePlace>& files,
                                  const std::vector<ChunkRef>& chunks, const std::vector<GapRow>& gaps) {
  auto const& row = place.row;
  auto const frame = kept_frame(place.record.frame);
  append_entry(entry_text(), ObjectEntry{row, place.record.size,
                                         KeptRecord{*place.record.frame.sha256, place.record.offset}, 0});
  entries_.rows.emplace_back(frame);
  entries_.rows.emplace_back(
      ObjectInsert{row, frame.pack, frame.frame, place.record.offset, place.record.size});
  for (auto const& file : files) {
    FileEntry entry{row.kind, row.id, file.row.path, file.row.size, file.sha256, {}};
    if (file.chunks.size() > 1) entry.chunks = file.chunks;
    append_entry(entry_text(), entry);
    entries_.rows.emplace_back(
        FileInsert{row.kind, row.id, entry.path, entry.size, entry.sha256, std::move(entry.chunks)});
  }
  for (auto const& chunk : chunks) {
    auto const at = kept_frame(chunk.slice.frame);
    entries_.rows.emplace_back(at);
    entries_.rows.emplace_back(
        ChunkInsert{chunk.sha256, at.pack, at.frame, chunk.slice.offset, chunk.slice.size});
  }
  for (auto const& gap : gaps) {
    append_entry(entry_text(), gap);
    entries_.rows.emplace_back(gap);
  }
}

async::Task<SnapshotWriter::Kept> SnapshotWriterImpl::keep(std::string kind, std::string id) {
  Call const call(*this);
  auto const what = describe(kind, id);
  struct Found {
    ObjectPlace place;
    std::vector<FilePlace> files;
    std::vector<ChunkRef> chunks;
    std::vector<GapRow> gaps;
  };
  if (!start_.base) throw NotFound(what + ": there is no base snapshot to keep it from");
  auto const work = [&](CatalogReader& catalog) -> std::optional<Found> {
    auto place = catalog.find(kind, id);
    if (!place) return std::nullopt;
    Found found{std::move(*place), {}, {}, {}};
    found.files = catalog.file_places(found.place.number);
    for (auto const& file : found.files) {
      for (auto const& sha256 : file.chunks) {
        auto slice = catalog.chunk(sha256);
        if (!slice) throw Corrupt(what + ": the catalog does not say where the chunk " + hex(sha256) + " is");
        found.chunks.push_back({sha256, std::move(*slice)});
      }
    }
    found.gaps = catalog.gaps_of(kind, id);
    return found;
  };
  auto found = co_await start_.base->query(work);
  if (!found) throw NotFound(what + ": not in the base snapshot");
  // Do not promise again what is gone: the caller can write the object anew.
  auto const check = [&](const FrameRef& frame) {
    if (start_.packs.has(frame.pack, frame.pack_size)) return;
    throw Corrupt(frame.pack + ": missing or damaged, so that " + what + " cannot be kept");
  };
  check(found->place.record.frame);
  for (auto const& chunk : found->chunks) check(chunk.slice.frame);
  add_kept(found->place, found->files, found->chunks, found->gaps);
  Kept kept;
  kept.files = found->files.size();
  for (auto const& file : found->files) kept.bytes += file.row.size;
  co_await flush_if_full();
  co_return kept;
}

async::Task<> SnapshotWriterImpl::put_object(ObjectRow row, json::object record) {
  Call const call(*this);
  check_key(row.kind, row.id, "");
  auto const text = mlflow::to_json(record);
  record.clear();
  if (text.size() > kLargestRecord) {
    throw std::length_error(describe(row.kind, row.id) + ": the record has more than " +
                            std::to_string(kLargestRecord) + " bytes");
  }
  ObjectEntry entry{std::move(row), text.size(), std::nullopt, 0};
  append_entry(entry_text(), entry);
  auto const offset = entries_.text.size();
  entries_.text += text;
  entries_.text += '\n';
  entries_.rows.emplace_back(ObjectInsert{std::move(entry.row), 0, 0, offset, text.size()});
  co_await flush_if_full();
}

async::Task<> SnapshotWriterImpl::put_gap(GapRow gap) {
  Call const call(*this);
  check_key(gap.kind, gap.id, gap.path);
  append_entry(entry_text(), gap);
  entries_.rows.emplace_back(std::move(gap));
  co_await flush_if_full();
}

bool SnapshotWriterImpl::entries_full() const {
  return entries_.text.size() >= kEntriesBytes || entries_.rows.size() >= kEntriesRows ||
         chunk_rows_.size() >= kEntriesRows;
}

async::Task<> SnapshotWriterImpl::flush_if_full() {
  if (entries_full()) co_await shielded(start_.context->executor, store_entries(false));
}

async::Task<SnapshotWriterImpl::Compressed> SnapshotWriterImpl::compress(std::span<const std::byte> raw,
                                                                         bool hash) {
  Compressed result;
  int const level = start_.context->options.compression_level;
  std::optional<Compressor> compressor;
  if (level != 0) {
    if (!compressors_.empty()) {
      compressor.emplace(std::move(compressors_.back()));
      compressors_.pop_back();
    } else {
      compressor.emplace();
    }
  }
  co_await start_.context->pool.run([&] {
    if (hash) result.raw_sha256 = digest::sha256(raw);
    result.bytes = raw;
    if (!compressor || !compressor->promises_gain(raw, level)) return;
    result.buffer = Buffer(worthwhile_size(raw.size()));
    auto const size = compressor->compress(raw, result.buffer.span(), level);
    if (size) {
      result.encoding = Encoding::zstd;
      result.bytes = result.buffer.span().first(*size);
      result.stored_sha256 = digest::sha256(result.bytes);
    } else {
      result.buffer = Buffer();
    }
  });
  if (compressor && compressors_.size() < 4) compressors_.push_back(std::move(*compressor));
  co_return result;
}

// Only through shielded(): when it is torn, entries are lost.
async::Task<> SnapshotWriterImpl::store_entries(bool force) {
  auto const turn = co_await entries_turn_.acquire();
  if (failure_ || (!force && !entries_full())) co_return;
  try {
    auto entries = std::exchange(entries_, {});
    auto rows = std::exchange(chunk_rows_, {});
    if (!entries.text.empty()) {
      ++entry_frames_;
      auto const raw = async::as_bytes(entries.text);
      auto const packed = co_await compress(raw, true);
      std::vector<Blob> blobs{{packed.raw_sha256, static_cast<std::uint32_t>(raw.size())}};
      auto const place = co_await meta_.append(frame_of(packed, std::move(blobs)));
      rows.emplace_back(FrameInsert{
          place.pack, place.frame, place.offset, static_cast<std::uint32_t>(packed.bytes.size()),
          static_cast<std::uint32_t>(raw.size()), static_cast<std::uint8_t>(packed.encoding), packed.raw_sha256});
      for (auto& row : entries.rows) {
        if (auto* const object = std::get_if<ObjectInsert>(&row); object != nullptr && object->pack == 0) {
          object->pack = place.pack;
          object->frame = place.frame;
        }
        rows.push_back(std::move(row));
      }
    }
    entries = {};
    co_await start_.context->pool.run([&] { start_.catalog->apply(rows); });
  } catch (...) {
    fail();
    throw;
  }
}

async::Task<SnapshotInfo> SnapshotWriterImpl::commit(json::object summary) {
  auto& context = *start_.context;
  {
    Call const call(*this);
    if (calls_ != 1) throw std::logic_error("commit while files or objects are still being put");
  }
  ended_ = true;
  co_await shielded(context.executor, store_group(true));
  co_await shielded(context.executor, store_entries(true));
  if (failure_) std::rethrow_exception(failure_);
  co_await shielded(context.executor, data_.finish());
  co_await shielded(context.executor, meta_.finish());

  Manifest manifest;
  manifest.archive_id = start_.archive_id;
  auto& info = manifest.info;
  info.source = start_.source;
  info.summary = std::move(summary);
  auto packs = start_.packs.used();
  for (auto const& pack : packs) manifest.packs.push_back({pack.name, pack.size, false});
  for (auto const* const writer : {&data_, &meta_}) {
    for (auto const& pack : writer->finished()) {
      packs.push_back({pack.number, pack.name, pack.size});
      manifest.packs.push_back({pack.name, pack.size, writer == &meta_});
      info.stored_bytes += pack.size;
    }
  }
  auto const published = co_await publish_catalog(context, std::move(start_.catalog), std::move(packs));
  manifest.catalog = published.name;
  manifest.catalog_size = published.size;
  info.objects = published.totals.objects;
  info.files = published.totals.files;
  info.bytes = published.totals.bytes;
  // Later than the beginning, which is later than every older snapshot: "latest" holds when a clock goes
  // back.
  info.created = rfc3339(std::max(now_ms(context), start_.begun_ms));
  info.id = digest::sha256_hex(manifest.archive_id + info.created + manifest.catalog).substr(0, 16);

  auto const text = encode_manifest(manifest);
  auto upload = co_await context.backend->begin();
  co_await upload->write(async::as_bytes(text));
  co_await upload->commit(manifest.name());
  start_.lock.reset();
  co_return info;
}

}  // namespace mlferry::archive
