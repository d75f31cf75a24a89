#include "storage/archive/pack_verifier.hpp"

#include <algorithm>

namespace mlferry::archive {

namespace {

constexpr std::size_t kMagicPart = static_cast<std::size_t>(-1);  // in the place of a frame's number

}  // namespace

PackVerifier::PackVerifier(PackKind kind, const std::vector<PackFrame>& frames) {
  auto const magic = std::as_bytes(std::span(magic_of(kind)));
  parts_.push_back({magic.size(), digest::sha256(magic), kMagicPart});
  for (std::size_t number = 0; number < frames.size(); ++number) {
    auto const& frame = frames[number];
    if (frame.encoding == Encoding::zstd) {
      parts_.push_back({frame.stored, frame.sha256, number});
      continue;
    }
    for (auto const& blob : frame.blobs) parts_.push_back({blob.size, blob.sha256, number});
  }
}

void PackVerifier::update(std::span<const std::byte> data) {
  while (!data.empty() && next_ < parts_.size()) {
    auto const n = static_cast<std::size_t>(std::min<std::uint64_t>(data.size(), parts_[next_].size - done_));
    hash_.update(data.first(n));
    done_ += n;
    data = data.subspan(n);
    if (done_ == parts_[next_].size) finish_part();
  }
}

void PackVerifier::finish_part() {
  auto const& part = parts_[next_];
  if (hash_.finish() != part.sha256 && problem_.empty()) {
    problem_ = part.frame == kMagicPart ? "the pack does not begin as one" : "frame " + std::to_string(part.frame) + " is damaged";
  }
  ++next_;
  done_ = 0;
}

std::string PackVerifier::problem() const {
  if (problem_.empty() && next_ < parts_.size()) return "the pack ends early";
  return problem_;
}

}  // namespace mlferry::archive
