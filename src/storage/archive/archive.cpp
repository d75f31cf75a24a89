#include "storage/archive/archive.hpp"

#include <algorithm>
#include <random>

#include "storage/archive/archive_impl.hpp"
#include "storage/archive/publish.hpp"
#include "storage/archive/snapshot_reader.hpp"
#include "storage/archive/snapshot_writer.hpp"

namespace mlferry::archive {

namespace {

std::string random_id() {
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 4; ++i) put_u32(bytes, random());
  return digest::to_hex(std::span(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

// "snapshots/<time>-<id>.json" -> id; empty for another file.
std::string id_of_manifest(std::string_view name) {
  constexpr std::string_view suffix = ".json";
  if (!name.ends_with(suffix) || name.size() < 17 + suffix.size()) return {};
  name.remove_suffix(suffix.size());
  auto const id = name.substr(name.size() - 16);
  return name[name.size() - 17] == '-' && is_hex(id, 16) ? std::string(id) : std::string();
}

}  // namespace

Archive::Archive(async::Executor executor, async::WorkerPool& pool, async::ByteBudget& memory,
                 std::shared_ptr<backend::Backend> backend, Options options)
    : impl_(std::make_shared<Impl>()) {
  impl_->context = std::make_shared<Context>(
      Context{std::move(executor), pool, memory, std::move(backend), std::move(options)});
}
Archive::~Archive() = default;

async::Task<std::vector<std::string>> Archive::Impl::manifest_names() {
  std::vector<std::string> names;
  for (auto& entry : co_await context->backend->list(std::string(kSnapshotFolder))) {
    if (!id_of_manifest(entry.name).empty()) names.push_back(std::move(entry.name));
  }
  co_return names;
}

async::Task<Manifest> Archive::Impl::find_manifest(std::string id) {
  auto const archive_id = co_await read_head(*context->backend);
  auto const names = co_await manifest_names();
  auto const where = context->backend->describe();
  std::string found;
  if (id == "latest") {
    if (names.empty()) throw NotFound(where + ": the archive has no snapshot");
    found = names.back();
  } else {
    for (auto const& name : names) {
      if (id.empty() || !id_of_manifest(name).starts_with(id)) continue;
      if (!found.empty())
        throw NotFound(where + ": several snapshots begin with '" + id + "'; give more digits");
      found = name;
    }
    if (found.empty()) throw NotFound(where + ": there is no snapshot '" + id.substr(0, 100) + "'");
  }
  co_return co_await read_manifest(*context->backend, found, archive_id);
}

async::Task<bool> Archive::exists() {
  auto const backend = impl_->context->backend;
  auto const text = co_await read_small_file(*backend, std::string(kHeadName), kLargestHead);
  if (!text) co_return false;
  decode_head(*text);
  co_return true;
}

static async::Task<> refuse_other_things(backend::Backend& backend) {
  auto const entries = co_await backend.list("");
  if (entries.empty()) co_return;
  throw std::runtime_error(backend.describe() + ": is neither empty nor an archive (it holds " +
                           entries.front().name + ")");
}

async::Task<> Archive::create() {
  auto const backend = impl_->context->backend;
  auto const there = co_await exists();
  if (there) co_return;
  // Before the lock, which is a file: a folder that holds other things is left exactly as it is.
  co_await refuse_other_things(*backend);
  auto const lock = co_await backend->lock_for_writing();
  auto const since = co_await exists();  // somebody else may have been faster
  if (since) co_return;
  co_await refuse_other_things(*backend);
  auto upload = co_await backend->begin();
  auto const head = encode_head(random_id());
  co_await upload->write(async::as_bytes(head));
  co_await upload->commit(std::string(kHeadName));
}

async::Task<std::vector<SnapshotInfo>> Archive::snapshots() {
  auto const impl = impl_;
  auto const archive_id = co_await read_head(*impl->context->backend);
  std::vector<SnapshotInfo> infos;
  for (auto const& name : co_await impl->manifest_names()) {
    auto manifest = co_await read_manifest(*impl->context->backend, name, archive_id);
    infos.push_back(std::move(manifest.info));
  }
  co_return infos;
}

async::Task<std::shared_ptr<SnapshotReader>> Archive::open_snapshot(std::string id) {
  auto const impl = impl_;
  auto manifest = co_await impl->find_manifest(std::move(id));
  auto reader = co_await open_catalog(impl->context, std::move(manifest));
  co_return std::make_shared<SnapshotReader>(std::move(reader));
}

async::Task<PackSet> scan_packs(backend::Backend& backend) {
  PackSet packs;
  for (auto const& entry : co_await backend.list("packs")) {
    auto const kind = kind_of_pack(entry.name);
    if (!kind) continue;
    if (*kind == PackKind::meta) {
      packs.list(entry.name, entry.size);
      continue;
    }
    try {
      auto const frames = co_await read_trailer(backend, entry.name, entry.size);
      packs.add(entry.name, entry.size, frames);
    } catch (const Corrupt&) {
      packs.add_damaged(
          entry.name);  // check reports it; here it only means that its chunks are written again
    }
  }
  co_return packs;
}

async::Task<std::unique_ptr<SnapshotWriter>> Archive::begin_snapshot(std::string source,
                                                                     std::shared_ptr<SnapshotReader> base) {
  auto const impl = impl_;
  auto const context = impl->context;
  SnapshotWriterImpl::Start start;
  start.context = context;
  start.source = std::move(source);
  start.archive_id = co_await read_head(*context->backend);
  start.lock = co_await context->backend->lock_for_writing();
  co_await context->backend->clean_up();
  if (base) {
    start.base = base->impl_;
    if (base->impl_->manifest.archive_id != start.archive_id) {
      throw std::invalid_argument("the base snapshot belongs to another archive");
    }
  }
  // Names sort by time, so the newest manifest's name is enough; a damaged one must not stop a new backup.
  start.begun_ms = now_ms(*context);
  for (auto const& name : co_await impl->manifest_names()) {
    auto const text = name.substr(kSnapshotFolder.size() + 1);
    if (text.size() < 19) continue;
    auto const time = parse_rfc3339(text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 2) +
                                    "T" + text.substr(9, 2) + ":" + text.substr(11, 2) + ":" +
                                    text.substr(13, 2) + "." + text.substr(15, 3) + "Z");
    if (time) start.begun_ms = std::max(start.begun_ms, *time + 1);
  }
  start.packs = co_await scan_packs(*context->backend);
  start.working_path = co_await context->backend->scratch_path();
  auto const path = start.working_path;
  start.catalog = co_await context->pool.run([&path] { return std::make_unique<CatalogWriter>(path); });
  co_return std::make_unique<SnapshotWriterImpl>(std::move(start));
}

async::Task<std::vector<Problem>> Archive::check(
    bool read_data, std::function<void(std::uint64_t done, std::uint64_t total)> progress) {
  co_return co_await check_archive(impl_->context, read_data, std::move(progress));
}

async::Task<> Archive::rebuild_catalog(std::string snapshot_id) {
  auto const impl = impl_;
  auto const lock = co_await impl->context->backend->lock_for_writing();
  co_await impl->context->backend->clean_up();
  auto manifest = co_await impl->find_manifest(std::move(snapshot_id));
  co_await rebuild(impl->context, std::move(manifest));
}

}  // namespace mlferry::archive
