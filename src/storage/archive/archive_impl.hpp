#pragma once
// The inside of an Archive: finds snapshots, and starts writers, checks and rebuilds.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/archive/context.hpp"
#include "storage/archive/pack_set.hpp"

namespace mlferry::archive {

struct Archive::Impl {
  std::shared_ptr<Context> context;

  // Names of manifests, oldest first.
  async::Task<std::vector<std::string>> manifest_names();
  // The manifest of a snapshot by id, unique prefix or "latest". Throws NotFound.
  async::Task<Manifest> find_manifest(std::string id);
};

// All packs that are there, with the blobs of the data packs. A pack that cannot be read is noted as damaged.
async::Task<PackSet> scan_packs(backend::Backend& backend);

async::Task<std::vector<Problem>> check_archive(std::shared_ptr<Context> context, bool read_data,
                                                std::function<void(std::uint64_t, std::uint64_t)> progress);
async::Task<> rebuild(std::shared_ptr<Context> context, Manifest manifest);

}  // namespace mlferry::archive
