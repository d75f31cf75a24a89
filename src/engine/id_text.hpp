#pragma once
// Ids inside texts: MLflow's run ids (32 hex digits) and logged model ids ("m-" and 32 hex digits) stand in
// tags and MLmodel files, and must name the copies after a move. Pure functions.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlferry::engine {

struct IdsInText {
  std::vector<std::string> runs;           // each once, in order of appearance
  std::vector<std::string> logged_models;  // with "m-"
};

// Tokens of exactly 32 lower-case hex digits that no other word character touches; "m-" before one makes it a
// logged model id.
IdsInText find_ids(std::string_view text);

// The parts between commas, empty ones left out: MLflow's lists of experiment ids.
std::vector<std::string> split_list(std::string_view text);

using Replacements = std::vector<std::pair<std::string, std::string>>;

// Replaces every occurrence; at each position the longest of the `from` texts wins, and what was put in is
// not looked at again. Empty `from`s are ignored.
std::string replace_all(std::string_view text, const Replacements& replacements);

// One place's artifact URI with the part below `from_uri` moved under `to_uri`; nothing when it is not below.
// ("mlflow-artifacts:/1/r/artifacts/model", "mlflow-artifacts:/1/r/artifacts", "X") -> "X/model".
std::pair<bool, std::string> move_uri(std::string_view uri, std::string_view from_uri,
                                      std::string_view to_uri);

}  // namespace mlferry::engine
