#include <CLI/CLI.hpp>

#include "cli/commands/commands.hpp"

namespace mlferry::cli {

void add_package_imports(CLI::App&, Run&) {}

}  // namespace mlferry::cli
