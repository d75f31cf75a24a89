#pragma once
// Where an archive's files live: a folder now, a bucket later. Names are relative paths of [A-Za-z0-9._-]
// parts joined by '/'; an implementation refuses any other.

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "async/byte_stream.hpp"

namespace mlferry::backend {

// A file being written. Invisible under its final name until commit(); destroyed without commit it leaves
// nothing, or at worst an unreferenced temporary file that clean_up() removes.
class Upload {
 public:
  virtual ~Upload() = default;
  virtual async::Task<> write(std::span<const std::byte> data) = 0;
  // Makes the file durable and visible as `name`, at once and whole: when this returns it survives a power
  // cut. An existing file of that name is kept as it is (names are content hashes) unless `replace`.
  virtual async::Task<> commit(std::string name, bool replace = false) = 0;
};

struct Entry {
  std::string name;
  std::uint64_t size = 0;
};

// Errors are std::system_error with the file's name and the operation in the text; a missing file is
// nullopt where the type allows it, else std::errc::no_such_file_or_directory.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual async::Task<std::unique_ptr<Upload>> begin() = 0;
  // At most `length` bytes from `offset`. A short file ends the reader early; the caller checks lengths.
  virtual async::Task<std::unique_ptr<async::ByteReader>> open(std::string name, std::uint64_t offset,
                                                               std::uint64_t length) = 0;
  virtual async::Task<std::optional<std::uint64_t>> size(std::string name) = 0;
  // Committed files below `prefix` (a folder), in name order; temporary files are left out.
  virtual async::Task<std::vector<Entry>> list(std::string prefix) = 0;
  virtual async::Task<> remove(std::string name) = 0;
  // Removes temporary files that a killed writer left.
  virtual async::Task<> clean_up() = 0;
  // A path at which the file can be opened for reading by SQLite: the file itself in a folder; a bucket
  // downloads it to a temporary file that lives as long as the backend.
  virtual async::Task<std::string> local_path(std::string name) = 0;
  // A path for a new file of the caller's own, such as a database that is not finished. On the disk of the
  // archive where there is one. The caller removes it; what a killed process leaves, clean_up() removes.
  virtual async::Task<std::string> scratch_path() = 0;
  // Exclusive for writers; nullptr-free: throws Locked when somebody else holds it. Released when the
  // returned object is destroyed, or when its process ends.
  virtual async::Task<std::shared_ptr<void>> lock_for_writing() = 0;
  // For messages: the folder's path or the bucket's URI.
  virtual std::string describe() const = 0;
};

class Locked : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mlferry::backend
