#include "storage/archive/file_reader.hpp"

#include <algorithm>
#include <cstring>

namespace mlferry::archive {

OpenedFile locate_chunks(CatalogReader& catalog, const FilePlace& place, const std::string& what) {
  OpenedFile file{place.row.size, place.sha256, {}};
  std::uint64_t total = 0;
  for (auto const& sha256 : place.chunks) {
    auto slice = catalog.chunk(sha256);
    if (!slice) throw Corrupt(what + ": the catalog does not say where the chunk " + hex(sha256) + " is");
    total += slice->size;
    if (total > file.size) break;  // also keeps the sum from overflowing
    file.chunks.push_back({sha256, std::move(*slice)});
  }
  if (total != file.size) throw Corrupt(what + ": the chunks do not add up to the size of the file");
  return file;
}

async::Task<> FileReader::load_next() {
  auto const chunk = file_.chunks[next_];
  bool const shared = chunk.slice.size != chunk.slice.frame.raw;
  frame_ = co_await snapshot_->frames.read(chunk.slice.frame, shared, what_);
  co_await snapshot_->frames.verify_chunk(frame_, chunk, what_);
  auto const bytes = frame_->slice(chunk.slice);
  ++next_;
  bool const several = file_.chunks.size() > 1;
  if (several || chunk.sha256 != file_.sha256) {
    bool const good = co_await snapshot_->context->pool.run([&] {
      whole_.update(bytes);
      return next_ != file_.chunks.size() || whole_.finish() == file_.sha256;
    });
    if (!good) throw Corrupt(what_ + ": the SHA-256 of the file is wrong");
  }
  left_ = bytes;
}

async::Task<std::size_t> FileReader::read_some(std::span<std::byte> buffer) {
  while (left_.empty()) {
    frame_.reset();  // its memory, before more is asked for
    if (next_ == file_.chunks.size()) co_return 0;
    co_await load_next();
  }
  auto const n = std::min(buffer.size(), left_.size());
  std::memcpy(buffer.data(), left_.data(), n);
  left_.remove_prefix(n);
  if (left_.empty()) frame_.reset();
  co_return n;
}

}  // namespace mlferry::archive
