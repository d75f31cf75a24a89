#include "engine/endpoints/artifact_lister.hpp"

#include <algorithm>

#include "async/task_group.hpp"
#include "engine/failure.hpp"
#include "engine/local_artifacts.hpp"

namespace mlferry::engine {

namespace {

struct Folder {
  std::size_t owner;  // index into the records
  std::string path;
};

std::size_t depth_of(std::string_view path) {
  return path.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
}

// Sorts one folder's listing into the owner's files, gaps and the folders still to be listed.
void take(RecordBase& owner, std::size_t index, const std::string& folder,
          const std::vector<mlflow::FileInfo>& listing, bool decodes_twice, std::vector<Folder>& next) {
  for (auto const& entry : listing) {
    // Below its folder, or the server is not to be trusted: a loop or a name with '..' ends here.
    auto const prefix = folder.empty() ? std::string() : folder + "/";
    bool const below = entry.path.size() > prefix.size() && entry.path.starts_with(prefix);
    auto const name = below ? std::string_view(entry.path).substr(prefix.size()) : std::string_view();
    if (!below || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos) {
      owner.gaps.push_back(
          {entry.path, "the server listed this name in folder '" + folder + "', where it cannot be"});
      continue;
    }
    auto const reason = decodes_twice ? mlflow::unservable_reason(entry.path) : std::string();
    if (!reason.empty()) {
      owner.gaps.push_back({entry.path, (entry.is_dir ? "folder: " : "") + reason});
    } else if (entry.is_dir) {
      if (depth_of(entry.path) > max_folder_depth) {
        owner.gaps.push_back(
            {entry.path, "folder: more than " + std::to_string(max_folder_depth) + " levels deep"});
      } else {
        next.push_back({index, entry.path});
      }
    } else if (owner.files.size() >= max_files_of_one_owner) {
      owner.gaps.push_back({entry.path, "more than " + std::to_string(max_files_of_one_owner) + " files"});
    } else {
      owner.files.push_back({entry.path, entry.size, {}});
    }
  }
}

void take_failure(RecordBase& owner, const std::string& folder, const std::string& cause) {
  owner.gaps.push_back({folder, "folder cannot be listed: " + cause});
}

struct Lister {
  mlflow::Client& client;
  const mlflow::Capabilities& capabilities;
  std::vector<RunRecord>& runs;
  std::vector<Folder> next;

  void took(const Folder& folder, const std::vector<mlflow::FileInfo>& listing) {
    take(runs[folder.owner], folder.owner, folder.path, listing, capabilities.decodes_paths_twice, next);
  }
};

async::Task<> list_one(Lister& lister, Folder folder) {
  std::string id(lister.runs[folder.owner].run.id());
  std::vector<mlflow::FileInfo> listing;
  auto read = [](Lister& lister, std::string id, std::string path,
                 std::vector<mlflow::FileInfo>& out) -> async::Task<> {
    out = co_await lister.client.list_artifacts(id, path);
  };
  auto const failure = co_await attempt(read(lister, id, folder.path, listing));
  if (failure) {
    take_failure(lister.runs[folder.owner], folder.path, *failure);
  } else {
    lister.took(folder, listing);
  }
}

async::Task<> list_batch(Lister& lister, std::vector<Folder> folders) {
  std::vector<mlflow::Client::Directory> questions;
  for (auto const& folder : folders) {
    questions.push_back({std::string(lister.runs[folder.owner].run.id()), folder.path});
  }
  std::vector<std::optional<std::vector<mlflow::FileInfo>>> answers(folders.size());
  auto read = [](Lister& lister, std::vector<mlflow::Client::Directory> questions,
                 std::vector<std::optional<std::vector<mlflow::FileInfo>>>& out) -> async::Task<> {
    out = co_await lister.client.list_artifacts_batch(std::move(questions));
  };
  // A batch that fails as a whole is asked again one by one, so that one bad folder spoils no other.
  co_await attempt(read(lister, std::move(questions), answers));
  for (std::size_t i = 0; i < folders.size(); ++i) {
    if (i < answers.size() && answers[i]) {
      lister.took(folders[i], *answers[i]);
    } else {
      co_await list_one(lister, folders[i]);
    }
  }
}

// The entries' paths are below `root`, as those of every other listing.
async::Task<> read_proxied(mlflow::Client& client, std::string root, std::string path,
                           std::vector<mlflow::FileInfo>& listing) {
  listing = co_await client.list_proxied(path.empty() ? root : root + "/" + path);
  for (auto& entry : listing) {
    if (entry.path.starts_with(root + "/")) entry.path.erase(0, root.size() + 1);
  }
}

// What the server would ask itself to answer a question by run id, without that detour. The folders below follow in
// tasks of their own, at once.
async::Task<> list_proxied_folder(Lister& lister, async::TaskGroup& tasks, std::string root, Folder folder) {
  std::vector<mlflow::FileInfo> listing;
  auto const failure = co_await attempt(read_proxied(lister.client, root, folder.path, listing));
  if (failure) {
    co_await list_one(lister, std::move(folder));
    co_return;
  }
  std::vector<Folder> below;
  take(lister.runs[folder.owner], folder.owner, folder.path, listing, lister.capabilities.decodes_paths_twice, below);
  for (auto& next : below) tasks.spawn(list_proxied_folder(lister, tasks, root, std::move(next)));
}

async::Task<> list_proxied_tree(mlflow::Client& client, bool decodes_twice, std::string root,
                                RecordBase& owner) {
  std::vector<Folder> todo{{0, ""}};
  while (!todo.empty()) {
    std::vector<Folder> next;
    for (auto const& folder : todo) {
      std::vector<mlflow::FileInfo> listing;
      co_await read_proxied(client, root, folder.path, listing);
      take(owner, 0, folder.path, listing, decodes_twice, next);
    }
    todo = std::move(next);
  }
}

async::Task<> list_model_tree(mlflow::Client& client, bool decodes_twice, std::string id, RecordBase& owner) {
  std::vector<Folder> todo{{0, ""}};
  while (!todo.empty()) {
    std::vector<Folder> next;
    for (auto const& folder : todo) {
      auto const listing = co_await client.list_logged_model_artifacts(id, folder.path);
      take(owner, 0, folder.path, listing, decodes_twice, next);
    }
    todo = std::move(next);
  }
}

// Lists a local folder or a proxied tree; false when the URI names neither.
async::Task<bool> list_tree(const Context& context, mlflow::Client& client,
                            const mlflow::Capabilities& capabilities, bool local_artifacts, std::string uri,
                            RecordBase& owner, std::optional<std::string>& failure) {
  if (auto const folder = local_artifacts ? local_folder(uri) : std::nullopt) {
    co_await list_local_files(context.pool, *folder, owner);
    co_return true;
  }
  auto const root = proxied_path(uri);
  if (!root || root->empty()) co_return false;
  failure = co_await attempt(list_proxied_tree(client, capabilities.decodes_paths_twice, *root, owner));
  co_return true;
}

void sort_files(RecordBase& owner) {
  std::sort(owner.files.begin(), owner.files.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.path < b.path; });
  std::sort(owner.gaps.begin(), owner.gaps.end(), [](const Gap& a, const Gap& b) { return a.path < b.path; });
}

}  // namespace

std::optional<std::string> proxied_path(std::string_view artifact_uri) {
  constexpr std::string_view scheme = "mlflow-artifacts:";
  if (!artifact_uri.starts_with(scheme)) return std::nullopt;
  artifact_uri.remove_prefix(scheme.size());
  if (artifact_uri.starts_with("//")) {
    artifact_uri.remove_prefix(2);
    auto const slash = artifact_uri.find('/');
    if (slash == std::string_view::npos) return std::string();
    artifact_uri.remove_prefix(slash);
  }
  while (artifact_uri.starts_with('/')) artifact_uri.remove_prefix(1);
  while (artifact_uri.ends_with('/')) artifact_uri.remove_suffix(1);
  return std::string(artifact_uri);
}

async::Task<KnownFolders> list_owner_folders(mlflow::Client& client, std::string location) {
  auto const root = proxied_path(location);
  if (!root || root->empty()) co_return std::nullopt;
  std::vector<mlflow::FileInfo> listing;
  auto read = [](mlflow::Client& client, std::string path,
                 std::vector<mlflow::FileInfo>& out) -> async::Task<> {
    out = co_await client.list_proxied(path);
  };
  auto const failure = co_await attempt(read(client, *root, listing));
  if (failure) co_return std::nullopt;
  std::unordered_set<std::string> names;
  for (auto const& entry : listing) names.insert(entry.path.substr(entry.path.rfind('/') + 1));
  co_return names;
}

bool surely_empty(std::string_view artifact_uri, std::string_view location, const KnownFolders& folders) {
  if (!folders) return false;
  auto const root = proxied_path(location);
  auto const path = proxied_path(artifact_uri);
  if (!root || !path || !path->starts_with(*root + "/")) return false;
  auto const rest = path->substr(root->size() + 1);
  return !folders->contains(rest.substr(0, rest.find('/')));
}

async::Task<> list_run_files(const Context& context, mlflow::Client& client,
                             const mlflow::Capabilities& capabilities, std::string artifact_location,
                             const KnownFolders& folders, bool local_artifacts,
                             std::vector<RunRecord>& runs) {
  Lister lister{client, capabilities, runs, {}};
  std::vector<Folder> todo;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].read_error.empty()) continue;
    if (surely_empty(runs[i].run.artifact_uri(), artifact_location, folders)) continue;
    auto const folder = local_artifacts ? local_folder(runs[i].run.artifact_uri()) : std::nullopt;
    if (folder) {
      co_await list_local_files(context.pool, *folder, runs[i]);
    } else {
      todo.push_back({i, ""});
    }
  }
  while (!todo.empty()) {
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      std::vector<Folder> others;
      for (auto& folder : todo) {
        auto root = proxied_path(runs[folder.owner].run.artifact_uri());
        if (root && !root->empty()) {
          tasks.spawn(list_proxied_folder(lister, tasks, std::move(*root), std::move(folder)));
        } else {
          others.push_back(std::move(folder));
        }
      }
      std::size_t const batch = capabilities.graphql ? mlflow::Client::list_batch_limit : 1;
      for (std::size_t i = 0; i < others.size(); i += batch) {
        auto const end = std::min(others.size(), i + batch);
        std::vector<Folder> part(others.begin() + static_cast<std::ptrdiff_t>(i),
                                 others.begin() + static_cast<std::ptrdiff_t>(end));
        if (capabilities.graphql) {
          tasks.spawn(list_batch(lister, std::move(part)));
        } else {
          tasks.spawn(list_one(lister, std::move(part.front())));
        }
      }
      co_return;
    };
    co_await async::with_task_group(context.executor, body);
    todo = std::exchange(lister.next, {});
  }
  for (auto& run : runs) sort_files(run);
}

async::Task<bool> list_trace_files(const Context& context, mlflow::Client& client,
                                   const mlflow::Capabilities& capabilities, bool local_artifacts,
                                   TraceRecord& record) {
  std::string const uri(record.trace.artifact_uri());
  std::optional<std::string> failure;
  bool const listed = co_await list_tree(context, client, capabilities, local_artifacts, uri, record, failure);
  if (!listed && !uri.empty() && !record.trace.spans_in_database()) {
    record.files.push_back({trace_file, std::nullopt, {}});  // get-trace-artifact sends it from wherever it is
  }
  if (failure) take_failure(record, "", *failure);
  sort_files(record);
  co_return listed;
}

async::Task<> list_version_files(const Context& context, mlflow::Client& client,
                                 const mlflow::Capabilities& capabilities, bool local_artifacts,
                                 ModelVersionRecord& record) {
  auto const uri = owner_of(record).artifact_uri;
  std::optional<std::string> failure;
  co_await list_tree(context, client, capabilities, local_artifacts, uri, record, failure);
  if (failure) take_failure(record, "", *failure);
  sort_files(record);
}

async::Task<> list_model_files(const Context& context, mlflow::Client& client,
                               const mlflow::Capabilities& capabilities, bool local_artifacts,
                               LoggedModelRecord& record) {
  std::string const uri(record.model.artifact_uri());
  std::optional<std::string> failure;
  bool const listed =
      co_await list_tree(context, client, capabilities, local_artifacts, uri, record, failure);
  if (!listed && record.deleted) {
    failure = "the model is deleted and its artifacts (" + uri + ") are not behind the server's proxy";
  } else if (!listed) {
    failure = co_await attempt(
        list_model_tree(client, capabilities.decodes_paths_twice, std::string(record.model.id()), record));
  }
  if (failure) take_failure(record, "", *failure);
  sort_files(record);
}

}  // namespace mlferry::engine
