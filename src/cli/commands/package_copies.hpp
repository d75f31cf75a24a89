#pragma once
// copy-run and copy-model-version of the package mlflow-export-import (docs/package-imports.md).

#include "cli/commands/commands.hpp"

namespace mlferry::cli {

void add_package_copies(CLI::App& app, Run& run);

}  // namespace mlferry::cli
