#pragma once
// The inside of a SnapshotReader: manifest, catalog and frames. The writer uses it to keep objects, check and
// rebuild to walk.

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "storage/archive/catalog_reader.hpp"
#include "storage/archive/context.hpp"
#include "storage/archive/frame_reader.hpp"

namespace mlferry::archive {

struct SnapshotReader::Impl {
  Impl(std::shared_ptr<Context> shared, Manifest opened, CatalogReader reader)
      : context(std::move(shared)),
        manifest(std::move(opened)),
        catalog(std::move(reader)),
        gate(context->executor, 1),
        frames(context->pool, context->memory, context->backend) {}

  // Runs `work(catalog)` on the pool, one at a time. `work` may refer to the caller's frame.
  template <class Work>
  async::Task<std::invoke_result_t<Work&, CatalogReader&>> query(Work work) {
    auto const turn = co_await gate.acquire();
    auto on_pool = [this, &work] { return work(catalog); };
    co_return co_await context->pool.run(std::move(on_pool));
  }

  async::Task<Object> load(ObjectPlace place);

  std::shared_ptr<Context> context;
  Manifest manifest;
  CatalogReader catalog;
  async::Semaphore gate;
  FrameReader frames;
};

// Verifies the catalog's size and SHA-256 before SQLite sees it.
async::Task<std::shared_ptr<SnapshotReader::Impl>> open_catalog(std::shared_ptr<Context> context,
                                                                Manifest manifest);

}  // namespace mlferry::archive
