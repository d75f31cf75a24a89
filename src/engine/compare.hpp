#pragma once
// The function behind `verify`: reads two endpoints and finds every difference that a copy must not have.

#include "async/task.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"

namespace mlferry::engine {

struct CompareOptions {
  bool data = true;  // read and hash the files on both sides; else compare names and sizes only
};

// `original` and `copy` are read whole; objects are paired by the copy's marker tags, else by equal ids
// (experiments and registered models: by name). Ids in texts, sources and links are compared after mapping.
// What the REST API cannot restore (ids, creation times, artifact URIs) is not a difference. Objects of the
// copy that the original does not have are counted in a note: they may be the user's own. Counts verified and
// different objects in context.report.
async::Task<> compare(const Context& context, Source& original, Source& copy, CompareOptions options);

}  // namespace mlferry::engine
