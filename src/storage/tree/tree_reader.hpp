#pragma once
// Reading a tree that anybody may have made: every path is checked, no symbolic link below the root is
// followed, and what is too large is refused before it is read.

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "async/byte_stream.hpp"
#include "async/worker_pool.hpp"

namespace mlferry::tree {

// A larger JSON file is refused before it is read.
inline constexpr std::uint64_t most_json_bytes = std::uint64_t{1} << 30;

// A file of the tree is not what it should be: names it and says why.
class TreeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct TreeListing {
  std::vector<std::string> folders, files;  // in name order; nothing but regular files and folders
};

struct TreeFile {
  std::string path;  // from the folder that was asked for
  std::uint64_t size = 0;
  std::int64_t changed = 0;  // modification time, ns
};
struct TreeFiles {
  std::vector<TreeFile> files;                                // in name order
  std::vector<std::pair<std::string, std::string>> problems;  // path and why it cannot be read
};

class TreeReader {
 public:
  // Names in calls are paths from here, of plain parts ("" for the root itself); any other throws TreeError.
  TreeReader(async::WorkerPool& pool, std::string path) : pool_(pool), path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  async::Task<bool> is_folder(std::string name);
  // Nothing when there is no such folder.
  async::Task<std::optional<TreeListing>> list(std::string name);
  // Size and time of a regular file; nothing when there is none.
  async::Task<std::optional<TreeFile>> find(std::string name);
  // All of it; throws TreeError when it is missing, no regular file, or larger than `limit`.
  async::Task<std::string> read(std::string name, std::uint64_t limit);
  // The end of a file, from the last `marker` in it on; nothing when there is no such file, or no marker in
  // its last `limit` bytes. Reads no more than it needs.
  async::Task<std::optional<std::string>> read_end(std::string name, std::string marker, std::uint64_t limit);
  // All regular files below a folder; none when it does not exist.
  async::Task<TreeFiles> files_below(std::string name);
  // Throws TreeError unless it has that size; the reader does when it becomes shorter.
  async::Task<std::unique_ptr<async::ByteReader>> open(std::string name, std::uint64_t size);

 private:
  async::WorkerPool& pool_;
  std::string path_;
};

}  // namespace mlferry::tree
