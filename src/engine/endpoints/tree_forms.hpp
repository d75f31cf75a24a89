#pragma once
// What a plain directory holds, told by the names in it: each export command of the package mlflow-export-import leaves
// others (docs/tree.md). Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlferry::engine {

enum class TreeForm {
  all,             // export-all
  models,          // export-models: experiments/ and models/
  experiments,     // the experiments' folder as root
  experiment,      // one experiment's folder as root
  run,             // one run's folder, with the folders of its logged models in it
  model,           // one registered model's folder, with those of its runs and logged models in it
  model_version,   // version.json, model.json, experiment.json, run/, version_model/
  logged_models,   // folders of logged models
  logged_model,
  traces,          // folders of traces
  trace,
  prompts,         // the prompts' folder as root
  prompt,          // one version of a prompt
  datasets,        // the evaluation datasets' folder as root
  dataset
};

// Of the names of files and folders in it, `all` for what export-models wrote, too; nothing when it is none, or when only
// what lies in its folders can tell.
std::optional<TreeForm> tree_form(const std::vector<std::string>& files, const std::vector<std::string>& folders);

// The file that its folders hold one of each, when it has no list of them; "" for other forms.
std::string_view file_of_each(TreeForm form);

std::string_view form_text(TreeForm form);       // "one run (export-run)"
std::string_view import_command(TreeForm form);  // "import-run"

}  // namespace mlferry::engine
