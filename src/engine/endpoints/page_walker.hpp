#pragma once
// Walks an offset-paged, ascending listing so that nothing that existed at the start is missed while the
// server is being written to: pages overlap by one row, and when that row is not the one expected (rows
// before it were removed), the walk steps back until it meets rows it knows. Rows seen before are dropped.
// Pages need two rows or more for that: one row cannot show that none is missing before it. Pure.

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace mlferry::engine {

class PageWalker {
 public:
  // Where the next page must start; the token MLflow uses is base64 of {"offset": N} (mlflow-rest 2.5).
  std::uint64_t offset() const { return offset_; }
  std::string token() const;
  bool done() const { return done_; }

  // Takes the ids of the page read at offset(), in order, and whether the server says that more follow.
  // Returns the indexes of the rows that are new. May return none although done() is false: read on.
  std::vector<std::size_t> take(const std::vector<std::string>& ids, bool more);

 private:
  std::uint64_t offset_ = 0;
  std::uint64_t step_back_ = 16;
  bool done_ = false;
  bool overlapping_ = false;  // the next page should begin with a row that is known
  std::unordered_set<std::string> seen_;
};

}  // namespace mlferry::engine
