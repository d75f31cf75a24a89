#pragma once
// Where every error that ends a command becomes one line and an exit code.

#include <exception>
#include <stdexcept>
#include <string>

#include "cli/exit_code.hpp"

namespace mlferry::cli {

// What a command is about is not there: nothing was done.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Ending {
  ExitCode code;
  std::string message;  // one line: what happened, to what, what to do; empty when there is nothing to say
};

Ending ending_of(const std::exception_ptr& failure);

}  // namespace mlferry::cli
