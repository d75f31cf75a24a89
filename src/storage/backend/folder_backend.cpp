#include "storage/backend/folder_backend.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/backend/name.hpp"
#include "storage/backend/posix_file.hpp"

namespace mlferry::backend {

namespace {

constexpr std::string_view kTemporary = "tmp";
constexpr std::string_view kLock = "lock";

void check_name(const std::string& name) {
  if (!is_valid_name(name) || name == kLock || name.starts_with("tmp/")) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "'" + name.substr(0, 100) + "' is no name of a file in an archive");
  }
}

struct Location {
  std::string folder;  // "" for the root
  std::string file;
};
Location split(const std::string& name) {
  auto const slash = name.rfind('/');
  if (slash == std::string::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

// A file for reading; nothing when it does not exist.
std::optional<FileDescriptor> open_file(const std::string& path, const std::string& name) {
  auto const root = open_folder(path);
  if (!root) return std::nullopt;
  auto const where = split(name);
  auto const folder = walk(*root, where.folder, false, path);
  if (!folder) return std::nullopt;
  FileDescriptor file(
      ::openat(folder->get(), where.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno(errno, "open", path + "/" + name);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw_errno(errno, "stat", path + "/" + name);
  if (!S_ISREG(status.st_mode)) throw_errno(EINVAL, "open: this is no regular file", path + "/" + name);
  return file;
}

FileDescriptor open_existing(const std::string& path, const std::string& name) {
  auto file = open_file(path, name);
  if (!file) throw_errno(ENOENT, "open", path + "/" + name);
  return std::move(*file);
}

std::string temporary_name() {
  std::random_device random;
  return std::to_string(::getpid()) + "-" + std::to_string(random()) + "-" + std::to_string(random());
}

class FolderReader final : public async::ByteReader {
 public:
  FolderReader(async::WorkerPool& pool, FileDescriptor file, std::string path, std::uint64_t offset,
               std::uint64_t length)
      : pool_(pool), file_(std::move(file)), path_(std::move(path)), offset_(offset), left_(length) {}

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    auto const part = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_)));
    if (part.empty()) co_return 0;
    auto const n = co_await pool_.run([this, part] { return read_at(file_, part, offset_, path_); });
    offset_ += n;
    left_ -= n;
    co_return n;
  }

 private:
  async::WorkerPool& pool_;
  FileDescriptor file_;
  std::string path_;
  std::uint64_t offset_, left_;
};

class FolderUpload final : public Upload {
 public:
  FolderUpload(async::WorkerPool& pool, std::string path) : pool_(pool), path_(std::move(path)) {}
  ~FolderUpload() override {
    if (name_.empty() || !temporary_.is_open()) return;
    file_.close();
    ::unlinkat(temporary_.get(), name_.c_str(), 0);  // what cannot be removed, clean_up() finds
  }

  void create() {
    root_ = make_folder(path_);
    temporary_ = std::move(*walk(root_, kTemporary, true, path_));
    name_ = temporary_name();
    int const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    file_ = FileDescriptor(::openat(temporary_.get(), name_.c_str(), flags, 0666));
    if (!file_.is_open()) throw_errno(errno, "create", path_ + "/tmp/" + std::exchange(name_, ""));
  }

  async::Task<> write(std::span<const std::byte> data) override {
    co_await pool_.run([this, data] { write_all(file_, data, path_ + "/tmp/" + name_); });
  }

  async::Task<> commit(std::string name, bool replace) override {
    check_name(name);
    co_await pool_.run([this, &name, replace] { publish(name, replace); });
  }

 private:
  void publish(const std::string& name, bool replace) {
    sync(file_, path_ + "/tmp/" + name_);
    file_.close();
    auto const where = split(name);
    auto const folder = walk(root_, where.folder, true, path_);
    bool const renamed = rename_file(temporary_, name_, *folder, where.file, replace, path_ + "/" + name);
    if (renamed) name_.clear();
    // Also when the file was there: the run that renamed it may have died before it came to this.
    sync(*folder, path_ + "/" + where.folder);
  }

  async::WorkerPool& pool_;
  std::string path_;
  FileDescriptor root_, temporary_, file_;
  std::string name_;  // in tmp/; empty when there is nothing to remove
};

std::string read_lock_text(const FileDescriptor& file, const std::string& path) {
  std::array<std::byte, 200> buffer{};
  auto const n = read_at(file, buffer, 0, path);
  std::string text(async::as_text(std::span(buffer).first(n)));
  text = text.substr(0, text.find('\n'));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return text;
}

void list_below(const FileDescriptor& folder, const std::string& path, const std::string& prefix,
                std::vector<Entry>& entries) {
  std::vector<std::string> folders;
  read_folder(folder, path, [&](const std::string& name, bool is_folder, std::uint64_t size) {
    auto const full = prefix.empty() ? name : prefix + "/" + name;
    if (!is_valid_name(full)) return;  // no writer of archives made it, and no call could open it
    if (prefix.empty() && (name == kTemporary || name == kLock)) return;
    if (is_folder) {
      folders.push_back(name);
    } else {
      entries.push_back({full, size});
    }
  });
  for (auto const& name : folders) {
    if (auto const below = walk(folder, name, false, path)) {
      list_below(*below, path + "/" + name, prefix.empty() ? name : prefix + "/" + name, entries);
    }
  }
}

}  // namespace

FolderBackend::FolderBackend(async::WorkerPool& pool, std::string path)
    : pool_(pool), path_(std::move(path)) {}

async::Task<std::unique_ptr<Upload>> FolderBackend::begin() {
  auto upload = std::make_unique<FolderUpload>(pool_, path_);
  co_await pool_.run([&upload] { upload->create(); });
  co_return upload;
}

async::Task<std::unique_ptr<async::ByteReader>> FolderBackend::open(std::string name, std::uint64_t offset,
                                                                    std::uint64_t length) {
  check_name(name);
  auto file = co_await pool_.run([this, &name] { return open_existing(path_, name); });
  co_return std::make_unique<FolderReader>(pool_, std::move(file), path_ + "/" + name, offset, length);
}

async::Task<std::optional<std::uint64_t>> FolderBackend::size(std::string name) {
  check_name(name);
  co_return co_await pool_.run([this, &name]() -> std::optional<std::uint64_t> {
    auto const file = open_file(path_, name);
    if (!file) return std::nullopt;
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) throw_errno(errno, "stat", path_ + "/" + name);
    return static_cast<std::uint64_t>(status.st_size);
  });
}

async::Task<std::vector<Entry>> FolderBackend::list(std::string prefix) {
  if (!prefix.empty()) check_name(prefix);
  co_return co_await pool_.run([this, &prefix] {
    std::vector<Entry> entries;
    auto const root = open_folder(path_);
    if (!root) return entries;
    if (auto const folder = walk(*root, prefix, false, path_))
      list_below(*folder, path_ + "/" + prefix, prefix, entries);
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
  });
}

async::Task<> FolderBackend::remove(std::string name) {
  check_name(name);
  co_await pool_.run([this, &name] {
    auto const where = split(name);
    auto const root = open_folder(path_);
    auto const folder = root ? walk(*root, where.folder, false, path_) : std::nullopt;
    if (!folder) throw_errno(ENOENT, "remove", path_ + "/" + name);
    if (::unlinkat(folder->get(), where.file.c_str(), 0) != 0)
      throw_errno(errno, "remove", path_ + "/" + name);
    sync(*folder, path_ + "/" + where.folder);
  });
}

async::Task<> FolderBackend::clean_up() {
  co_await pool_.run([this] {
    auto const root = open_folder(path_);
    if (!root) return;
    auto const folder = walk(*root, kTemporary, false, path_);
    if (!folder) return;
    std::vector<std::string> names;
    read_folder(*folder, path_ + "/tmp", [&](const std::string& name, bool is_folder, std::uint64_t) {
      if (!is_folder) names.push_back(name);
    });
    for (auto const& name : names) {
      if (::unlinkat(folder->get(), name.c_str(), 0) != 0 && errno != ENOENT) {
        throw_errno(errno, "remove", path_ + "/tmp/" + name);
      }
    }
  });
}

async::Task<std::string> FolderBackend::local_path(std::string name) {
  check_name(name);
  co_await pool_.run([this, &name] { open_existing(path_, name); });  // refuses symbolic links
  co_return path_ + "/" + name;
}

async::Task<std::string> FolderBackend::scratch_path() {
  co_await pool_.run([this] {
    auto const root = make_folder(path_);
    walk(root, kTemporary, true, path_);
  });
  co_return path_ + "/tmp/" + temporary_name();
}

async::Task<std::shared_ptr<void>> FolderBackend::lock_for_writing() {
  co_return co_await pool_.run([this]() -> std::shared_ptr<void> {
    auto const root = make_folder(path_);
    std::string const path = path_ + "/" + std::string(kLock);
    auto file = std::make_shared<FileDescriptor>(
        ::openat(root.get(), std::string(kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file->is_open()) throw_errno(errno, "open", path);
    while (::flock(file->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) throw_errno(errno, "lock", path);
      auto const owner = read_lock_text(*file, path);
      throw Locked(path_ + ": another mlferry is writing here (" + (owner.empty() ? "unknown" : owner) + ")");
    }
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    std::string const text = "pid " + std::to_string(::getpid()) + " on host " + host.data() + "\n";
    if (::ftruncate(file->get(), 0) != 0) throw_errno(errno, "truncate", path);
    write_all(*file, async::as_bytes(text), path);
    return file;
  });
}

}  // namespace mlferry::backend
