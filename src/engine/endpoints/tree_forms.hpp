#pragma once
// What a plain directory holds, told by the names in it: each export command of the package mlflow-export-import leaves
// others (docs/tree.md). Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlferry::engine {

enum class TreeForm {
  whole,        // export-all, export-models: experiments/, models/, …; or the models of one
  experiments,  // experiments.json
  experiment,
  run,
  model,
  model_version,
  logged_model,
  logged_models,
  trace,
  traces,
  prompt,   // one version
  prompts,
  dataset,
  datasets,
};

// Of the names of files and folders in it; nothing when it is none, or when only what lies in its folders can tell.
std::optional<TreeForm> tree_form(const std::vector<std::string>& files, const std::vector<std::string>& folders);

// The file that its folders hold one of each, when it has no list of them; "" for other forms.
std::string_view file_of_each(TreeForm form);

std::string_view form_text(TreeForm form);       // "one run (export-run)"
std::string_view import_command(TreeForm form);  // "import-run"

}  // namespace mlferry::engine
