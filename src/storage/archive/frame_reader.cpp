#include "storage/archive/frame_reader.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "storage/archive/context.hpp"

namespace mlferry::archive {

namespace {

constexpr std::size_t kCachedFrames = 4;
constexpr std::uint64_t kLargestCached = 2u << 20;
// A writer that copies from this reader may hold all memory while it waits for us: then go on without a
// permit. There are no more such buffers than open files.
constexpr auto kReadPatience = std::chrono::seconds(1);

std::string frame_name(const FrameRef& ref) {
  return ref.pack + ": frame " + std::to_string(ref.number) + " at offset " + std::to_string(ref.offset);
}

}  // namespace

async::Task<std::shared_ptr<DecodedFrame>> FrameReader::load(FrameRef ref, std::string what) {
  auto frame = std::make_shared<DecodedFrame>();
  bool const packed = ref.encoding == Encoding::zstd;
  std::uint64_t const need = std::uint64_t{ref.raw} + (packed ? ref.stored : 0);
  frame->permit = co_await acquire_patiently(memory_, need, kReadPatience);
  Buffer stored(ref.stored);
  std::string missing;
  try {
    auto reader = co_await backend_->open(ref.pack, ref.offset, ref.stored);
    auto const n = co_await async::read_full(*reader, stored.span());
    if (n != stored.size()) missing = "the pack is truncated";
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    missing = "the pack is missing";
  }
  if (!missing.empty()) throw Corrupt(frame_name(ref) + ": " + missing + " (" + what + ")");
  bool const good = co_await pool_.run([&] {
    if (packed) {
      frame->bytes = Buffer(ref.raw);
      if (!decompress(stored.span(), frame->bytes.span())) return false;
      stored = Buffer();
    } else {
      frame->bytes = std::move(stored);
    }
    if (!ref.sha256) return true;
    return digest::sha256(frame->bytes.span()) == *ref.sha256;
  });
  if (!good) throw Corrupt(frame_name(ref) + ": damaged (" + what + ")");
  frame->permit.shrink_to(ref.raw);
  co_return frame;
}

async::Task<std::shared_ptr<const DecodedFrame>> FrameReader::read(FrameRef ref, bool shared,
                                                                   std::string what) {
  bool const cached = shared && ref.raw <= kLargestCached;
  if (cached) {
    auto const found = std::find_if(cache_.begin(), cache_.end(), [&](const Cached& entry) {
      return entry.offset == ref.offset && entry.pack == ref.pack && entry.frame->bytes.size() == ref.raw;
    });
    if (found != cache_.end()) {
      std::rotate(found, found + 1, cache_.end());
      co_return cache_.back().frame;
    }
  }
  auto frame = co_await load(ref, std::move(what));
  if (cached) {
    // Memory that is held for long must not be paid from the budget: a wish for all of it would never be met.
    frame->permit.release();
    if (cache_.size() == kCachedFrames) cache_.erase(cache_.begin());
    cache_.push_back({ref.pack, ref.offset, frame});
  }
  co_return frame;
}

async::Task<> FrameReader::verify_chunk(std::shared_ptr<const DecodedFrame> frame, ChunkRef chunk,
                                        std::string what) {
  auto const bytes = frame->slice(chunk.slice);
  auto const hash_of = [bytes] { return digest::sha256(bytes); };
  Digest digest{};
  if (bytes.size() < kInline) {
    digest = hash_of();
  } else {
    digest = co_await pool_.run(hash_of);
  }
  if (digest != chunk.sha256) {
    throw Corrupt(frame_name(chunk.slice.frame) + ": the chunk " + hex(chunk.sha256) + " is damaged (" +
                  what + ")");
  }
}

}  // namespace mlferry::archive
