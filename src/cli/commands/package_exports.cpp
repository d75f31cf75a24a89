#include <CLI/CLI.hpp>

#include "cli/commands/package_export_job.hpp"

namespace mlferry::cli {

void add_package_exports(CLI::App& app, Run& run) {
  add_run_exports(app, run);
  add_model_exports(app, run);
  add_member_exports(app, run);
  add_prompt_exports(app, run);
  add_dataset_exports(app, run);
}

}  // namespace mlferry::cli
