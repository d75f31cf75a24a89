#pragma once
// The rename files of the package mlflow-export-import (docs/package-imports.md): a rule a line, `old,new`. A name that
// begins with `old` has each `old` in it replaced by `new`; the first rule that fits is the only one applied. Pure.

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlferry::engine {

class RenameError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class RenameRules {
 public:
  RenameRules() = default;
  // Blank lines are passed over; a later rule for the same `old` takes the place of the earlier one. Throws RenameError
  // that names the line.
  static RenameRules parse(std::string_view text);

  std::string apply(std::string_view name) const;
  bool empty() const { return rules_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> rules_;
};

}  // namespace mlferry::engine
