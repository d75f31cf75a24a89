#include "engine/endpoints/tree_layout.hpp"

#include <array>

#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

struct FormFacts {
  TreeForm form;
  std::string_view name;
  std::string_view root_file;
  std::optional<Kind> root_object;
};
constexpr std::array forms{
    FormFacts{TreeForm::all, "export-all", "manifest.json", std::nullopt},
    FormFacts{TreeForm::models, "export-models", "manifest.json", std::nullopt},
    FormFacts{TreeForm::experiments, "export-experiments", "experiments.json", std::nullopt},
    FormFacts{TreeForm::experiment, "export-experiment", "experiment.json", std::nullopt},
    FormFacts{TreeForm::run, "export-run", "run.json", Kind::run},
    FormFacts{TreeForm::model, "export-model", "model.json", Kind::registered_model},
    FormFacts{TreeForm::model_version, "export-model-version", "version.json", Kind::model_version},
    FormFacts{TreeForm::logged_models, "export-logged-models", "logged_models.json", std::nullopt},
    FormFacts{TreeForm::logged_model, "export-logged-model", "logged_model.json", Kind::logged_model},
    FormFacts{TreeForm::traces, "export-traces", "traces.json", std::nullopt},
    FormFacts{TreeForm::trace, "export-trace", "trace.json", Kind::trace},
    FormFacts{TreeForm::prompts, "export-prompts", "prompts_summary.json", std::nullopt},
    FormFacts{TreeForm::prompt, "export-prompt", "prompt.json", Kind::prompt_version},
    FormFacts{TreeForm::datasets, "export-evaluation-datasets", "evaluation_datasets_summary.json",
              std::nullopt},
    FormFacts{TreeForm::dataset, "export-evaluation-dataset", "evaluation_dataset.json",
              Kind::evaluation_dataset},
};

const FormFacts& facts_of(TreeForm form) {
  return forms.at(static_cast<std::size_t>(form));
}

// The form's folder of a whole kind: "" when that is the directory, nothing when it has none.
std::optional<std::string> folder_in(TreeForm form, TreeForm own, std::string_view name) {
  if (form == TreeForm::all) return std::string(name);
  if (form == own) return std::string();
  return std::nullopt;
}

}  // namespace

std::string_view form_name(TreeForm form) {
  return facts_of(form).name;
}

std::string path_below(std::string_view folder, std::string_view name) {
  if (folder.empty() || name.empty()) return std::string(folder) + std::string(name);
  return std::string(folder) + "/" + std::string(name);
}

std::string member_file(Kind kind) {
  return kind == Kind::run ? "run.json" : kind == Kind::logged_model ? "logged_model.json" : "trace.json";
}

std::string TreeLayout::root_file() const {
  return std::string(facts_of(form_).root_file);
}

std::optional<Kind> TreeLayout::root_object() const {
  return facts_of(form_).root_object;
}

std::vector<std::string> TreeLayout::root_parts() const {
  if (form_ == TreeForm::model) return {"version_models"};
  if (form_ == TreeForm::model_version) return {"run", "version_model", "model.json", "experiment.json"};
  if (root_object()) return {"artifacts"};
  return {};
}

std::optional<std::string> TreeLayout::experiment(std::string_view id) const {
  auto const name = tree::safe_name(id);
  switch (form_) {
    case TreeForm::all:
    case TreeForm::models:
      return "experiments/" + name;
    case TreeForm::experiments:
      return name;
    case TreeForm::experiment:
      return "";
    default:
      return std::nullopt;
  }
}

std::optional<std::string> TreeLayout::member(Kind kind, std::string_view experiment_id,
                                              std::string_view id) const {
  auto const name = tree::safe_name(id);
  if (auto const home = experiment(experiment_id)) {
    return path_below(*home, kind == Kind::run            ? "runs/"
                             : kind == Kind::logged_model ? "logged_models/"
                                                          : "traces/") +
           name;
  }
  if (root_object() == kind) return "";
  switch (form_) {
    case TreeForm::run:
      if (kind == Kind::logged_model) return name;
      break;
    case TreeForm::model:
      if (kind != Kind::trace) return name;
      break;
    case TreeForm::model_version:
      if (kind == Kind::run) return "run";
      if (kind == Kind::logged_model) return name;
      break;
    case TreeForm::logged_models:
      if (kind == Kind::logged_model) return name;
      break;
    case TreeForm::traces:
      if (kind == Kind::trace) return name;
      break;
    default:
      break;
  }
  return std::nullopt;
}

std::optional<std::string> TreeLayout::registered_model(std::string_view name) const {
  if (form_ == TreeForm::all || form_ == TreeForm::models) return "models/" + tree::safe_name(name);
  if (form_ == TreeForm::model || form_ == TreeForm::model_version) return "";
  return std::nullopt;
}

std::optional<std::string> TreeLayout::prompt_version(std::string_view name, std::int64_t number) const {
  if (form_ == TreeForm::prompt) return "";
  auto const folder = folder_in(form_, TreeForm::prompts, "prompts");
  if (!folder) return std::nullopt;
  return path_below(*folder, tree::safe_name(name) + "_v" + std::to_string(number));
}

std::optional<std::string> TreeLayout::prompt_file(std::string_view name) const {
  auto const folder = folder_in(form_, TreeForm::prompts, "prompts");
  if (!folder) return std::nullopt;
  return path_below(*folder, tree::safe_name(name) + ".prompt.json");
}

std::optional<std::string> TreeLayout::dataset(std::string_view name, std::string_view id) const {
  if (form_ == TreeForm::dataset) return "";
  auto const folder = folder_in(form_, TreeForm::datasets, "evaluation_datasets");
  if (!folder) return std::nullopt;
  return path_below(*folder, tree::safe_name(std::string(name) + "_" + std::string(id)));
}

}  // namespace mlferry::engine
