#include "engine/compare_files.hpp"

#include <map>

#include "async/task_group.hpp"
#include "engine/failure.hpp"
#include "engine/tools/mlmodel.hpp"
#include "protocol/digest/sha256.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t hash_buffer = 256 * 1024;

}  // namespace

async::Task<> FileComparison::compare(const RecordBase& a, FileOwner owner_a, const RecordBase& b, FileOwner owner_b,
                                      std::string name) {
  std::map<std::string, const FileEntry*> copies;
  for (auto const& file : b.files) copies[file.path] = &file;
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& file : a.files) {
      context_.report.found(Kind::artifact);
      auto const found = copies.find(file.path);
      if (found == copies.end()) {
        context_.report.different(Kind::artifact, owner_a.id + ":" + file.path, name,
                                  {"is missing in the copy"});
        continue;
      }
      auto slot = co_await context_.transfers.acquire();
      tasks.spawn(compare_file(owner_a, file, owner_b, *found->second, name, std::move(slot)));
      copies.erase(found);
    }
  };
  co_await async::with_task_group(context_.executor, body);
  for (auto const& gap : a.gaps) {
    context_.report.found(Kind::artifact);
    context_.report.skipped(Kind::artifact, owner_a.id + ":" + gap.path, name,
                            "cannot be compared, since it cannot be read in the original: " + gap.reason);
  }
  for (auto const& [path, file] : copies) {
    context_.report.different(Kind::artifact, owner_a.id + ":" + path, name, {"is not in the original"});
  }
}

async::Task<> FileComparison::compare_file(FileOwner owner_a, FileEntry a, FileOwner owner_b, FileEntry b,
                                           std::string name, async::Permit) {
  auto const id = owner_a.id + ":" + a.path;
  std::string difference;
  auto const failure = co_await attempt(find_difference(owner_a, a, owner_b, b, name, difference));
  if (failure) difference = "cannot be compared: " + *failure;
  if (difference.empty()) {
    context_.report.verified(Kind::artifact);
  } else {
    std::vector<std::string> one;
    one.push_back(difference);
    context_.report.different(Kind::artifact, id, name, std::move(one));
  }
}

async::Task<> FileComparison::find_difference(FileOwner owner_a, FileEntry a, FileOwner owner_b, FileEntry b,
                                              std::string name, std::string& difference) {
  if (is_mlmodel(a.path) && a.size.value_or(0) <= most_mlmodel_bytes &&
      b.size.value_or(0) <= most_mlmodel_bytes) {
    auto reader_a = co_await original_.open_file(owner_a, a);
    auto text_a = co_await async::read_all(*reader_a, most_mlmodel_bytes, "file " + a.path);
    auto reader_b = co_await copy_.open_file(owner_b, b);
    auto text_b = co_await async::read_all(*reader_b, most_mlmodel_bytes, "file " + b.path);
    take_({owner_a.kind, owner_a.id, name, {"file " + a.path, std::move(text_a), std::move(text_b), false}});
    co_return;
  }
  if (a.size && b.size && *a.size != *b.size) {
    difference = std::to_string(*a.size) + " bytes became " + std::to_string(*b.size);
    co_return;
  }
  if (!data_) co_return;
  auto const hash_a = co_await hash_of(original_, owner_a, a);
  auto const hash_b = co_await hash_of(copy_, owner_b, b);
  if (hash_a != hash_b)
    difference =
        "the content differs (SHA-256 " + hash_a.substr(0, 12) + "… became " + hash_b.substr(0, 12) + "…)";
}

async::Task<std::string> FileComparison::hash_of(Source& source, FileOwner owner, FileEntry file) {
  if (!file.sha256.empty()) co_return file.sha256;
  auto reader = co_await source.open_file(owner, file);
  digest::Sha256 hash;
  auto memory = co_await context_.memory.acquire(hash_buffer);
  std::vector<std::byte> buffer(hash_buffer);
  while (true) {
    auto const n = co_await async::read_full(*reader, buffer);
    if (n == 0) break;
    hash.update(std::span<const std::byte>(buffer).first(n));
    context_.report.add_bytes(n);
  }
  co_return digest::to_hex(hash.finish());
}

}  // namespace mlferry::engine
