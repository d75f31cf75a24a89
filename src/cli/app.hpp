#pragma once
// The whole program behind main(): reads argv and the environment, runs one command, and turns whatever
// happened into an exit code. Errors end here and nowhere else.

namespace mlferry::cli {

// The process's exit code (exit_code.hpp).
int run_app(int argc, char** argv);

}  // namespace mlferry::cli
