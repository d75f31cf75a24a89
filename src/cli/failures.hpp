#pragma once
// Where every error that ends a command becomes one line and an exit code.

#include <exception>
#include <string>

#include "cli/exit_code.hpp"

namespace mlferry::cli {

struct Ending {
  ExitCode code;
  std::string message;  // one line: what happened, to what, what to do; empty when there is nothing to say
};

Ending ending_of(const std::exception_ptr& failure);

}  // namespace mlferry::cli
