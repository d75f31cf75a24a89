#pragma once
// Which objects of a source a job is about: by kind, name, time and lifecycle stage. Pure decisions; sources ask
// before they read what is not wanted.
//
// Members of an experiment (runs, logged models, traces, scorers, label schemas, review queues, issues) come with it;
// versions come with their model or prompt. An experiment is taken, too, when only members of it are wanted: they
// need a place.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kinds.hpp"
#include "protocol/mlflow/objects.hpp"

namespace mlferry::engine {

class SelectionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// '*' any text, '?' one byte, '[a-z]' one of a set, '\' takes the next as it is; the whole text must match.
bool glob_matches(std::string_view glob, std::string_view text);

// "run", "runs", "logged-models", "model" (registered model); nullopt for other words, and for versions and
// artifacts, which are selected with what they belong to.
std::optional<Kind> selectable_kind(std::string_view word);
bool is_member_of_experiment(Kind kind);

// "KIND" or "KIND:GLOB"; the glob is tried on name and id, or on one of them: "KIND:id:7", "KIND:name:7".
struct SelectionRule {
  Kind kind;
  std::string glob = "*";
  enum class On { either, id, name } on = On::either;
  bool matches(Kind of, std::string_view id, std::string_view name) const;
  // Whether it can only mean one thing: no wildcard in it.
  bool is_exact() const;
  std::string text() const;
};
// Throws SelectionError that says what is wrong with the text.
SelectionRule parse_selection_rule(std::string_view text);
// `text`: what stands behind "KIND:" above.
SelectionRule selection_rule_for(Kind kind, std::string_view text);

// Which of a selection's `include` rules some object has matched, whatever else the selection said of it.
using MatchedRules = std::set<std::size_t>;

// ms since 1970 of "2026-11-24", "2026-11-24T10:00", "2026-11-24 10:00:00.5", with "Z" or "+02:00" behind (UTC without),
// or of a number of ms. `end`: a day without time means its last ms. Throws SelectionError.
std::int64_t parse_time(std::string_view text, bool end);

enum class Lifecycle { all, active, deleted };

// Which versions of a registered model or of a prompt.
struct VersionChoice {
  std::set<std::string> stages;    // canonical_stage() each; empty: any. A version without stage is of "None"
  std::set<std::int64_t> numbers;  // empty: any
  bool latest = false;             // of each stage the one with the highest number
  bool all() const { return stages.empty() && numbers.empty() && !latest; }
  // Indexes of the chosen ones, in their order.
  std::vector<std::size_t> choose(const std::vector<mlflow::ModelVersion>& versions) const;
};
// "production" -> "Production", and so Staging, Archived, None; nullopt for other words.
std::optional<std::string> canonical_stage(std::string_view word);

struct Selection {
  std::set<Kind> kinds;  // empty: all
  std::vector<SelectionRule> include;  // empty: all; else only what one names, and members of experiments it names
  std::vector<SelectionRule> exclude;  // wins over include
  // Of runs (start), traces (request) and logged models (creation); both inclusive.
  std::optional<std::int64_t> since, until;
  Lifecycle lifecycle = Lifecycle::all;
  // Of these kinds exactly the objects with these ids (names of models and prompts), besides the rules above.
  // Sources ask for them by id instead of walking everything. An experiment that is named here is taken though it is
  // deleted.
  std::map<Kind, std::set<std::string>> ids;
  // Logged models and traces come with the runs that they belong to: where their run is taken, whatever their own time.
  // `ids` adds logged models then. What belongs to no run comes by its time, but not where `ids` names the runs.
  bool with_runs = false;
  VersionChoice model_versions, prompt_versions;
  // Filled by takes() and what calls it, for all copies of this selection.
  std::shared_ptr<MatchedRules> matched = std::make_shared<MatchedRules>();
  // Rules of `include` that nothing has matched.
  std::vector<SelectionRule> unmatched() const;
  // For people, in place of what describe() would say: the options of the command.
  std::string text;

  // Nothing is left out.
  bool everything() const;
  // Whether any object of the kind can be wanted; of versions: whether their model can.
  bool takes_kind(Kind kind) const;
  bool takes_experiment(std::string_view id, std::string_view name, bool deleted) const;
  // Members of an experiment that is taken, and objects that belong to none.
  bool takes(Kind kind, std::string_view id, std::string_view name) const;
  bool takes_time(std::optional<std::int64_t> ms) const;
  // The window for a server's own search, "" without one: "FIELD >= 1 AND FIELD <= 2".
  std::string time_filter(std::string_view field) const;
  bool takes_run(const mlflow::Run& run, bool experiment_deleted) const;
  // `run_taken`: whether the run that it belongs to is taken; nothing: it belongs to none. Counts only `with_runs`.
  bool takes_logged_model(const mlflow::LoggedModel& model, bool deleted, bool experiment_deleted,
                          std::optional<bool> run_taken = std::nullopt) const;
  bool takes_trace(const mlflow::Trace& trace, bool experiment_deleted,
                   std::optional<bool> run_taken = std::nullopt) const;
  // The exact ids of the kind; null where any is taken. Of kinds that come with their runs: null.
  const std::set<std::string>* exact_ids(Kind kind) const;
  const VersionChoice& versions_of(Kind kind) const {
    return kind == Kind::prompt ? prompt_versions : model_versions;
  }
  bool takes_stage(bool deleted) const;
  // Whether an object that names several experiments comes with one of them (`with_experiment`), or for itself.
  bool takes_shared(Kind kind, std::string_view id, std::string_view name, bool with_experiment) const;

  // For people: "--include experiment:a --since 2026-01-01"; "" when everything is taken.
  std::string describe() const;

 private:
  bool takes_by_time(std::optional<std::int64_t> ms, std::optional<bool> run_taken) const;
};

}  // namespace mlferry::engine
