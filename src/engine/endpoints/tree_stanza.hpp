#pragma once
// What mlferry adds to a file of a tree, beside the stanzas of the package mlflow-export-import, which
// ignores it (docs/tree.md): the document as the server gave it, and what was copied with it. It counts only
// as long as the package's stanza is the one that it was written with: whoever edits a file edits what the
// package's stanza says.

#include <optional>
#include <string>
#include <vector>

#include "engine/records.hpp"

namespace mlferry::engine {

inline constexpr const char* own_stanza_name = "mlferry";
inline constexpr std::int64_t tree_format = 1;

struct OwnStanza {
  std::string of;  // content_hash of the package's stanza
  std::string fingerprint;
  json::object document;  // as to_archive() gives it, without what the package's stanza holds exactly
  std::vector<FileEntry> files;
  std::vector<Gap> gaps;
};

// SHA-256 of the package's stanza, however it is laid out. `history`: of a run, whose "metrics" are then
// empty.
std::string content_hash(const json::object& mlflow, const std::vector<mlflow::MetricSeries>& history = {});

json::object to_json(const OwnStanza& stanza);
// Throws mlflow::JsonError when it is of another shape or of a newer format.
OwnStanza own_stanza_from(const json::object& object);

// The package's stanza: "mlflow", or of the oldest layout, which has none, the file itself.
const json::object& content_of(const json::object& file);

// run.json without its histories as a document, and the histories. A large text does not become a document.
struct RunText {
  json::object file;
  std::vector<mlflow::MetricSeries> history;
  bool only_last_values = false;  // some metrics are numbers and no lists of points
};
// Throws mlflow::JsonError with `what` in it.
RunText parse_run_text(std::string_view text, const std::string& what);

}  // namespace mlferry::engine
