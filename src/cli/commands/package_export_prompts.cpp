// export-prompt, export-prompts.

#include <CLI/CLI.hpp>

#include "cli/commands/package_export_job.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;
using engine::TreeForm;

async::Task<bool> is_prompt(mlflow::Client& client, std::string name) {
  auto const model = co_await client.get_registered_model(std::move(name));
  co_return model && model->is_prompt();
}

async::Task<ExportPlan> plan_prompt(Runtime&, mlflow::Client& client, const PackageExport& job) {
  auto const numbers = read_versions("--prompt-version", job.version);
  auto const name = job.wanted;
  if (!co_await is_prompt(client, name))
    throw engine::NotFound("--prompt-name " + name + ": the server has no such prompt");
  auto const version = co_await client.get_model_version(name, *numbers.begin());
  if (!version)
    throw engine::NotFound("--prompt-version " + job.version + ": prompt '" + name + "' has no such version");
  ExportPlan plan;
  plan.selection.kinds = {Kind::prompt};
  plan.selection.ids[Kind::prompt] = {name};
  plan.selection.prompt_versions.numbers = numbers;
  plan.what.form = TreeForm::prompt;
  plan.what.request = "--prompt-name " + name + " --prompt-version " + std::to_string(*numbers.begin());
  co_return plan;
}

bool is_all(std::string word) {
  for (auto& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word == "all";
}

async::Task<ExportPlan> plan_prompts(Runtime&, mlflow::Client& client, const PackageExport& job) {
  ExportPlan plan;
  plan.selection.kinds = {Kind::prompt};
  plan.what.form = TreeForm::prompts;
  auto const names = list_or_file("--prompts", job.wanted);
  plan.what.request = said("--prompts", names).substr(1);
  if (is_all(job.wanted)) co_return plan;
  std::set<std::string> there;
  for (auto const& name : names) {
    if (co_await is_prompt(client, name)) {
      there.insert(name);
    } else {
      plan.missing.push_back({Kind::prompt, name, "the server has no prompt of this name"});
    }
  }
  if (there.empty()) throw engine::NotFound("--prompts " + job.wanted + ": the server has no such prompt");
  plan.selection.ids[Kind::prompt] = std::move(there);
  co_return plan;
}

void check_prompt_version(const PackageExport& job) {
  if (read_versions("--prompt-version", job.version).size() != 1)
    throw UsageError("--prompt-version: give one version number");
}

void check_prompts(const PackageExport& job) {
  list_or_file("--prompts", job.wanted);
}

}  // namespace

void add_prompt_exports(CLI::App& app, Run& run) {
  auto prompt = add_export(app, run, "export-prompt", "Write one version of a prompt into a directory",
                           plan_prompt, check_prompt_version);
  add_wanted(prompt, "--prompt-name", "The prompt");
  prompt.app->add_option("--prompt-version", prompt.job->version, "The version's number")->required();
  auto prompts =
      add_export(app, run, "export-prompts", "Write prompts with all their versions into a directory",
                 plan_prompts, check_prompts);
  add_wanted(prompts, "--prompts", "all, a comma list of names, or a .txt file with one name a line");
  add_use_threads(*prompts.app, prompts.job->global, ThreadsForm::flag);
}

}  // namespace mlferry::cli
