#pragma once
// The files of two objects, one the copy of the other: the part of `verify` that reads artifacts.

#include <functional>
#include <string>

#include "async/semaphore.hpp"
#include "async/task.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/record_differences.hpp"

namespace mlferry::engine {

// A text of an object that holds ids, which are compared once all pairs of them are known.
struct OwnedText {
  Kind kind;
  std::string id, name;
  TextWithIds text;
};

class FileComparison {
 public:
  // `data`: read and hash what differs in neither path nor size. MLmodel files, which hold ids, are given to `take`.
  FileComparison(const Context& context, Source& original, Source& copy, bool data, std::function<void(OwnedText)> take)
      : context_(context), original_(original), copy_(copy), data_(data), take_(std::move(take)) {}

  // Counts each file of `a` (the original) and `b` in the report; `name` is the object's. A file that cannot be read
  // counts as different. Cancelled: the files that were read are counted.
  async::Task<> compare(const RecordBase& a, FileOwner owner_a, const RecordBase& b, FileOwner owner_b, std::string name);

 private:
  async::Task<> compare_file(FileOwner owner_a, FileEntry a, FileOwner owner_b, FileEntry b, std::string name,
                             async::Permit slot);
  async::Task<> find_difference(FileOwner owner_a, FileEntry a, FileOwner owner_b, FileEntry b, std::string name,
                                std::string& difference);
  async::Task<std::string> hash_of(Source& source, FileOwner owner, FileEntry file);

  const Context& context_;
  Source& original_;
  Source& copy_;
  bool data_;
  std::function<void(OwnedText)> take_;
};

}  // namespace mlferry::engine
