#pragma once
// An archive in a temporary folder, with everything it needs, and short ways to write to it and to read all
// of it back.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "async/byte_stream.hpp"
#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "run.hpp"
#include "storage/archive/archive.hpp"
#include "storage/backend/folder_backend.hpp"

namespace mlferry::test {

// Made when constructed, removed with all in it when destroyed.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);
// Reproducible bytes that do not compress.
std::string random_bytes(std::size_t size, std::uint64_t seed);

struct ArchiveFixture {
  explicit ArchiveFixture(archive::Options chosen = {}, std::uint64_t memory_bytes = 64u << 20);

  std::string folder() const { return (scratch.path() / "archive").string(); }
  std::shared_ptr<archive::Archive> open(std::shared_ptr<backend::Backend> on = nullptr);
  template <class T>
  T run(async::Task<T> task) {
    return test::run(context, std::move(task));
  }
  void run(async::Task<> task) { test::run(context, std::move(task)); }

  ScratchFolder scratch;
  archive::Options options;
  boost::asio::io_context context;
  async::WorkerPool pool{2};
  async::ByteBudget memory;
  std::shared_ptr<backend::FolderBackend> backend;
};

async::Task<archive::FileRow> put_text(archive::SnapshotWriter& writer, std::string kind, std::string id,
                                       std::string path, std::string bytes, bool announce = true);
async::Task<> put_record(archive::SnapshotWriter& writer, std::string kind, std::string id, std::string text,
                         std::string parent = "");

// All that a snapshot holds: "run a" -> record, "run a/path" -> bytes, "gap run a/path" -> reason.
using Contents = std::map<std::string, std::string>;
async::Task<Contents> read_everything(std::shared_ptr<archive::SnapshotReader> reader);
async::Task<Contents> read_latest(std::shared_ptr<archive::Archive> archive);

}  // namespace mlferry::test
