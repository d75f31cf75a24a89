#pragma once
// Where an exception becomes the cause of one failed object, and which exceptions must not: one failed object
// never stops its siblings, but a refused password, a full disk or Ctrl-C stops the job.

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "async/task.hpp"

namespace mlferry::engine {

// Ends the whole job: cancellation, authentication, an unreachable server after all retries, a broken target
// archive.
bool ends_the_job(const std::exception_ptr& failure);

// One line for people: what happened, with the server's own words after ours. No secrets.
std::string describe_failure(const std::exception_ptr& failure);

// Awaits the task; the text of its failure, or nothing when it went well. What ends the job is thrown on.
async::Task<std::optional<std::string>> attempt(async::Task<> task);

// The target has no place for the object, whatever is tried: it counts as skipped with this reason, not as
// failed.
class NotHeld : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
bool is_not_held(const std::exception_ptr& failure);

// Marks a failure that ends the job whatever its type: the target cannot take any more objects.
class JobEnded : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mlferry::engine
