#pragma once
// The options that choose a part of the source; the same for all commands that move or compare.

#include <string>
#include <vector>

#include "engine/selection.hpp"

namespace CLI {
class App;
}

namespace mlferry::cli {

// As they were given.
struct SelectionOptions {
  std::vector<std::string> kinds, experiments, models, prompts, include, exclude;
  std::string since, until;
  std::string lifecycle = "all";
};

void add_selection_options(CLI::App& app, SelectionOptions& options);

// Throws UsageError that names the option and what is wrong with it.
engine::Selection selection_of(const SelectionOptions& options);

}  // namespace mlferry::cli
