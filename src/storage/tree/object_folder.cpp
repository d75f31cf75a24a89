#include "storage/tree/object_folder.hpp"

#include <cerrno>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/digest/sha256.hpp"
#include "storage/backend/backend.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::tree {

namespace {

using backend::FileDescriptor;
using backend::throw_errno;

constexpr const char* temporary_folder = ".mlferry/tmp";
constexpr const char* lock_file = ".mlferry/lock";
constexpr std::size_t buffer_bytes = 256u << 10;

std::string temporary_name() {
  std::random_device random;
  return std::to_string(::getpid()) + "-" + std::to_string(random()) + "-" + std::to_string(random());
}

void check_path(const std::string& path) {
  if (is_plain_path(path)) return;
  throw std::runtime_error(
      "'" + path.substr(0, 100) +
      "' cannot be the name of a file here: it has an empty, '.', '..' or too long part");
}

struct Location {
  std::string folder;  // "" for the root
  std::string name;
};
Location split(const std::string& path) {
  auto const slash = path.rfind('/');
  if (slash == path.npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::vector<std::string> names_in(const FileDescriptor& folder, const std::string& path, bool folders_only) {
  std::vector<std::string> names;
  backend::read_folder(folder, path, [&](const std::string& name, bool is_folder, std::uint64_t) {
    if (is_folder || !folders_only) names.push_back(name);
  });
  return names;
}

// `name` in `parent`, whatever it is. What vanishes meanwhile is as good as removed.
void remove_all(const FileDescriptor& parent, const std::string& name, const std::string& path) {
  if (::unlinkat(parent.get(), name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw_errno(errno, "remove", path);
  if (auto const folder = backend::walk(parent, name, false, path)) {
    for (auto const& below : names_in(*folder, path, false)) remove_all(*folder, below, path + "/" + below);
  }
  if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw_errno(errno, "remove", path);
}

void sync_folders(const FileDescriptor& folder, const std::string& path) {
  for (auto const& name : names_in(folder, path, true)) {
    if (auto const below = backend::walk(folder, name, false, path)) sync_folders(*below, path + "/" + name);
  }
  backend::sync(folder, path);
}

FileDescriptor create(const FileDescriptor& folder, const std::string& name, const std::string& path) {
  FileDescriptor file(
      ::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file.is_open()) throw_errno(errno, "create", path);
  return file;
}

void write_json(const FileDescriptor& file, const WriteJson& write, const std::string& path) {
  JsonWriter writer([&](std::string_view text) { backend::write_all(file, async::as_bytes(text), path); });
  write(writer);
  writer.finish();
  backend::sync(file, path);
}

}  // namespace

TreeWriter::TreeWriter(async::WorkerPool& pool, std::string path) : pool_(pool), path_(std::move(path)) {}

async::Task<> TreeWriter::open() {
  co_await pool_.run([this] {
    root_ = backend::make_folder(path_);
    temporary_ = std::move(*backend::walk(root_, temporary_folder, true, path_));
    lock_ = FileDescriptor(::openat(root_.get(), lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!lock_.is_open()) throw_errno(errno, "open", path_ + "/" + lock_file);
    while (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) throw_errno(errno, "lock", path_ + "/" + lock_file);
      throw backend::Locked(path_ + ": another mlferry is writing here");
    }
    auto const path = path_ + "/" + temporary_folder;
    for (auto const& name : names_in(temporary_, path, false))
      remove_all(temporary_, name, path + "/" + name);
  });
}

async::Task<std::unique_ptr<ObjectFolder>> TreeWriter::begin() {
  std::unique_ptr<ObjectFolder> folder(new ObjectFolder(*this));
  co_await pool_.run([&folder] { folder->make(); });
  co_return folder;
}

async::Task<> TreeWriter::put_json(std::string name, WriteJson write) {
  check_path(name);
  co_await pool_.run([this, &name, &write] {
    auto const full = path_ + "/" + name;
    auto const temporary = temporary_name();
    {
      auto const file = create(temporary_, temporary, full);
      write_json(file, write, full);
    }
    auto const where = split(name);
    auto const folder = backend::walk(root_, where.folder, true, path_);
    backend::rename_file(temporary_, temporary, *folder, where.name, true, full);
    backend::sync(*folder, path_ + "/" + where.folder);
  });
}

async::Task<> TreeWriter::remove_file(std::string name) {
  check_path(name);
  co_await pool_.run([this, &name] {
    auto const where = split(name);
    auto const folder = backend::walk(root_, where.folder, false, path_);
    if (!folder) return;
    if (::unlinkat(folder->get(), where.name.c_str(), 0) != 0) {
      if (errno == ENOENT) return;
      throw_errno(errno, "remove", path_ + "/" + name);
    }
    backend::sync(*folder, path_ + "/" + where.folder);
  });
}

ObjectFolder::~ObjectFolder() {
  if (name_.empty()) return;
  try {
    remove_all(tree_.temporary_, name_, tree_.path_ + "/" + temporary_folder + "/" + name_);
  } catch (const std::exception&) {
    // The next writer removes it.
  }
}

void ObjectFolder::make() {
  auto name = temporary_name();
  if (::mkdirat(tree_.temporary_.get(), name.c_str(), 0777) != 0)
    throw_errno(errno, "make folder", tree_.path_ + "/" + temporary_folder + "/" + name);
  name_ = std::move(name);
  folder_ = std::move(*backend::walk(tree_.temporary_, name_, false, tree_.path_ + "/" + temporary_folder));
}

FileDescriptor ObjectFolder::make_file(const std::string& path, FileDescriptor& parent) {
  auto const where = split(path);
  parent = std::move(*backend::walk(folder_, where.folder, true, tree_.path_));
  return create(parent, where.name, path);
}

async::Task<WrittenFile> ObjectFolder::put_file(std::string path, async::ByteReader& reader) {
  check_path(path);
  FileDescriptor parent, file;
  co_await tree_.pool_.run([&] { file = make_file(path, parent); });
  digest::Sha256 hash;
  WrittenFile written;
  std::vector<std::byte> buffer(buffer_bytes);
  std::exception_ptr failure;
  try {
    while (auto const n = co_await async::read_full(reader, buffer)) {
      auto const part = std::span(buffer).first(n);
      co_await tree_.pool_.run([&] {
        backend::write_all(file, part, path);
        hash.update(part);
      });
      written.size += n;
    }
    co_await tree_.pool_.run([&] { backend::sync(file, path); });
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    file.close();
    ::unlinkat(parent.get(), split(path).name.c_str(), 0);
    std::rethrow_exception(failure);
  }
  written.sha256 = digest::to_hex(hash.finish());
  co_return written;
}

async::Task<> ObjectFolder::put_json(std::string path, WriteJson write) {
  check_path(path);
  co_await tree_.pool_.run([this, &path, &write] {
    FileDescriptor parent;
    auto const file = make_file(path, parent);
    write_json(file, write, path);
  });
}

async::Task<> ObjectFolder::commit(std::string name) {
  check_path(name);
  co_await tree_.pool_.run([this, &name] { publish(name); });
}

async::Task<> ObjectFolder::commit_into_root(std::string last, std::vector<std::string> owned) {
  check_path(last);
  for (auto const& name : owned) check_path(name);
  co_await tree_.pool_.run([&] { publish_into_root(last, std::move(owned)); });
}

void ObjectFolder::publish_into_root(const std::string& last, std::vector<std::string> owned) {
  auto const& root = tree_.root_;
  auto const& path = tree_.path_;
  sync_folders(folder_, path);
  std::vector<std::string> trash;
  auto const take_away = [&](const std::string& name) {
    struct stat there{};
    if (::fstatat(root.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;
      throw_errno(errno, "look at", path + "/" + name);
    }
    trash.push_back(temporary_name());
    backend::rename_file(root, name, tree_.temporary_, trash.back(), true, path + "/" + name);
  };
  take_away(last);
  backend::sync(root, path);
  auto const entries = names_in(folder_, path, false);
  for (auto const& name : owned) take_away(name);
  for (auto const& name : entries) {
    if (name == last) continue;
    take_away(name);
    backend::rename_file(folder_, name, root, name, true, path + "/" + name);
  }
  backend::sync(root, path);
  backend::rename_file(folder_, last, root, last, true, path + "/" + last);
  backend::sync(root, path);
  folder_.close();
  trash.push_back(std::exchange(name_, ""));
  for (auto const& name : trash)
    remove_all(tree_.temporary_, name, path + "/" + temporary_folder + "/" + name);
}

void ObjectFolder::publish(const std::string& name) {
  auto const full = tree_.path_ + "/" + name;
  sync_folders(folder_, full);
  folder_.close();
  auto const where = split(name);
  auto const parent = backend::walk(tree_.root_, where.folder, true, tree_.path_);
  auto const& from = tree_.temporary_;
  if (backend::rename_file(from, name_, *parent, where.name, false, full)) {
    name_.clear();
  } else if (::renameat2(from.get(), name_.c_str(), parent->get(), where.name.c_str(), RENAME_EXCHANGE) !=
             0) {
    if (errno != EINVAL && errno != ENOSYS) throw_errno(errno, "replace", full);
    // Not in one step on this file system: for a moment there is neither, never half of one.
    auto const old = temporary_name();
    backend::rename_file(*parent, where.name, from, old, true, full);
    backend::rename_file(from, name_, *parent, where.name, true, full);
    name_ = old;
  }
  backend::sync(*parent, tree_.path_ + "/" + where.folder);
  if (name_.empty()) return;
  auto const old = std::exchange(name_, "");
  remove_all(from, old, tree_.path_ + "/" + temporary_folder + "/" + old);
}

}  // namespace mlferry::tree
