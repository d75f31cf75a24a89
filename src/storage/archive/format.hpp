#pragma once
// The names, magics and limits of FORMAT.md, and the small encoders that several files share. Everything here
// is pure: text in, text out.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/digest/sha256.hpp"

namespace mlferry::archive {

using Digest = digest::Sha256Bytes;

inline constexpr int kVersion = 1;
inline constexpr std::string_view kHeadName = "mlferry-archive";
inline constexpr std::string_view kDataFolder = "packs/data";
inline constexpr std::string_view kMetaFolder = "packs/meta";
inline constexpr std::string_view kCatalogFolder = "catalogs";
inline constexpr std::string_view kSnapshotFolder = "snapshots";

inline constexpr std::uint64_t kLargestChunk = 64u << 20;
inline constexpr std::uint64_t kLargestRecord = 128u << 20;
inline constexpr std::uint64_t kLargestFrame = 192u << 20;
inline constexpr std::uint64_t kLargestPack = 1u << 30;
inline constexpr std::uint64_t kMostFrames = 1u << 20;
inline constexpr std::uint64_t kLargestHead = 4096;
inline constexpr std::uint64_t kLargestManifest = 256u << 20;
inline constexpr std::size_t kLongestPath = 4096;
inline constexpr std::size_t kLongestId = 64 * 1024;

enum class PackKind { data, meta };
std::string_view magic_of(PackKind kind);  // 8 bytes
std::string pack_name(PackKind kind, std::string_view hex);
// The kind of a pack of that name; nothing when no pack can have it.
std::optional<PackKind> kind_of_pack(std::string_view name);
std::string catalog_name(std::string_view hex);
bool is_catalog_name(std::string_view name);
// The 64 hex digits in the name of a pack or catalog.
std::string hex_of_name(std::string_view name);

bool is_hex(std::string_view text, std::size_t digits);
std::optional<Digest> parse_digest(std::string_view hex);
std::string hex(const Digest& digest);
// The 32 bytes of a database column.
std::optional<Digest> digest_of_bytes(std::string_view bytes);
inline std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Why a path of a file within an object is not allowed; empty when it is.
std::string path_problem(std::string_view path);

void put_u32(std::string& out, std::uint32_t value);
std::uint32_t get_u32(std::string_view bytes, std::size_t at);  // the caller has checked the length

// The head file. decode throws Corrupt.
std::string encode_head(std::string_view archive_id);
std::string decode_head(std::string_view text);  // the archive's id

// "2026-01-02T03:04:05.678Z" and "20260102T030405678Z".
std::string rfc3339(std::int64_t ms);
std::string compact_time(std::string_view rfc3339);
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// "run 3f… file model/MLmodel": how messages name things. Control characters are replaced.
std::string describe(std::string_view kind, std::string_view id, std::string_view path = {});

}  // namespace mlferry::archive
