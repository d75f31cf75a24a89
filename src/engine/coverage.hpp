#pragma once
// What of each kind of object a job carries: the table of the README and of `mlferry kinds`.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/kinds.hpp"

namespace mlferry::engine {

struct Coverage {
  std::optional<Kind> kind;  // nothing: a kind that is not moved
  std::string_view label;    // of one that is not moved
  std::string_view read;     // how it is read
  std::string_view written;  // what of it arrives
  std::string_view lost;     // what does not
  std::string_view why;

  std::string_view name() const { return kind ? kind_label(*kind) : label; }
};

std::span<const Coverage> coverage();

// A Markdown table, a line a kind.
std::string coverage_markdown();

}  // namespace mlferry::engine
