#pragma once
// The entries of meta packs, FORMAT.md section 5: what happened to a snapshot, line by line, so that a lost
// catalog can be made again. Pure.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage/archive/archive.hpp"
#include "storage/archive/format.hpp"

namespace mlferry::archive {

// Where a record is that an earlier snapshot stored.
struct KeptRecord {
  Digest frame{};
  std::uint64_t offset = 0;
};

struct ObjectEntry {
  ObjectRow row;
  std::uint64_t length = 0;  // of the record
  std::optional<KeptRecord> kept;
  std::uint64_t record_offset = 0;  // set by decode: of the record in this frame, when it is not kept
};

struct FileEntry {
  std::string kind, id, path;
  std::uint64_t size = 0;
  Digest sha256{};
  std::vector<Digest> chunks;  // at least two, or empty
};

using Entry = std::variant<ObjectEntry, FileEntry, GapRow>;

// Appends the line; of an object that is not kept, append the record and '\n' next.
void append_entry(std::string& out, const ObjectEntry& entry);
void append_entry(std::string& out, const FileEntry& entry);
void append_entry(std::string& out, const GapRow& entry);

// Calls `take` for each entry of a decoded frame, in order. Throws Corrupt with `where`.
void decode_entries(std::string_view frame, const std::string& where, const std::function<void(Entry)>& take);

}  // namespace mlferry::archive
