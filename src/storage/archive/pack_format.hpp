#pragma once
// The bytes of a pack around its frames: what FORMAT.md section 4 says, as pure functions. Used by the
// writer, the readers, check and rebuild.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/archive/format.hpp"

namespace mlferry::archive {

enum class Encoding : std::uint8_t { raw = 0, zstd = 1 };

struct Blob {
  Digest sha256{};
  std::uint32_t size = 0;
  friend bool operator==(const Blob&, const Blob&) = default;
};

struct PackFrame {
  Encoding encoding = Encoding::raw;
  std::uint64_t offset = 0;  // in the pack
  std::uint32_t stored = 0;
  std::uint32_t raw = 0;
  std::vector<Blob> blobs;
  Digest sha256{};  // of the stored bytes of a zstd frame; the blobs' say it for raw ones
  friend bool operator==(const PackFrame&, const PackFrame&) = default;
};

inline constexpr std::uint64_t kMagicSize = 8;
inline constexpr std::uint64_t kFooterSize = 48;

// The list of frames and the footer. Offsets are not written: they are the sums of `stored`.
std::string encode_trailer(const std::vector<PackFrame>& frames);
// The SHA-256 of the list, which is in the footer: what names the pack.
Digest list_digest(std::string_view trailer);
// How long the list before this footer is. Throws Corrupt with `name`, as below.
std::uint64_t decode_list_length(std::string_view footer, std::uint64_t pack_size, const std::string& name);
// `trailer`: list and footer. Checks everything, also that the frames fill the pack exactly.
std::vector<PackFrame> decode_trailer(std::string_view trailer, std::uint64_t pack_size,
                                      const std::string& name);

}  // namespace mlferry::archive
