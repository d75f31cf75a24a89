#include "storage/tree/tree_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/backend/posix_file.hpp"
#include "storage/tree/names.hpp"

namespace mlferry::tree {

namespace {

using backend::FileDescriptor;

constexpr int most_levels = 100;
constexpr std::uint64_t end_bytes = 16u << 10;

std::int64_t changed_at(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::string full(const std::string& root, const std::string& name) {
  return name.empty() ? root : root + "/" + name;
}

std::optional<FileDescriptor> open_folder(const std::string& root, const std::string& name) {
  if (!name.empty() && !is_plain_path(name))
    throw TreeError(root + ": '" + name.substr(0, 200) + "' leads out of the folder or is no path");
  auto const top = backend::open_folder(root);
  if (!top) return std::nullopt;
  try {
    return backend::walk(*top, name, false, root);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::not_a_directory && error.code().value() != ELOOP) throw;
    throw TreeError(full(root, name) +
                    ": no folder, or reached through a symbolic link, which is not followed");
  }
}

struct Opened {
  FileDescriptor file;
  struct stat status{};
};

std::optional<Opened> open_file(const std::string& root, const std::string& name) {
  auto const slash = name.rfind('/');
  auto const folder = open_folder(root, slash == name.npos ? "" : name.substr(0, slash));
  auto const last = slash == name.npos ? name : name.substr(slash + 1);
  if (!is_plain_part(last)) throw TreeError(root + ": '" + name.substr(0, 200) + "' is no path of a file");
  if (!folder) return std::nullopt;
  Opened opened;
  opened.file =
      FileDescriptor(::openat(folder->get(), last.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!opened.file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    if (errno == ELOOP) throw TreeError(full(root, name) + ": a symbolic link, which is not followed");
    backend::throw_errno(errno, "open", full(root, name));
  }
  if (::fstat(opened.file.get(), &opened.status) != 0) backend::throw_errno(errno, "stat", full(root, name));
  if (!S_ISREG(opened.status.st_mode)) throw TreeError(full(root, name) + ": no regular file");
  return opened;
}

Opened open_existing(const std::string& root, const std::string& name) {
  auto opened = open_file(root, name);
  if (!opened) throw TreeError(full(root, name) + ": missing");
  return std::move(*opened);
}

// Every entry of a folder, links and devices too.
void each_entry(const FileDescriptor& folder, const std::string& path,
                const std::function<void(const std::string&, const struct stat&)>& take) {
  int const fd = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) backend::throw_errno(errno, "open folder", path);
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), ::closedir);
  if (!listing) {
    int const error = errno;
    ::close(fd);
    backend::throw_errno(error, "list", path);
  }
  std::vector<std::string> names;
  errno = 0;
  while (auto const* entry = ::readdir(listing.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  if (errno != 0) backend::throw_errno(errno, "list", path);
  std::sort(names.begin(), names.end());
  for (auto const& name : names) {
    struct stat status{};
    if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      backend::throw_errno(errno, "stat", path + "/" + name);
    }
    take(name, status);
  }
}

void list_below(const FileDescriptor& folder, const std::string& path, const std::string& prefix, int level,
                TreeFiles& out) {
  std::vector<std::string> folders;
  each_entry(folder, path, [&](const std::string& name, const struct stat& status) {
    auto const here = prefix.empty() ? name : prefix + "/" + name;
    if (S_ISDIR(status.st_mode)) {
      folders.push_back(name);
    } else if (S_ISREG(status.st_mode)) {
      out.files.push_back({here, static_cast<std::uint64_t>(status.st_size), changed_at(status)});
    } else {
      out.problems.emplace_back(
          here, S_ISLNK(status.st_mode) ? "a symbolic link, which is not followed" : "no regular file");
    }
  });
  for (auto const& name : folders) {
    auto const here = prefix.empty() ? name : prefix + "/" + name;
    if (level == most_levels) {
      out.problems.emplace_back(here, "more than 100 folders deep");
    } else if (auto const below = backend::walk(folder, name, false, path)) {
      list_below(*below, path + "/" + name, here, level + 1, out);
    }
  }
}

class FileReader final : public async::ByteReader {
 public:
  FileReader(async::WorkerPool& pool, FileDescriptor file, std::string path, std::uint64_t size)
      : pool_(pool), file_(std::move(file)), path_(std::move(path)), left_(size) {}

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    auto const part = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_)));
    if (part.empty()) co_return 0;
    auto const n = co_await pool_.run([this, part] { return backend::read_at(file_, part, offset_, path_); });
    if (n == 0) throw TreeError(path_ + ": became shorter while it was read");
    offset_ += n;
    left_ -= n;
    co_return n;
  }

 private:
  async::WorkerPool& pool_;
  FileDescriptor file_;
  std::string path_;
  std::uint64_t offset_ = 0, left_;
};

}  // namespace

async::Task<bool> TreeReader::is_folder(std::string name) {
  co_return co_await pool_.run([this, &name] { return open_folder(path_, name).has_value(); });
}

async::Task<std::optional<TreeListing>> TreeReader::list(std::string name) {
  co_return co_await pool_.run([this, &name]() -> std::optional<TreeListing> {
    auto const folder = open_folder(path_, name);
    if (!folder) return std::nullopt;
    TreeListing listing;
    each_entry(*folder, full(path_, name), [&listing](const std::string& entry, const struct stat& status) {
      if (S_ISDIR(status.st_mode)) listing.folders.push_back(entry);
      if (S_ISREG(status.st_mode)) listing.files.push_back(entry);
    });
    return listing;
  });
}

async::Task<std::optional<TreeFile>> TreeReader::find(std::string name) {
  co_return co_await pool_.run([this, &name]() -> std::optional<TreeFile> {
    auto const opened = open_file(path_, name);
    if (!opened) return std::nullopt;
    return TreeFile{name, static_cast<std::uint64_t>(opened->status.st_size), changed_at(opened->status)};
  });
}

async::Task<std::string> TreeReader::read(std::string name, std::uint64_t limit) {
  co_return co_await pool_.run([this, &name, limit] {
    auto const opened = open_existing(path_, name);
    auto const size = static_cast<std::uint64_t>(opened.status.st_size);
    if (size > limit) {
      throw TreeError(full(path_, name) + ": has " + std::to_string(size) + " bytes, more than the " +
                      std::to_string(limit) + " that are read");
    }
    std::string text(size, '\0');
    std::size_t done = 0;
    while (done < text.size()) {
      auto const n = backend::read_at(opened.file, std::as_writable_bytes(std::span(text)).subspan(done),
                                      done, full(path_, name));
      if (n == 0) throw TreeError(full(path_, name) + ": became shorter while it was read");
      done += n;
    }
    return text;
  });
}

async::Task<std::optional<std::string>> TreeReader::read_end(std::string name, std::string marker,
                                                             std::uint64_t limit) {
  co_return co_await pool_.run([this, &name, &marker, limit]() -> std::optional<std::string> {
    auto const opened = open_file(path_, name);
    if (!opened) return std::nullopt;
    auto const size = static_cast<std::uint64_t>(opened->status.st_size);
    std::string end;
    for (std::uint64_t wanted = end_bytes; end.size() < std::min(size, limit); wanted *= 4) {
      std::string more(std::min({size, limit, wanted}) - end.size(), '\0');
      auto const from = size - end.size() - more.size();
      for (std::size_t done = 0; done < more.size();) {
        auto const n = backend::read_at(opened->file, std::as_writable_bytes(std::span(more)).subspan(done),
                                        from + done, full(path_, name));
        if (n == 0) throw TreeError(full(path_, name) + ": became shorter while it was read");
        done += n;
      }
      end.insert(0, more);
      if (auto const at = end.rfind(marker); at != end.npos) return end.substr(at);
    }
    return std::nullopt;
  });
}

async::Task<TreeFiles> TreeReader::files_below(std::string name) {
  co_return co_await pool_.run([this, &name] {
    TreeFiles out;
    if (auto const folder = open_folder(path_, name)) list_below(*folder, full(path_, name), "", 0, out);
    return out;
  });
}

async::Task<std::unique_ptr<async::ByteReader>> TreeReader::open(std::string name, std::uint64_t size) {
  auto opened = co_await pool_.run([this, &name] { return open_existing(path_, name); });
  if (static_cast<std::uint64_t>(opened.status.st_size) != size) {
    throw TreeError(full(path_, name) + ": was listed with " + std::to_string(size) + " bytes and has " +
                    std::to_string(opened.status.st_size) + " now: it changed while it was read");
  }
  co_return std::make_unique<FileReader>(pool_, std::move(opened.file), full(path_, name), size);
}

}  // namespace mlferry::tree
