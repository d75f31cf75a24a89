#include "storage/archive/snapshot_reader.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "protocol/mlflow/json.hpp"
#include "storage/archive/file_reader.hpp"

namespace mlferry::archive {

namespace {

constexpr std::size_t kInlineRecord = 256 * 1024;  // more is parsed on the pool
constexpr std::uint64_t kPageBytes = 8u << 20;  // a page of objects ends early after so many bytes of records

}  // namespace

async::Task<std::shared_ptr<SnapshotReader::Impl>> open_catalog(std::shared_ptr<Context> context,
                                                                Manifest manifest) {
  auto const size = co_await context->backend->size(manifest.catalog);
  if (!size) throw Corrupt(manifest.catalog + ": the catalog is missing; it can be rebuilt from its packs");
  FileHash hash;
  if (*size == manifest.catalog_size) hash = co_await hash_file(*context, manifest.catalog, nullptr);
  if (hash.size != manifest.catalog_size || hash.sha256 != hex_of_name(manifest.catalog)) {
    throw Corrupt(manifest.catalog + ": the catalog is damaged; it can be rebuilt from its packs");
  }
  auto const path = co_await context->backend->local_path(manifest.catalog);
  auto catalog = co_await context->pool.run([&] { return CatalogReader(path, manifest); });
  co_return std::make_shared<SnapshotReader::Impl>(std::move(context), std::move(manifest),
                                                   std::move(catalog));
}

async::Task<Object> SnapshotReader::Impl::load(ObjectPlace place) {
  auto const what = describe(place.row.kind, place.row.id);
  auto const frame = co_await frames.read(place.record.frame, true, what);
  auto const text = frame->slice(place.record);
  auto const parse = [text, &what] { return mlflow::parse_json(text, what); };
  Object object;
  try {
    json::value document;
    if (text.size() < kInlineRecord) {
      document = parse();
    } else {
      document = co_await context->pool.run(parse);
    }
    if (document.is_object()) object.record = std::move(document.get_object());
    if (!document.is_object()) throw Corrupt(what + ": the record is no JSON object");
  } catch (const mlflow::JsonError& error) {
    throw Corrupt(error.what());
  }
  object.row = std::move(place.row);
  co_return object;
}

SnapshotReader::SnapshotReader(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
SnapshotReader::~SnapshotReader() = default;

const SnapshotInfo& SnapshotReader::info() const {
  return impl_->manifest.info;
}

async::Task<std::uint64_t> SnapshotReader::count(std::string kind) {
  auto const work = [&kind](CatalogReader& catalog) { return catalog.count(kind); };
  co_return co_await impl_->query(work);
}

async::Task<std::vector<std::pair<std::string, std::uint64_t>>> SnapshotReader::counts() {
  auto const work = [](CatalogReader& catalog) { return catalog.counts(); };
  co_return co_await impl_->query(work);
}

async::Task<SnapshotReader::ObjectPage> SnapshotReader::objects(std::string kind,
                                                                std::optional<std::string> parent,
                                                                std::int64_t after, std::size_t limit) {
  auto const impl = impl_;
  limit = std::max<std::size_t>(limit, 1);
  auto const work = [&](CatalogReader& catalog) { return catalog.objects(kind, parent, after, limit); };
  auto places = co_await impl->query(work);
  ObjectPage page;
  bool const full = places.size() == limit;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto const number = places[i].number;
    bytes += places[i].record.size;
    page.objects.push_back(co_await impl->load(std::move(places[i])));
    bool const last = i + 1 == places.size();
    if (last ? full : bytes >= kPageBytes) {
      page.next = number;
      break;
    }
  }
  co_return page;
}

async::Task<std::optional<ObjectRow>> SnapshotReader::find(std::string kind, std::string id) {
  auto const work = [&](CatalogReader& catalog) { return catalog.find(kind, id); };
  auto place = co_await impl_->query(work);
  if (!place) co_return std::nullopt;
  co_return std::move(place->row);
}

async::Task<std::optional<Object>> SnapshotReader::get(std::string kind, std::string id) {
  auto const impl = impl_;
  auto const work = [&](CatalogReader& catalog) { return catalog.find(kind, id); };
  auto place = co_await impl->query(work);
  if (!place) co_return std::nullopt;
  co_return co_await impl->load(std::move(*place));
}

async::Task<std::vector<FileRow>> SnapshotReader::files(std::string kind, std::string id) {
  auto const work = [&](CatalogReader& catalog) { return catalog.files(kind, id); };
  co_return co_await impl_->query(work);
}

async::Task<std::vector<GapRow>> SnapshotReader::gaps() {
  auto const work = [](CatalogReader& catalog) { return catalog.gaps(); };
  co_return co_await impl_->query(work);
}

async::Task<std::unique_ptr<async::ByteReader>> SnapshotReader::open_file(std::string kind, std::string id,
                                                                          std::string path) {
  auto const impl = impl_;
  auto const what = describe(kind, id, path);
  auto const work = [&](CatalogReader& catalog) -> std::optional<OpenedFile> {
    auto const place = catalog.file(kind, id, path);
    if (!place) return std::nullopt;
    return locate_chunks(catalog, *place, what);
  };
  auto file = co_await impl->query(work);
  if (!file) throw NotFound("snapshot " + impl->manifest.info.id + " has no " + what);
  co_return std::make_unique<FileReader>(impl, std::move(*file), what);
}

}  // namespace mlferry::archive
