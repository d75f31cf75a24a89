#include "storage/archive/pack_format.hpp"

#include <cstring>

#include "storage/archive/archive.hpp"

namespace mlferry::archive {

namespace {

constexpr std::string_view kTailMagic = "MLFTAIL1";
constexpr std::size_t kFrameHeader = 9;
constexpr std::size_t kBlobSize = 36;
constexpr std::size_t kDigestSize = 32;

Digest get_digest(std::string_view bytes) {
  Digest digest{};
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

}  // namespace

std::string encode_trailer(const std::vector<PackFrame>& frames) {
  std::string out;
  for (auto const& frame : frames) {
    out += static_cast<char>(frame.encoding);
    put_u32(out, frame.stored);
    put_u32(out, static_cast<std::uint32_t>(frame.blobs.size()));
    if (frame.encoding == Encoding::zstd) out += bytes_of(frame.sha256);
    for (auto const& blob : frame.blobs) {
      put_u32(out, blob.size);
      out += bytes_of(blob.sha256);
    }
  }
  auto const length = static_cast<std::uint32_t>(out.size());
  auto const hash = digest::sha256(out);
  put_u32(out, length);
  put_u32(out, static_cast<std::uint32_t>(frames.size()));
  out += bytes_of(hash);
  out += kTailMagic;
  return out;
}

Digest list_digest(std::string_view trailer) {
  return get_digest(trailer.substr(trailer.size() - kFooterSize + 8));
}

std::uint64_t decode_list_length(std::string_view footer, std::uint64_t pack_size, const std::string& name) {
  if (pack_size > kLargestPack) throw Corrupt(name + ": larger than a pack may be");
  if (footer.size() != kFooterSize || pack_size < kMagicSize + kFooterSize)
    throw Corrupt(name + ": truncated");
  if (footer.substr(40) != kTailMagic) throw Corrupt(name + ": damaged or truncated (no end mark)");
  std::uint64_t const length = get_u32(footer, 0);
  if (length > pack_size - kMagicSize - kFooterSize)
    throw Corrupt(name + ": damaged (length of the trailer)");
  return length;
}

std::vector<PackFrame> decode_trailer(std::string_view trailer, std::uint64_t pack_size,
                                      const std::string& name) {
  if (trailer.size() < kFooterSize) throw Corrupt(name + ": truncated");
  auto const footer = trailer.substr(trailer.size() - kFooterSize);
  auto const length = decode_list_length(footer, pack_size, name);
  if (trailer.size() != length + kFooterSize) throw Corrupt(name + ": damaged (length of the trailer)");
  auto list = trailer.substr(0, length);
  if (bytes_of(digest::sha256(list)) != footer.substr(8, 32)) throw Corrupt(name + ": damaged trailer (checksum)");

  std::uint64_t const count = get_u32(footer, 4);
  if (count > kMostFrames || count > length / kFrameHeader)
    throw Corrupt(name + ": damaged (number of frames)");
  std::vector<PackFrame> frames;
  frames.reserve(count);
  std::uint64_t offset = kMagicSize;
  for (std::uint64_t number = 0; number < count; ++number) {
    std::string const where = name + ": frame " + std::to_string(number);
    if (list.size() < kFrameHeader) throw Corrupt(where + ": the trailer ends early");
    PackFrame frame;
    auto const encoding = static_cast<unsigned char>(list[0]);
    if (encoding > 1) throw Corrupt(where + ": unknown encoding " + std::to_string(encoding));
    frame.encoding = static_cast<Encoding>(encoding);
    frame.offset = offset;
    frame.stored = get_u32(list, 1);
    std::uint64_t const blobs = get_u32(list, 5);
    list.remove_prefix(kFrameHeader);
    if (frame.encoding == Encoding::zstd) {
      if (list.size() < kDigestSize) throw Corrupt(where + ": the trailer ends early");
      frame.sha256 = get_digest(list);
      list.remove_prefix(kDigestSize);
    }
    if (blobs == 0 || blobs > list.size() / kBlobSize) throw Corrupt(where + ": wrong number of blobs");
    std::uint64_t raw = 0;
    frame.blobs.reserve(blobs);
    for (std::uint64_t i = 0; i < blobs; ++i) {
      Blob blob;
      blob.size = get_u32(list, 0);
      blob.sha256 = get_digest(list.substr(4));
      list.remove_prefix(kBlobSize);
      if (blob.size == 0) throw Corrupt(where + ": empty blob");
      raw += blob.size;
      frame.blobs.push_back(blob);
    }
    if (raw > kLargestFrame) throw Corrupt(where + ": larger than a frame may be");
    frame.raw = static_cast<std::uint32_t>(raw);
    if (frame.encoding == Encoding::raw && frame.stored != frame.raw) throw Corrupt(where + ": wrong length");
    offset += frame.stored;
    if (offset > pack_size) throw Corrupt(where + ": beyond the end of the pack");
    frames.push_back(std::move(frame));
  }
  if (!list.empty()) throw Corrupt(name + ": bytes after the last frame of the trailer");
  if (offset + trailer.size() != pack_size) throw Corrupt(name + ": the frames do not fill the pack");
  return frames;
}

}  // namespace mlferry::archive
