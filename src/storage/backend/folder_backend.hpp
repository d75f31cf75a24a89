#pragma once
// An archive in a folder of the file system: temporary name, fsync, rename, fsync of the folder. Every call
// into the system runs on the worker pool.

#include <memory>
#include <string>

#include "async/worker_pool.hpp"
#include "storage/backend/backend.hpp"

namespace mlferry::backend {

// The folder itself may be a symbolic link, and is made by the first begin(), scratch_path() or lock. Inside,
// no symbolic link is followed. `pool` must outlive the backend and everything it hands out.
class FolderBackend final : public Backend {
 public:
  FolderBackend(async::WorkerPool& pool, std::string path);

  async::Task<std::unique_ptr<Upload>> begin() override;
  async::Task<std::unique_ptr<async::ByteReader>> open(std::string name, std::uint64_t offset,
                                                       std::uint64_t length) override;
  async::Task<std::optional<std::uint64_t>> size(std::string name) override;
  async::Task<std::vector<Entry>> list(std::string prefix) override;
  async::Task<> remove(std::string name) override;
  async::Task<> clean_up() override;
  async::Task<std::string> local_path(std::string name) override;
  async::Task<std::string> scratch_path() override;
  // An flock on `lock`: it ends with the process, however that ends, and works between hosts on NFS.
  async::Task<std::shared_ptr<void>> lock_for_writing() override;
  std::string describe() const override { return path_; }

 private:
  async::WorkerPool& pool_;
  std::string path_;
};

}  // namespace mlferry::backend
