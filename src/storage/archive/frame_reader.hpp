#pragma once
// Gets a frame out of a pack: read, decode, verify. What it returns has the size that was announced; a frame
// of entries also has the right SHA-256, chunks are checked by verify_chunk.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/byte_stream.hpp"
#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "storage/archive/catalog_reader.hpp"
#include "storage/archive/compression.hpp"
#include "storage/backend/backend.hpp"

namespace mlferry::archive {

struct DecodedFrame {
  async::Permit permit;  // pays for the bytes, unless they are kept in the cache
  Buffer bytes;
  std::string_view slice(const SliceRef& ref) const {
    return async::as_text(bytes.span().subspan(ref.offset, ref.size));
  }
};

class FrameReader {
 public:
  FrameReader(async::WorkerPool& pool, async::ByteBudget& memory, std::shared_ptr<backend::Backend> backend)
      : pool_(pool), memory_(memory), backend_(std::move(backend)) {}

  // Frames of at most 2 MiB with many records or chunks come from a cache of a few. `what`: the object that
  // the caller wants, for the message of Corrupt.
  async::Task<std::shared_ptr<const DecodedFrame>> read(FrameRef ref, bool shared, std::string what);
  // Throws Corrupt when the bytes are not the chunk. `frame` is kept alive.
  async::Task<> verify_chunk(std::shared_ptr<const DecodedFrame> frame, ChunkRef chunk, std::string what);

 private:
  async::Task<std::shared_ptr<DecodedFrame>> load(FrameRef ref, std::string what);

  async::WorkerPool& pool_;
  async::ByteBudget& memory_;
  std::shared_ptr<backend::Backend> backend_;
  struct Cached {
    std::string pack;
    std::uint64_t offset = 0;
    std::shared_ptr<const DecodedFrame> frame;
  };
  std::vector<Cached> cache_;  // the last used one last
};

}  // namespace mlferry::archive
