#include "storage/archive/pack_writer.hpp"

#include <algorithm>

namespace mlferry::archive {

namespace {

constexpr std::uint64_t kMostPackBytes = 512u << 20;  // plus one frame of the largest size is below the limit

}  // namespace

PackWriter::PackWriter(std::shared_ptr<Context> context, PackKind kind,
                       std::function<std::uint32_t()> new_number)
    : context_(std::move(context)),
      kind_(kind),
      new_number_(std::move(new_number)),
      turn_(context_->executor, 1),
      closing_(context_->executor, 2) {}

async::Task<> PackWriter::write(Pack& pack, std::span<const std::byte> data) {
  co_await pack.upload->write(data);
  pack.size += data.size();
}

async::Task<PackWriter::Place> PackWriter::append(Frame frame) {
  auto turn = co_await turn_.acquire();
  if (!open_) {
    auto pack = std::make_unique<Pack>();
    pack->upload = co_await context_->backend->begin();
    pack->slot = finished_.size();
    finished_.push_back({new_number_(), "", 0});
    co_await write(*pack, async::as_bytes(magic_of(kind_)));
    open_ = std::move(pack);
  }
  auto& pack = *open_;
  Place const place{finished_[pack.slot].number, static_cast<std::uint32_t>(pack.frames.size()), pack.size};
  std::uint64_t raw = 0;
  for (auto const& blob : frame.blobs) raw += blob.size;
  co_await write(pack, frame.stored);
  pack.trailer += 9 + 32 + 36 * frame.blobs.size();
  pack.frames.push_back({frame.encoding, place.offset, static_cast<std::uint32_t>(frame.stored.size()),
                         static_cast<std::uint32_t>(raw), std::move(frame.blobs), frame.sha256});
  bool const full = pack.size + pack.trailer >= std::min(context_->options.pack_bytes, kMostPackBytes) ||
                    pack.frames.size() >= kMostFrames;
  if (!full) co_return place;
  // The fsync of a full pack does not keep others from filling the next one.
  auto done = std::move(open_);
  turn.release();
  co_await close(std::move(done));
  co_return place;
}

async::Task<> PackWriter::close(std::unique_ptr<Pack> pack) {
  auto const slot = co_await closing_.acquire();
  auto const trailer = encode_trailer(pack->frames);
  co_await write(*pack, async::as_bytes(trailer));
  auto name = pack_name(kind_, hex(list_digest(trailer)));
  co_await pack->upload->commit(name, true);  // also heals a damaged file of that name
  // By index: others may have grown the list meanwhile.
  finished_[pack->slot].name = std::move(name);
  finished_[pack->slot].size = pack->size;
}

async::Task<> PackWriter::finish() {
  auto const turn = co_await turn_.acquire();
  if (open_) {
    auto done = std::move(open_);
    co_await close(std::move(done));
  }
}

}  // namespace mlferry::archive
