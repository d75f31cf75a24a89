#pragma once
// The manifest of a snapshot, FORMAT.md section 7: the file whose appearance makes a snapshot exist. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/archive/archive.hpp"

namespace mlferry::archive {

struct Manifest {
  std::string archive_id;
  SnapshotInfo info;
  std::string catalog;  // name in the backend
  std::uint64_t catalog_size = 0;
  struct Pack {
    std::string name;
    std::uint64_t size = 0;
    bool own = false;
  };
  std::vector<Pack> packs;

  // "snapshots/20260102T030405678Z-0123456789abcdef.json"
  std::string name() const;
};

std::string encode_manifest(const Manifest& manifest);
// Throws Corrupt with `name`; also when the name is not that of the content.
Manifest decode_manifest(std::string_view text, const std::string& name);

}  // namespace mlferry::archive
