#pragma once
// Field by field: what is not equal between an original and its copy. Pure. Fields that the REST API cannot
// restore are not looked at; neither are mlferry's own tags. Texts that hold ids of other objects come back
// apart, since they can only be judged when all pairs are known.

#include <string>
#include <vector>

#include "engine/records.hpp"

namespace mlferry::engine {

// `original`, with ids mapped, must equal `copy`.
struct TextWithIds {
  std::string field;
  std::string original;
  std::string copy;
  bool unordered = false;  // lines in any order
  bool experiments =
      false;  // a list "1,2" of experiment ids, in any order; those without a copy are left out
};

struct Differences {
  std::vector<std::string> fields;  // one sentence each
  std::vector<TextWithIds> with_ids;
};

Differences differences(const ExperimentRecord& original, const ExperimentRecord& copy);
Differences differences(const RunRecord& original, const RunRecord& copy);
Differences differences(const LoggedModelRecord& original, const LoggedModelRecord& copy);
// Without the versions.
Differences differences(const RegisteredModelRecord& original, const RegisteredModelRecord& copy);
Differences differences(const ModelVersionRecord& original, const ModelVersionRecord& copy);
// Without the spans.
Differences differences(const TraceRecord& original, const TraceRecord& copy);
// Spans as a list of documents; "" when they are equal.
std::string span_difference(const json::array& original, const json::array& copy);

// Value for messages: quoted, one line, at most 80 characters.
std::string in_quotes(std::string_view text);

}  // namespace mlferry::engine
