#pragma once
// The whole program behind main(): reads argv and the environment, runs one command, and turns whatever
// happened into an exit code. Errors end here and nowhere else.

#include "cli/commands/commands.hpp"

namespace mlferry::cli {

// All commands, under their headings.
void add_commands(CLI::App& app, Run& run);

// The process's exit code (exit_code.hpp).
int run_app(int argc, char** argv);

}  // namespace mlferry::cli
