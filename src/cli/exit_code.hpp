#pragma once
// The exit codes of every command. They are frozen: scripts depend on them.

namespace mlferry::cli {

enum class ExitCode : int {
  ok = 0,               // all done
  other = 1,            // an error that no other code names
  usage = 2,            // wrong options; nothing was done
  some_failed = 3,      // finished, but some objects failed or were hidden: the report tells
  unreachable = 4,      // source or target unreachable or not found
  temporary = 5,        // throttled or a passing fault: run it again later
  locked = 11,          // another process writes to the archive or runs the same job
  authentication = 12,  // the server refused the credentials
  mismatch = 20,        // verify or check found differences
  interrupted = 130,    // Ctrl-C
};

}  // namespace mlferry::cli
