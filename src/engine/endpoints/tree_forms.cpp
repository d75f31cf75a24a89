#include "engine/endpoints/tree_forms.hpp"

#include <algorithm>
#include <array>

#include "storage/tree/object_folder.hpp"

namespace mlferry::engine {

namespace {

struct FormNames {
  TreeForm form;
  std::string_view text, command, each;
};
constexpr std::array names{
    FormNames{TreeForm::all, "a server's objects (export-all or export-models)", "import-all", ""},
    FormNames{TreeForm::models, "registered models and their experiments (export-models)", "import-models", ""},
    FormNames{TreeForm::experiments, "experiments (export-experiments)", "import-experiments", "experiment.json"},
    FormNames{TreeForm::experiment, "one experiment (export-experiment)", "import-experiment", ""},
    FormNames{TreeForm::run, "one run (export-run)", "import-run", ""},
    FormNames{TreeForm::model, "one registered model (export-model)", "import-model", ""},
    FormNames{TreeForm::model_version, "one model version (export-model-version)", "import-model-version", ""},
    FormNames{TreeForm::logged_model, "one logged model (export-logged-model)", "import-logged-model", ""},
    FormNames{TreeForm::logged_models, "logged models (export-logged-models)", "import-logged-models", ""},
    FormNames{TreeForm::trace, "one trace (export-trace)", "import-trace", ""},
    FormNames{TreeForm::traces, "traces (export-traces)", "import-traces", ""},
    FormNames{TreeForm::prompt, "one prompt version (export-prompt)", "import-prompt", ""},
    FormNames{TreeForm::prompts, "prompts (export-prompts)", "import-prompts", "prompt.json"},
    FormNames{TreeForm::dataset, "one evaluation dataset (export-evaluation-dataset)", "import-evaluation-dataset", ""},
    FormNames{TreeForm::datasets, "evaluation datasets (export-evaluation-datasets)", "import-evaluation-datasets",
              "evaluation_dataset.json"},
};

const FormNames& names_of(TreeForm form) {
  return *std::find_if(names.begin(), names.end(), [form](const FormNames& one) { return one.form == form; });
}

// In the order in which they decide: a model version's folder also has a model.json and an experiment.json.
struct Sign {
  std::string_view file;
  TreeForm form;
};
constexpr std::array signs{Sign{"manifest.json", TreeForm::all},
                           Sign{"models_manifest.json", TreeForm::all},
                           Sign{"run.json", TreeForm::run},
                           Sign{"version.json", TreeForm::model_version},
                           Sign{"model.json", TreeForm::model},
                           Sign{"experiment.json", TreeForm::experiment},
                           Sign{"logged_model.json", TreeForm::logged_model},
                           Sign{"trace.json", TreeForm::trace},
                           Sign{"prompt.json", TreeForm::prompt},
                           Sign{"evaluation_dataset.json", TreeForm::dataset},
                           Sign{"experiments.json", TreeForm::experiments},
                           Sign{"models.json", TreeForm::all},
                           Sign{"logged_models.json", TreeForm::logged_models},
                           Sign{"traces.json", TreeForm::traces},
                           Sign{"prompts_summary.json", TreeForm::prompts},
                           Sign{"evaluation_datasets_summary.json", TreeForm::datasets}};

bool has(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

std::optional<TreeForm> tree_form(const std::vector<std::string>& files, const std::vector<std::string>& folders) {
  std::optional<TreeForm> found;
  for (auto const& sign : signs) {
    if (!has(files, sign.file)) continue;
    if (!found) found = sign.form;
    // A manifest may lie beside the one object that a folder holds.
    if (found == TreeForm::all && sign.form != TreeForm::all) found = sign.form;
  }
  bool const parts = has(folders, "experiments") || has(folders, "models") || has(folders, "prompts") ||
                     has(folders, "evaluation_datasets");
  if (parts && (!found || has(files, "manifest.json") || has(files, "models_manifest.json"))) return TreeForm::all;
  if (!found && has(folders, tree::own_folder)) return TreeForm::all;
  return found;
}

std::string_view file_of_each(TreeForm form) {
  return names_of(form).each;
}
std::string_view form_text(TreeForm form) {
  return names_of(form).text;
}
std::string_view import_command(TreeForm form) {
  return names_of(form).command;
}

}  // namespace mlferry::engine
