#pragma once
// What must be in a destination before objects of a kind can be written (mlflow-rest 3, "Import order"): a graph, and the
// order that follows from it. Deletes of what the source has deleted come after all of it, and so does waking what was
// made asleep (Target::finish).

#include <span>
#include <vector>

#include "engine/kinds.hpp"

namespace mlferry::engine {

struct KindNeeds {
  Kind kind;
  std::vector<Kind> needs;  // each of them is written before
};

// A row for each kind that is written by itself: not versions and artifacts, which go with what they belong to.
const std::vector<KindNeeds>& kind_needs();

// Every kind of the graph after all that it needs; of those that could be next, the first of `Kind`. Throws
// std::logic_error when the graph has a circle or names a kind without a row.
std::vector<Kind> order_of(const std::vector<KindNeeds>& graph);

// That of kind_needs().
const std::vector<Kind>& write_order();

}  // namespace mlferry::engine
