#pragma once
// Copies one registered model and the experiments of its versions out of a plain directory into a new one.

#include <stdexcept>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "engine/context.hpp"

namespace mlferry::engine {

// The options do not fit what is there.
class BadFilter : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ModelFilter {
  std::string input, output;              // folders
  std::string model;                      // in the input
  std::string new_model, new_experiment;  // "": as they are
};

struct FilteredModel {
  std::size_t versions = 0, files = 0;
  std::vector<std::string> experiments;  // ids
  std::vector<std::string> notes;        // what the copy lacks, for people
};

// Layouts V1 to V3. Throws BadFilter; tree::TreeError when the input is no finished export.
async::Task<FilteredModel> filter_model(const Context& context, ModelFilter filter);

}  // namespace mlferry::engine
