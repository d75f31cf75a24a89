#include "engine/local_artifacts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace mlferry::engine {

namespace fs = std::filesystem;

namespace {

class LocalReader final : public async::ByteReader {
 public:
  LocalReader(async::WorkerPool& pool, std::string path)
      : pool_(pool), path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + path_);
  }
  ~LocalReader() override { ::close(descriptor_); }

  async::Task<std::size_t> read_some(std::span<std::byte> buffer) override {
    auto work = [this, buffer] {
      auto const n = ::read(descriptor_, buffer.data(), buffer.size());
      if (n < 0) throw std::system_error(errno, std::generic_category(), "cannot read " + path_);
      return static_cast<std::size_t>(n);
    };
    co_return co_await pool_.run(std::move(work));
  }

 private:
  async::WorkerPool& pool_;
  std::string path_;
  int descriptor_;
};

bool is_below(const fs::path& file, const fs::path& folder) {
  auto const relative = file.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

void list_into(const std::string& folder, RecordBase& owner) {
  std::error_code error;
  auto const root = fs::canonical(folder, error);
  if (error) {
    owner.gaps.push_back({"", "folder cannot be listed: " + folder + ": " + error.message()});
    return;
  }
  auto walk = fs::recursive_directory_iterator(root, fs::directory_options::none, error);
  if (error) {
    owner.gaps.push_back({"", "folder cannot be listed: " + folder + ": " + error.message()});
    return;
  }
  for (auto const end = fs::recursive_directory_iterator(); walk != end; walk.increment(error)) {
    auto const path = walk->path().lexically_relative(root).string();
    std::error_code failure;
    if (walk->is_directory(failure) && !walk->is_symlink(failure)) continue;
    auto const real = fs::canonical(walk->path(), failure);
    if (failure || !is_below(real, root) || !fs::is_regular_file(real, failure)) {
      owner.gaps.push_back({path, "not a regular file inside the artifact folder"});
      continue;
    }
    auto const size = fs::file_size(real, failure);
    owner.files.push_back({path, failure ? std::nullopt : std::optional<std::uint64_t>(size), {}});
  }
  if (error) owner.gaps.push_back({"", "folder cannot be listed to the end: " + error.message()});
}

std::optional<std::string> path_of(std::string_view artifact_uri) {
  std::string path;
  if (artifact_uri.starts_with("file://")) {
    auto rest = artifact_uri.substr(7);
    if (!rest.starts_with('/')) return std::nullopt;  // file://host/…: another machine's
    path = rest;
  } else if (artifact_uri.starts_with("file:/")) {
    path = artifact_uri.substr(5);
  } else if (artifact_uri.starts_with('/')) {
    path = artifact_uri;
  } else {
    return std::nullopt;
  }
  return path;
}

class TemporaryFile final : public async::ByteWriter {
 public:
  // `file` lies below `folder` by its text.
  TemporaryFile(async::WorkerPool& pool, fs::path folder, const fs::path& file)
      : pool_(pool), folder_(std::move(folder)), path_(file.string()), temporary_(path_ + ".mlferry-part") {}
  ~TemporaryFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!committed_) ::unlink(temporary_.c_str());
  }
  // Blocking: on the pool.
  void create() {
    auto const parent = fs::path(path_).parent_path();
    fs::create_directories(folder_);
    auto const root = fs::canonical(folder_);
    // Before anything is made: a link in the folder must not carry a new folder out of it either.
    auto const real = fs::weakly_canonical(parent);
    if (!is_below(real, root))
      throw std::runtime_error("artifact path leaves its folder through a link: " + path_);
    fs::create_directories(parent);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor_ < 0)
      throw std::system_error(errno, std::generic_category(), "cannot create " + temporary_);
  }
  void commit() {
    if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot write " + path_);
    }
    committed_ = true;
  }
  async::Task<> write(std::span<const std::byte> data) override {
    auto work = [this, data] {
      std::size_t done = 0;
      while (done < data.size()) {
        auto const n = ::write(descriptor_, data.data() + done, data.size() - done);
        if (n < 0) throw std::system_error(errno, std::generic_category(), "cannot write " + temporary_);
        done += static_cast<std::size_t>(n);
      }
    };
    co_await pool_.run(std::move(work));
  }

 private:
  async::WorkerPool& pool_;
  fs::path folder_;
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

}  // namespace

std::optional<std::string> local_folder(std::string_view artifact_uri) {
  auto const path = path_of(artifact_uri);
  std::error_code error;
  if (!path || !fs::is_directory(*path, error) || ::access(path->c_str(), R_OK | X_OK) != 0)
    return std::nullopt;
  return path;
}

async::Task<> list_local_files(async::WorkerPool& pool, std::string folder, RecordBase& owner) {
  auto work = [&folder, &owner] { list_into(folder, owner); };
  co_await pool.run(std::move(work));
}

async::Task<std::unique_ptr<async::ByteReader>> open_local_file(async::WorkerPool& pool, std::string folder,
                                                                std::string path) {
  auto work = [&pool, &folder, &path]() -> std::unique_ptr<async::ByteReader> {
    auto const root = fs::canonical(folder);
    auto const real = fs::canonical(root / path);
    if (!is_below(real, root)) throw std::runtime_error("artifact path leaves its folder: " + path);
    return std::make_unique<LocalReader>(pool, real.string());
  };
  co_return co_await pool.run(std::move(work));
}

std::optional<std::string> local_place(std::string_view artifact_uri) {
  auto const path = path_of(artifact_uri);
  if (!path) return std::nullopt;
  // The server makes a run's folders when the first file comes, so only the root of its store need be here.
  std::error_code error;
  for (auto parent = fs::path(*path); parent.has_relative_path(); parent = parent.parent_path()) {
    if (fs::is_directory(parent, error)) {
      if (::access(parent.c_str(), W_OK | X_OK) != 0) return std::nullopt;
      return path;
    }
  }
  return std::nullopt;
}

async::Task<> write_local_file(async::WorkerPool& pool, std::string folder, std::string path,
                               async::ByteReader& reader) {
  auto const target = (fs::path(folder) / path).lexically_normal();
  if (!is_below(target, fs::path(folder).lexically_normal())) {
    throw std::runtime_error("artifact path leaves its folder: " + path);
  }
  TemporaryFile file(pool, fs::path(folder).lexically_normal(), target);
  auto create = [&file] { file.create(); };
  co_await pool.run(std::move(create));
  co_await async::copy(reader, file);
  auto commit = [&file] { file.commit(); };
  co_await pool.run(std::move(commit));
}

}  // namespace mlferry::engine
