#include "storage/archive/context.hpp"

#include <algorithm>

#include "async/with_timeout.hpp"
#include "storage/archive/compression.hpp"
#include "storage/archive/format.hpp"

namespace mlferry::archive {

async::Task<async::Permit> acquire_patiently(async::ByteBudget& memory, std::uint64_t amount,
                                             std::chrono::milliseconds patience) {
  if (auto permit = memory.try_acquire(amount)) co_return std::move(*permit);
  auto late = co_await async::with_timeout(memory.acquire(amount), patience);
  if (late) co_return std::move(*late);
  co_return async::Permit();
}

async::Task<std::optional<std::string>> read_small_file(backend::Backend& backend, std::string name,
                                                        std::uint64_t limit) {
  auto const size = co_await backend.size(name);
  if (!size) co_return std::nullopt;
  if (*size > limit) throw Corrupt(name + ": larger than such a file may be");
  std::string text(static_cast<std::size_t>(*size), '\0');
  auto reader = co_await backend.open(name, 0, *size);
  auto const n = co_await async::read_full(*reader, std::as_writable_bytes(std::span(text)));
  if (n != text.size()) throw Corrupt(name + ": ends early");
  co_return text;
}

async::Task<std::string> read_head(backend::Backend& backend) {
  auto const text = co_await read_small_file(backend, std::string(kHeadName), kLargestHead);
  if (!text)
    throw NotFound(backend.describe() + ": there is no mlferry archive (no file " + std::string(kHeadName) +
                   ")");
  co_return decode_head(*text);
}

async::Task<Manifest> read_manifest(backend::Backend& backend, std::string name, std::string archive_id) {
  auto const text = co_await read_small_file(backend, name, kLargestManifest);
  if (!text) throw Corrupt(name + ": is gone");
  auto manifest = decode_manifest(*text, name);
  if (manifest.archive_id != archive_id) throw Corrupt(name + ": belongs to another archive");
  co_return manifest;
}

async::Task<std::vector<PackFrame>> read_trailer(backend::Backend& backend, std::string name,
                                                 std::uint64_t size) {
  if (size > kLargestPack) throw Corrupt(name + ": larger than a pack may be");
  // The end first: most trailers fit, so that one read does.
  std::uint64_t length = std::min<std::uint64_t>(size, 16 * 1024);
  std::string tail;
  while (true) {
    tail.assign(static_cast<std::size_t>(length), '\0');
    auto reader = co_await backend.open(name, size - length, length);
    auto const n = co_await async::read_full(*reader, std::as_writable_bytes(std::span(tail)));
    if (n != tail.size() || n < kFooterSize) throw Corrupt(name + ": truncated");
    auto const footer = std::string_view(tail).substr(tail.size() - kFooterSize);
    auto const need = decode_list_length(footer, size, name) + kFooterSize;
    if (need <= tail.size()) {
      auto const trailer = std::string_view(tail).substr(tail.size() - need);
      auto frames = decode_trailer(trailer, size, name);
      if (auto const digest = hex(list_digest(trailer)); digest != hex_of_name(name))
        throw Corrupt(name + ": damaged or misnamed: its list of frames has the SHA-256 " + digest);
      co_return frames;
    }
    length = need;
  }
}

async::Task<> for_each_piece(Context& context, std::string name, std::function<void(std::span<const std::byte>)> take,
                             std::function<void(std::uint64_t)> progress) {
  constexpr std::size_t kPiece = 1 << 20;
  auto reader = co_await context.backend->open(name, 0, std::uint64_t{1} << 62);
  Buffer buffer(kPiece);
  while (true) {
    auto const n = co_await reader->read_some(buffer.span());
    if (n == 0) co_return;
    co_await context.pool.run([&] { take(buffer.span().first(n)); });
    if (progress) progress(n);
  }
}

async::Task<FileHash> hash_file(Context& context, std::string name,
                                std::function<void(std::uint64_t)> progress) {
  digest::Sha256 hash;
  FileHash result;
  auto const take = [&](std::span<const std::byte> piece) {
    hash.update(piece);
    result.size += piece.size();
  };
  co_await for_each_piece(context, std::move(name), take, std::move(progress));
  result.sha256 = hex(hash.finish());
  co_return result;
}

}  // namespace mlferry::archive
