#pragma once
// What a model URI of MLflow names. Pure.

#include <stdexcept>
#include <string>
#include <string_view>

namespace mlferry::engine {

// Says which text is no model URI, and which forms are.
class BadModelUri : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ModelUri {
  enum class Form {
    version,       // models:/NAME/3
    stage,         // models:/NAME/Production; any case
    latest,        // models:/NAME/latest
    alias,         // models:/NAME@ALIAS
    logged_model,  // models:/m-ID
    run,           // runs:/ID/PATH
    folder,        // file:/PATH, file:///PATH or a path
  };
  Form form = Form::folder;
  std::string name;  // of the registered model; the id of the logged model or the run
  std::string part;  // version number, stage in MLflow's spelling, alias; the run's path; the folder
  friend bool operator==(const ModelUri&, const ModelUri&) = default;
};

// Throws BadModelUri.
ModelUri parse_model_uri(std::string_view text);

}  // namespace mlferry::engine
