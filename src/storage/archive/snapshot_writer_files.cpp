#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <boost/asio/this_coro.hpp>

#include "storage/archive/snapshot_writer.hpp"

namespace mlferry::archive {

namespace {

constexpr std::size_t kSmallChunk = 128 * 1024;  // smaller chunks share frames
constexpr std::size_t kGroupBytes = 1 << 20;
constexpr std::uint64_t kMostCounted = 4 << 20;  // a larger chunk takes no more of chunk_room_
constexpr auto kWritePatience = std::chrono::seconds(30);

// The SHA-256 of a file's only chunk is that of the file, so its bytes are hashed once.
std::uint64_t chunk_size(const Options& options, std::optional<std::uint64_t> file_size) {
  bool const one = file_size && *file_size <= options.one_chunk_bytes;
  return std::clamp<std::uint64_t>(one ? std::max(options.chunk_bytes, *file_size) : options.chunk_bytes, 1, kLargestChunk);
}

}  // namespace

struct SnapshotWriterImpl::FileState {
  async::ByteReader& reader;
  std::string what;
  std::optional<std::uint64_t> expected;
  std::uint64_t size = 0;
  std::vector<Digest> chunks;
  digest::Sha256 whole;  // used when there may be more than one chunk
  bool several = false;
};

// Whether the archive has the chunk, or somebody is writing it. If not, it is the caller's to write, and
// every other call of this writer counts on that.
bool SnapshotWriterImpl::take_known(const Digest& sha256) {
  auto& index = start_.packs.index();
  auto const* const found = index.find(sha256);
  if (found == nullptr) {
    index.add({sha256, BlobIndex::kOwn, 0, 0, 0});
    return false;
  }
  if (found->pack != BlobIndex::kOwn) {
    chunk_rows_.emplace_back(start_.packs.frame_row(*found));
    chunk_rows_.emplace_back(start_.packs.chunk_row(*found));
  }
  return true;
}

async::Task<> SnapshotWriterImpl::read_chunks(FileState& state, async::TaskGroup& stores) {
  auto& context = *start_.context;
  std::uint64_t const chunk_bytes = chunk_size(context.options, state.expected);
  while (true) {
    if (failure_) std::rethrow_exception(failure_);
    std::uint64_t want = chunk_bytes;
    if (state.expected) want = std::min(want, *state.expected - state.size);
    if (want == 0) {  // all that was announced: is it the end?
      std::byte extra{};
      auto const more = co_await state.reader.read_some(std::span(&extra, 1));
      if (more != 0) {
        throw std::runtime_error(state.what + ": longer than the " + std::to_string(*state.expected) +
                                 " bytes that were announced");
      }
      co_return;
    }
    bool const small = want < kSmallChunk;
    auto room = small ? async::Permit() : co_await chunk_room_.acquire(std::min(want, kMostCounted));
    // Twice: what is read, and what it is compressed to.
    auto permit = co_await acquire_patiently(context.memory, small ? want : 2 * want, kWritePatience);
    auto const most = static_cast<std::size_t>(want);
    auto chunk = std::make_unique<Chunk>(spares_, most);
    chunk->permit = std::move(permit);
    chunk->room = std::move(room);
    chunk->size = co_await async::read_full(state.reader, chunk->buffer.span().first(most));
    bool const end = chunk->size < want;
    if (end && state.expected) {
      throw std::runtime_error(state.what + ": ended after " + std::to_string(state.size + chunk->size) +
                               " of " + std::to_string(*state.expected) + " bytes");
    }
    if (chunk->size == 0) co_return;
    state.size += chunk->size;

    bool const last = end || (state.expected && state.size == *state.expected);
    bool const first = state.chunks.empty();
    state.several = !first || !last;
    std::span<const std::byte> const bytes = chunk->bytes();
    chunk->sha256 = co_await hash_chunk(state, bytes);
    state.chunks.push_back(chunk->sha256);
    // From here to spawn() nothing waits: a chunk that take_known gave to us is written whatever happens.
    if (!take_known(chunk->sha256)) {
      if (chunk->size < kSmallChunk) {
        group_.bytes.insert(group_.bytes.end(), bytes.begin(), bytes.end());
        group_.blobs.push_back({chunk->sha256, static_cast<std::uint32_t>(chunk->size)});
        if (group_.bytes.size() >= kGroupBytes) stores.spawn(store_group(false));
      } else {
        stores.spawn(store_chunk(std::move(chunk)));
      }
    }
    if (end) co_return;
  }
}

// Of a file's only chunk, or of one of several, which the whole file's takes in, too.
async::Task<Digest> SnapshotWriterImpl::hash_chunk(FileState& state, std::span<const std::byte> bytes) {
  auto const hash = [&state, bytes] {
    if (!state.several) return digest::sha256(bytes);
    digest::Sha256 one;
    digest::Sha256::update_both(state.whole, one, bytes);
    return one.finish();
  };
  if (bytes.size() < kInline) co_return hash();
  if (state.several) co_return co_await start_.context->pool.run(hash);
  co_return co_await shielded(start_.context->executor, hasher_.hash(bytes));
}

async::Task<FileRow> SnapshotWriterImpl::put_file(std::string kind, std::string id, std::string path,
                                                  async::ByteReader& reader,
                                                  std::optional<std::uint64_t> expected_size) {
  Call const call(*this);
  check_key(kind, id, path);
  FileState state{reader, describe(kind, id, path), expected_size, 0, {}, {}, false};
  if (auto const problem = path_problem(path); !problem.empty()) {
    throw std::invalid_argument(state.what + ": the path " + problem);
  }
  auto const& executor = start_.context->executor;
  async::TaskGroup stores(executor);
  std::exception_ptr failure;
  try {
    co_await read_chunks(state, stores);
  } catch (...) {
    failure = std::current_exception();
  }
  // Chunks that were begun are written also when this call is cancelled: others count on them.
  if (failure) co_await boost::asio::this_coro::reset_cancellation_state();
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  std::exception_ptr store_failure;
  try {
    co_await shielded(executor, stores.join());
  } catch (...) {
    store_failure = std::current_exception();
  }
  co_await boost::asio::this_coro::throw_if_cancelled(true);
  if (store_failure) std::rethrow_exception(store_failure);
  if (failure) std::rethrow_exception(failure);

  FileEntry entry{std::move(kind), std::move(id), std::move(path), state.size, {}, {}};
  if (state.several || state.chunks.empty()) {
    entry.sha256 = state.whole.finish();
  } else {
    entry.sha256 = state.chunks.front();
  }
  if (state.chunks.size() > 1) entry.chunks = std::move(state.chunks);
  FileRow row{entry.path, entry.size, hex(entry.sha256)};
  append_entry(entry_text(), entry);
  entries_.rows.emplace_back(FileInsert{std::move(entry.kind), std::move(entry.id), std::move(entry.path),
                                        entry.size, entry.sha256, std::move(entry.chunks)});
  co_await flush_if_full();
  co_return row;
}

async::Task<> SnapshotWriterImpl::store_chunk(std::unique_ptr<Chunk> chunk) {
  try {
    auto const packed = co_await compress(chunk->bytes(), false);
    if (packed.encoding == Encoding::zstd) chunk->free();
    chunk->permit.shrink_to(packed.bytes.size());
    auto const size = static_cast<std::uint32_t>(chunk->size);
    std::vector<Blob> blobs{{chunk->sha256, size}};
    auto const place = co_await data_.append(frame_of(packed, std::move(blobs)));
    chunk_rows_.emplace_back(FrameInsert{place.pack, place.frame, place.offset,
                                         static_cast<std::uint32_t>(packed.bytes.size()), size,
                                         static_cast<std::uint8_t>(packed.encoding), std::nullopt});
    chunk_rows_.emplace_back(ChunkInsert{chunk->sha256, place.pack, place.frame, 0, size});
  } catch (...) {
    fail();
    throw;
  }
}

// The group's own bytes are not paid from the budget: they are bounded, and a permit held between calls could
// keep a wish for all of the budget waiting for ever.
async::Task<> SnapshotWriterImpl::store_group(bool force) {
  try {
    auto const slot = co_await group_slots_.acquire();
    if (failure_ || group_.bytes.empty() || (!force && group_.bytes.size() < kGroupBytes)) co_return;
    auto const group = std::exchange(group_, {});
    auto const packed = co_await compress(group.bytes, false);
    auto const place = co_await data_.append(frame_of(packed, group.blobs));
    chunk_rows_.emplace_back(FrameInsert{place.pack, place.frame, place.offset,
                                         static_cast<std::uint32_t>(packed.bytes.size()),
                                         static_cast<std::uint32_t>(group.bytes.size()),
                                         static_cast<std::uint8_t>(packed.encoding), std::nullopt});
    std::uint32_t offset = 0;
    for (auto const& blob : group.blobs) {
      chunk_rows_.emplace_back(ChunkInsert{blob.sha256, place.pack, place.frame, offset, blob.size});
      offset += blob.size;
    }
  } catch (...) {
    fail();
    throw;
  }
}

}  // namespace mlferry::archive
