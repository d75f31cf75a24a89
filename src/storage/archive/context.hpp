#pragma once
// What the parts of the archive share: where they run, what they may use, and small reads of whole files.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "storage/archive/archive.hpp"
#include "storage/archive/manifest.hpp"
#include "storage/archive/pack_format.hpp"
#include "storage/backend/backend.hpp"

namespace mlferry::archive {

// Less is hashed faster than it is handed over to the pool.
inline constexpr std::size_t kInline = 32 * 1024;

struct Context {
  async::Executor executor;
  async::WorkerPool& pool;
  async::ByteBudget& memory;
  std::shared_ptr<backend::Backend> backend;
  Options options;
};

// Runs `task` to its end although the caller is cancelled meanwhile; the caller learns of that at its next
// wait. For steps that must not be torn, such as an append to a pack. `task` must be short: disk and
// processor, no network.
template <class T>
async::Task<T> shielded(async::Executor executor, async::Task<T> task) {
  namespace asio = boost::asio;
  co_return co_await asio::co_spawn(
      executor, std::move(task),
      asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}
inline async::Task<> shielded(async::Executor executor, async::Task<> task) {
  namespace asio = boost::asio;
  co_await asio::co_spawn(executor, std::move(task),
                          asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

// A permit for `amount` bytes, or an empty one when none can be had within `patience`: readers and writers of
// the same budget may wait for each other (a copy from archive to archive), and then one buffer too many is
// better than standing still.
async::Task<async::Permit> acquire_patiently(async::ByteBudget& memory, std::uint64_t amount,
                                             std::chrono::milliseconds patience);

// The whole file; nothing when it does not exist. Throws Corrupt when it is larger than `limit`.
async::Task<std::optional<std::string>> read_small_file(backend::Backend& backend, std::string name,
                                                        std::uint64_t limit);
// The archive's id. Throws NotFound.
async::Task<std::string> read_head(backend::Backend& backend);
// Throws Corrupt; also when it belongs to another archive.
async::Task<Manifest> read_manifest(backend::Backend& backend, std::string name, std::string archive_id);
// Throws Corrupt, also when the pack has not the name that it must have. `size`: of the pack, as listed.
async::Task<std::vector<PackFrame>> read_trailer(backend::Backend& backend, std::string name,
                                                 std::uint64_t size);
// The whole file, which must exist, in pieces that `take` is given on the worker pool, one after the other; calls
// `progress` with the bytes of each.
async::Task<> for_each_piece(Context& context, std::string name, std::function<void(std::span<const std::byte>)> take,
                             std::function<void(std::uint64_t)> progress);
// SHA-256 and length of the whole file, which must exist. Calls `progress` with the bytes of each read.
struct FileHash {
  std::string sha256;
  std::uint64_t size = 0;
};
async::Task<FileHash> hash_file(Context& context, std::string name,
                                std::function<void(std::uint64_t)> progress);

}  // namespace mlferry::archive
