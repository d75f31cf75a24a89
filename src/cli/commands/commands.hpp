#pragma once
// One function a command: adds it to the program's options and says how it is run. `run` is set to the chosen
// command's function while argv is parsed.

#include <functional>

#include "cli/exit_code.hpp"

namespace CLI {
class App;
}

namespace mlferry::cli {

using Run = std::function<ExitCode()>;

void add_export_all(CLI::App& app, Run& run);
void add_import_all(CLI::App& app, Run& run);
void add_copy_all(CLI::App& app, Run& run);
void add_verify(CLI::App& app, Run& run);
void add_check(CLI::App& app, Run& run);
void add_snapshots(CLI::App& app, Run& run);
void add_ls(CLI::App& app, Run& run);
void add_cat(CLI::App& app, Run& run);
void add_kinds(CLI::App& app, Run& run);
void add_convert(CLI::App& app, Run& run);
void add_install_aliases(CLI::App& app, Run& run);

// The commands of the Python package mlflow-export-import (docs/coming-from-mlflow-export-import.md): export-run and
// its like; import-run and its like with copy-run and copy-model-version; everything else.
void add_package_exports(CLI::App& app, Run& run);
void add_package_imports(CLI::App& app, Run& run);
void add_package_tools(CLI::App& app, Run& run);

}  // namespace mlferry::cli
