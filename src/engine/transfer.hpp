#pragma once
// The pipeline behind every command that moves objects: export-all, import-all, copy-all.

#include "async/task.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/target.hpp"

namespace mlferry::engine {

// Moves everything that the source lists into the target and fills context.report: every object is found, and
// then copied, skipped or failed. One failed object never stops its siblings (but see --fail-fast). Throws
// when the job as a whole cannot go on: the target has then published nothing new (archive), or is ready to
// be continued by the same command (server). Cancelled: the same.
async::Task<> transfer(const Context& context, Source& source, Target& target);

}  // namespace mlferry::engine
