#pragma once
// The kinds of objects that jobs move, in the order of the report.

#include <array>
#include <string_view>

namespace mlferry::engine {

enum class Kind {
  experiment,
  run,
  logged_model,
  registered_model,
  model_version,
  prompt,
  prompt_version,
  trace,
  artifact
};

inline constexpr std::array all_kinds{Kind::experiment,    Kind::run,    Kind::logged_model,   Kind::registered_model,
                                      Kind::model_version, Kind::prompt, Kind::prompt_version, Kind::trace,
                                      Kind::artifact};
inline constexpr std::size_t kind_count = all_kinds.size();

// The name in archives, reports and JSON: "logged_model".
constexpr std::string_view kind_name(Kind kind) {
  constexpr std::string_view names[] = {"experiment",    "run",    "logged_model",   "registered_model",
                                        "model_version", "prompt", "prompt_version", "trace",
                                        "artifact"};
  return names[static_cast<std::size_t>(kind)];
}

// In tables and sentences: "logged models".
constexpr std::string_view kind_label(Kind kind) {
  constexpr std::string_view labels[] = {"experiments",    "runs",    "logged models",   "registered models",
                                         "model versions", "prompts", "prompt versions", "traces",
                                         "artifacts"};
  return labels[static_cast<std::size_t>(kind)];
}

}  // namespace mlferry::engine
