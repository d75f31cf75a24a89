#include "storage/backend/posix_file.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mlferry::backend {

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}
FileDescriptor::~FileDescriptor() {
  close();
}
void FileDescriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void throw_errno(int error, std::string_view operation, const std::string& path) {
  throw std::system_error(error, std::generic_category(), path + ": " + std::string(operation));
}

std::optional<FileDescriptor> open_folder(const std::string& path) {
  int const fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) return FileDescriptor(fd);
  if (errno == ENOENT) return std::nullopt;
  throw_errno(errno, "open folder", path);
}

FileDescriptor make_folder(const std::string& path) {
  if (auto folder = open_folder(path)) return std::move(*folder);
  auto trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  auto const slash = trimmed.rfind('/');
  std::string const parent = slash == std::string::npos ? "." : slash == 0 ? "/" : trimmed.substr(0, slash);
  auto const above = make_folder(parent);
  if (::mkdir(trimmed.c_str(), 0777) != 0 && errno != EEXIST) throw_errno(errno, "make folder", path);
  sync(above, parent);
  if (auto folder = open_folder(path)) return std::move(*folder);
  throw_errno(ENOENT, "open folder", path);
}

std::optional<FileDescriptor> walk(const FileDescriptor& root, std::string_view name, bool make,
                                   const std::string& path) {
  int const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  FileDescriptor here(::openat(root.get(), ".", flags));
  if (!here.is_open()) throw_errno(errno, "open folder", path);
  std::string so_far = path;
  while (!name.empty()) {
    std::string const part(name.substr(0, name.find('/')));
    name.remove_prefix(std::min(name.size(), part.size() + 1));
    so_far += "/" + part;
    int fd = ::openat(here.get(), part.c_str(), flags);
    if (fd < 0 && errno == ENOENT && make) {
      if (::mkdirat(here.get(), part.c_str(), 0777) != 0 && errno != EEXIST)
        throw_errno(errno, "make folder", so_far);
      sync(here, so_far);
      fd = ::openat(here.get(), part.c_str(), flags);
    }
    if (fd < 0) {
      if (errno == ENOENT && !make) return std::nullopt;
      throw_errno(errno, "open folder", so_far);
    }
    here = FileDescriptor(fd);
  }
  return here;
}

void write_all(const FileDescriptor& file, std::span<const std::byte> data, const std::string& path) {
  while (!data.empty()) {
    auto const n = ::write(file.get(), data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_errno(errno, "write", path);
    }
    data = data.subspan(static_cast<std::size_t>(n));
  }
}

std::size_t read_at(const FileDescriptor& file, std::span<std::byte> buffer, std::uint64_t offset,
                    const std::string& path) {
  while (true) {
    auto const n = ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) throw_errno(errno, "read", path);
  }
}

void sync(const FileDescriptor& file, const std::string& path) {
  while (::fsync(file.get()) != 0) {
    if (errno != EINTR) throw_errno(errno, "fsync", path);
  }
}

bool rename_file(const FileDescriptor& from_folder, const std::string& from, const FileDescriptor& to_folder,
                 const std::string& to, bool replace, const std::string& path) {
  if (!replace) {
    if (::renameat2(from_folder.get(), from.c_str(), to_folder.get(), to.c_str(), RENAME_NOREPLACE) == 0)
      return true;
    if (errno == EEXIST) return false;
    if (errno != EINVAL && errno != ENOSYS) throw_errno(errno, "rename", path);
    // This file system cannot do it in one step. The write lock keeps others away from between these two.
    struct stat status{};
    if (::fstatat(to_folder.get(), to.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return false;
  }
  if (::renameat(from_folder.get(), from.c_str(), to_folder.get(), to.c_str()) != 0)
    throw_errno(errno, "rename", path);
  return true;
}

void read_folder(const FileDescriptor& folder, const std::string& path,
                 const std::function<void(const std::string&, bool, std::uint64_t)>& take) {
  int const fd = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // a position of its own
  if (fd < 0) throw_errno(errno, "open folder", path);
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), ::closedir);
  if (!listing) {
    int const error = errno;
    ::close(fd);
    throw_errno(error, "list", path);
  }
  while (true) {
    errno = 0;
    auto const* const entry = ::readdir(listing.get());
    if (entry == nullptr) {
      if (errno != 0) throw_errno(errno, "list", path);
      return;
    }
    std::string const name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status{};
    if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      throw_errno(errno, "stat", path + "/" + name);
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
      take(name, S_ISDIR(status.st_mode), static_cast<std::uint64_t>(status.st_size));
    }
  }
}

}  // namespace mlferry::backend
