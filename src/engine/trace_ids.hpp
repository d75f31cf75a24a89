#pragma once
// Ids of copied traces. A copy keeps its trace's id, but a server has each id once: where it is taken by another
// experiment, the import commands for single objects give the copy one of its own. Pure.

#include <string>
#include <string_view>

#include "engine/id_text.hpp"
#include "engine/records.hpp"

namespace mlferry::engine {

// Always the same for the same copy. `source`: the server's name; `container`: the experiment, in the destination.
std::string other_trace_id(std::string_view source, std::string_view container, std::string_view id);

// Everything in the record that names it gets the new id; its assessments, which are found by ids of their own, too.
void give_trace_id(TraceRecord& record, const std::string& id);

// For the text of a file of spans.
Replacements trace_id_replacements(std::string_view id, std::string_view other);

}  // namespace mlferry::engine
