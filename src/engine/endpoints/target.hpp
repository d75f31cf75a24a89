#pragma once
// Where objects go: a server, an archive or a directory. The pipeline calls it in the order of the functions below; within
// a step calls overlap freely, and beyond it where the target says so.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/endpoints/source.hpp"
#include "engine/report.hpp"

namespace mlferry::engine {

// How an object ended. Failures are exceptions.
enum class Outcome {
  created,    // new in the target
  updated,    // was there; something was added
  unchanged,  // was there, nothing to do
  waits,  // refers to an object that is not there yet: try again when others are done; nothing was reported
};

class Target : public Known {
 public:
  // Connects, checks, takes locks. Throws when the target cannot be used: nothing was written then.
  virtual async::Task<> begin(const SourceInfo& source) = 0;
  // Whether objects may come before what they refer to, and beside it: then, after the experiments, one kind is read
  // while the last ones are still being written, put_links() is called while runs are, and nothing may answer `waits`.
  virtual bool takes_any_order() const { return false; }
  virtual async::Task<Outcome> put_experiment(ExperimentRecord record) = 0;
  // Reports the record's files (found, copied, failed) itself; the run itself is reported by the caller.
  // Throws when the run itself could not be copied; when only some of its files failed, the next job tries
  // those again.
  virtual async::Task<Outcome> put_run(RunRecord record, Source& source) = 0;
  virtual async::Task<Outcome> put_logged_model(LoggedModelRecord record, Source& source) = 0;
  // After all runs and logged models: parents, inputs, outputs whose other end was not there yet.
  virtual async::Task<> put_links() = 0;
  // Reports the versions and their files itself. Answers `waits` only when it is not the last try.
  virtual async::Task<Outcome> put_registered_model(RegisteredModelRecord record, Source& source,
                                                    bool last_try) = 0;
  // After runs, logged models and prompts, which traces refer to.
  virtual async::Task<Outcome> put_trace(TraceRecord record, Source& source) = 0;
  // Kinds in the order of object_kinds().
  virtual async::Task<Outcome> put_object(ObjectRecord record) = 0;
  // The end: deletes what is deleted in the source, publishes. `report` is complete but for what this adds.
  virtual async::Task<> finish(Report& report) = 0;
  virtual std::string describe() const = 0;
};

}  // namespace mlferry::engine
