#include "engine/endpoints/tree_layout.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;

namespace {

std::string place(std::optional<std::string> place) {
  return place ? *place : "-";
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("tree layout: where each form puts what") {
    struct Row {
      TreeForm form;
      const char *root, *experiment, *run, *logged_model, *trace, *model, *prompt, *prompt_file, *dataset;
    };
    for (auto const& row : {
             Row{TreeForm::all, "manifest.json", "experiments/7", "experiments/7/runs/r",
                 "experiments/7/logged_models/m", "experiments/7/traces/t", "models/w", "prompts/p_v2",
                 "prompts/p.prompt.json", "evaluation_datasets/q_d"},
             Row{TreeForm::models, "manifest.json", "experiments/7", "experiments/7/runs/r",
                 "experiments/7/logged_models/m", "experiments/7/traces/t", "models/w", "-", "-", "-"},
             Row{TreeForm::experiments, "experiments.json", "7", "7/runs/r", "7/logged_models/m",
                 "7/traces/t", "-", "-", "-", "-"},
             Row{TreeForm::experiment, "experiment.json", "", "runs/r", "logged_models/m", "traces/t", "-",
                 "-", "-", "-"},
             Row{TreeForm::run, "run.json", "-", "", "m", "-", "-", "-", "-", "-"},
             Row{TreeForm::model, "model.json", "-", "r", "m", "-", "", "-", "-", "-"},
             Row{TreeForm::model_version, "version.json", "-", "run", "m", "-", "", "-", "-", "-"},
             Row{TreeForm::logged_models, "logged_models.json", "-", "-", "m", "-", "-", "-", "-", "-"},
             Row{TreeForm::logged_model, "logged_model.json", "-", "-", "", "-", "-", "-", "-", "-"},
             Row{TreeForm::traces, "traces.json", "-", "-", "-", "t", "-", "-", "-", "-"},
             Row{TreeForm::trace, "trace.json", "-", "-", "-", "", "-", "-", "-", "-"},
             Row{TreeForm::prompts, "prompts_summary.json", "-", "-", "-", "-", "-", "p_v2", "p.prompt.json",
                 "-"},
             Row{TreeForm::prompt, "prompt.json", "-", "-", "-", "-", "-", "", "-", "-"},
             Row{TreeForm::datasets, "evaluation_datasets_summary.json", "-", "-", "-", "-", "-", "-", "-",
                 "q_d"},
             Row{TreeForm::dataset, "evaluation_dataset.json", "-", "-", "-", "-", "-", "-", "-", ""},
         }) {
      TreeLayout const layout(row.form);
      CAPTURE(form_name(row.form));
      CHECK(layout.root_file() == row.root);
      CHECK(place(layout.experiment("7")) == row.experiment);
      CHECK(place(layout.member(Kind::run, "7", "r")) == row.run);
      CHECK(place(layout.member(Kind::logged_model, "7", "m")) == row.logged_model);
      CHECK(place(layout.member(Kind::trace, "7", "t")) == row.trace);
      CHECK(place(layout.registered_model("w")) == row.model);
      CHECK(place(layout.prompt_version("p", 2)) == row.prompt);
      CHECK(place(layout.prompt_file("p")) == row.prompt_file);
      CHECK(place(layout.dataset("q", "d")) == row.dataset);
    }
  }

  TEST_CASE("tree layout: names that are no folder's are escaped wherever they stand") {
    CHECK(place(TreeLayout(TreeForm::all).registered_model("../x")) == "models/%2E.%2Fx");
    CHECK(place(TreeLayout(TreeForm::model).member(Kind::run, "1", "a/b")) == "a%2Fb");
    CHECK(place(TreeLayout(TreeForm::prompts).prompt_version("a/b", 1)) == "a%2Fb_v1");
    CHECK(place(TreeLayout(TreeForm::datasets).dataset("q/a", "d-1")) == "q%2Fa_d-1");
    CHECK(path_below("", "a") == "a");
    CHECK(path_below("a", "") == "a");
    CHECK(path_below("a", "b") == "a/b");
  }

  TEST_CASE("tree layout: what belongs to the object that a directory is") {
    CHECK(TreeLayout(TreeForm::run).root_object() == Kind::run);
    CHECK(TreeLayout(TreeForm::run).root_parts() == std::vector<std::string>{"artifacts"});
    CHECK(TreeLayout(TreeForm::model).root_parts() == std::vector<std::string>{"version_models"});
    CHECK_FALSE(TreeLayout(TreeForm::experiment).root_object().has_value());
    CHECK(TreeLayout(TreeForm::experiment).root_parts().empty());
    CHECK(TreeLayout(TreeForm::model_version).one_folder());
    CHECK_FALSE(TreeLayout(TreeForm::model).one_folder());
    CHECK(form_name(TreeForm::model_version) == "export-model-version");
  }
}
