// Files of runs and logged models: uploaded through the server's artifact proxy, or into a local folder.

#include <algorithm>

#include "async/task_group.hpp"
#include "engine/endpoints/artifact_lister.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/failure.hpp"
#include "engine/local_artifacts.hpp"
#include "engine/tools/mlmodel.hpp"

namespace mlferry::engine {

namespace {

// A file whose size nobody knows is read into memory first, since an upload announces its length.
constexpr std::size_t most_unsized_bytes = 64u << 20;

async::Task<std::unique_ptr<async::ByteReader>> open_text(std::shared_ptr<const std::string> text) {
  co_return std::make_unique<async::MemoryReader>(*text);
}

async::OpenReader opener_of(std::string text) {
  auto shared = std::make_shared<const std::string>(std::move(text));
  return [shared] { return open_text(shared); };
}

std::string unwritable(const std::string& uri) {
  return "the destination keeps artifacts in " + uri +
         ", which mlferry cannot write to yet: it needs a server that proxies artifacts (mlflow-artifacts:)";
}

std::string artifact_id(const FileOwner& owner, const std::string& path) {
  return owner.id + ":" + path;
}

}  // namespace

void ServerTarget::report_gaps(const RecordBase& record, std::string_view id, std::string_view name) {
  for (auto const& gap : record.gaps) {
    context_.report.found(Kind::artifact);
    context_.report.failed(Kind::artifact, std::string(id) + ":" + gap.path, std::string(name),
                           "cannot be read: " + gap.reason);
  }
}

void ServerTarget::report_unchanged_files(const RecordBase& record, Kind, std::string_view id,
                                          std::string_view name) {
  context_.report.found(Kind::artifact, record.files.size());
  context_.report.unchanged(Kind::artifact, record.files.size());
  report_gaps(record, id, name);
}

// True when every file is in the destination.
async::Task<bool> ServerTarget::put_files(Kind, FileOwner owner, Place place, const RecordBase& record,
                                          std::string name, Source& source, bool owner_is_new) {
  context_.report.found(Kind::artifact, record.files.size());
  report_gaps(record, owner.id, name);
  bool all_there = true;
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto const& file : record.files) {
      auto slot = co_await context_.transfers.acquire();
      tasks.spawn(
          put_file_or_report(owner, place, file, name, source, std::move(slot), owner_is_new, all_there));
    }
  };
  co_await async::with_task_group(context_.executor, body);
  co_return all_there;
}

async::Task<> ServerTarget::put_file_or_report(FileOwner owner, Place place, FileEntry file, std::string name,
                                               Source& source, async::Permit, bool owner_is_new,
                                               bool& all_there) {
  // Done already by a job that was killed later: the id of the owner names this very copy.
  LedgerKey const key{Kind::artifact, file.path, place.id};
  std::string const fingerprint = file.sha256 + ":" + (file.size ? std::to_string(*file.size) : "?") +
                                  (is_mlmodel(file.path) && !options_.fix_mlmodels ? ":as it is" : "");
  auto const known = co_await ledger_->find(key);
  if (known && known->done && known->fingerprint == fingerprint && !context_.options.full) {
    context_.report.unchanged(Kind::artifact);
    co_return;
  }
  bool settled = true;
  auto const failure = co_await attempt(put_file(owner, place, file, source, settled));
  if (failure) {
    all_there = false;
    context_.report.failed(Kind::artifact, artifact_id(owner, file.path), name, *failure);
    co_return;
  }
  if (settled) {
    co_await ledger_->put(key, {place.id, true, fingerprint, true, false, ""});
  } else {
    all_there = false;  // the next job writes it again
  }
  context_.report.copied(Kind::artifact, owner_is_new);
  context_.report.add_bytes(file.size.value_or(0));
}

// Throws when the destination cannot take a file of that name there.
ServerTarget::FilePlace ServerTarget::file_place(const Place& place, const std::string& path) const {
  FilePlace found{local_artifacts_ ? local_place(place.uri) : std::nullopt, proxied_path(place.uri)};
  if (!found.folder && !found.root) throw std::runtime_error(unwritable(place.uri));
  if (found.root && capabilities_.decodes_paths_twice) {
    auto const reason = mlflow::unservable_reason(path);
    if (!reason.empty()) throw std::runtime_error("the destination server cannot store this name: " + reason);
  }
  return found;
}

async::Task<> ServerTarget::write_file(FilePlace place, std::string path, async::OpenReader open, std::uint64_t size) {
  if (place.folder) {
    auto reader = co_await open();
    co_await write_local_file(context_.pool, *place.folder, path, *reader);
  } else {
    co_await client_.put_proxied(*place.root + "/" + path, std::move(open), size);
  }
}

async::Task<> ServerTarget::put_text(Place place, std::string path, std::string text) {
  auto const size = text.size();
  co_await write_file(file_place(place, path), path, opener_of(std::move(text)), size);
}

// `settled`: whether all ids in it name what they will always name.
async::Task<> ServerTarget::put_file(FileOwner owner, Place place, FileEntry file, Source& source,
                                     bool& settled) {
  auto where = file_place(place, file.path);
  async::OpenReader open = [&source, owner, file] { return source.open_file(owner, file); };
  std::uint64_t size = file.size.value_or(0);
  async::Permit memory;
  bool const rewrite =
      options_.fix_mlmodels && is_mlmodel(file.path) && file.size.value_or(0) <= most_mlmodel_bytes;
  if (rewrite || !file.size) {
    auto const limit = rewrite ? most_mlmodel_bytes : most_unsized_bytes;
    memory = co_await context_.memory.acquire(file.size.value_or(limit));
    auto reader = co_await open();
    auto text = co_await async::read_all(*reader, limit, "file " + file.path);
    if (rewrite) {
      std::vector<std::string> unknown;
      text = replace_all(text, co_await replacements_for(text, &unknown));
      settled = std::none_of(unknown.begin(), unknown.end(),
                             [this](const std::string& id) { return may_come_now(id); });
    }
    size = text.size();
    open = opener_of(std::move(text));
  }
  co_await write_file(std::move(where), file.path, std::move(open), size);
}

}  // namespace mlferry::engine
