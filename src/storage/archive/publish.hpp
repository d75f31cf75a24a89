#pragma once
// The last steps of writing: the finished catalog becomes a file of the archive. Shared by commit and
// rebuild.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/archive/catalog_writer.hpp"
#include "storage/archive/context.hpp"

namespace mlferry::archive {

struct PublishedCatalog {
  std::string name;
  std::uint64_t size = 0;
  CatalogWriter::Totals totals;
};
// Ends the catalog and makes it durable under the name of its content.
async::Task<PublishedCatalog> publish_catalog(Context& context, std::unique_ptr<CatalogWriter> catalog,
                                              std::vector<CatalogWriter::Pack> packs);

std::int64_t now_ms(const Context& context);

}  // namespace mlferry::archive
