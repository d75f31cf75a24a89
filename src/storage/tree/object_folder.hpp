#pragma once
// Writing a tree: each object is a folder that appears under its name at once and whole, or not at all. What
// is being written lies in ".mlferry/tmp" of the tree, where no reader looks.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "async/byte_stream.hpp"
#include "async/worker_pool.hpp"
#include "storage/backend/posix_file.hpp"
#include "storage/tree/python_json.hpp"

namespace mlferry::tree {

// Writes the content of a JSON file; runs on a pool thread.
using WriteJson = std::function<void(JsonWriter&)>;

struct WrittenFile {
  std::uint64_t size = 0;
  std::string sha256;
};

class TreeWriter;

// One folder on its way. Destroyed without commit() it leaves nothing; a killed process leaves a temporary
// folder that the next writer of the tree removes. Paths are checked (is_plain_path); errors are
// std::system_error or std::runtime_error with the path in the text.
class ObjectFolder {
 public:
  ~ObjectFolder();
  ObjectFolder(const ObjectFolder&) = delete;
  ObjectFolder& operator=(const ObjectFolder&) = delete;

  // Copies to the end, durable. Files may be written at the same time. A file that breaks in the middle is
  // removed.
  async::Task<WrittenFile> put_file(std::string path, async::ByteReader& reader);
  async::Task<> put_json(std::string path, WriteJson write);
  // Makes it `name` of the tree, durable, in the place of an older folder of that name. Ends the object.
  async::Task<> commit(std::string name);
  // Puts what is in it into the tree's own folder, each entry in the place of an older one of its name;
  // entries `owned` that it does not have are removed. Not in one step: the file `last` is removed first and
  // put there at the end, so that a tree that has it is whole. Ends the object.
  async::Task<> commit_into_root(std::string last, std::vector<std::string> owned);

 private:
  friend class TreeWriter;
  explicit ObjectFolder(TreeWriter& tree) : tree_(tree) {}
  void make();
  backend::FileDescriptor make_file(const std::string& path, backend::FileDescriptor& parent);
  void publish(const std::string& name);
  void publish_into_root(const std::string& last, std::vector<std::string> owned);

  TreeWriter& tree_;
  backend::FileDescriptor folder_;
  std::string name_;  // in the temporary folder; "" when there is nothing to remove
};

class TreeWriter {
 public:
  // `pool` must outlive it and everything it hands out.
  TreeWriter(async::WorkerPool& pool, std::string path);
  // Makes the folder where it is missing, and removes what killed writers left. Throws backend::Locked when
  // another writer has it.
  async::Task<> open();
  async::Task<std::unique_ptr<ObjectFolder>> begin();
  // A single file, which appears at once, whole and durable; a folder that is missing is made.
  async::Task<> put_json(std::string name, WriteJson write);
  // Nothing happens when there is none.
  async::Task<> remove_file(std::string name);
  const std::string& path() const { return path_; }

 private:
  friend class ObjectFolder;
  async::WorkerPool& pool_;
  std::string path_;
  backend::FileDescriptor root_, temporary_, lock_;
};

// The folder of a tree for what is no part of the format, and the file in it that says that a job has not
// finished.
inline constexpr const char* own_folder = ".mlferry";
inline constexpr const char* unfinished_file = ".mlferry/unfinished";

}  // namespace mlferry::tree
