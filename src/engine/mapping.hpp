#pragma once
// How the objects of a source are changed on their way to a target: other names, one experiment for everything, tags
// about where they come from. Pure rules, a record at a time; mapped_source.hpp applies them.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/records.hpp"
#include "engine/rename_rules.hpp"

namespace mlferry::engine {

struct Mapping {
  // Members of experiments go into the one of this name.
  std::string into_experiment;
  // With into_experiment: its tags and lifecycle stage are those of the source's experiment, when that is one.
  bool experiment_metadata = true;
  RenameRules experiments, models;
  // The new name of each model, prompt and evaluation dataset; "": its own.
  std::string model, prompt, dataset;
  std::optional<std::int64_t> version;  // of each model only this one
  bool model_metadata = true;           // description and tags of models
  bool stages_and_aliases = true;
  bool source_tags = false;      // --import-source-tags
  bool source_user = false;      // --use-src-user-id
  mlflow::KeyValues version_tags;  // that every version gets
  std::set<Kind> kinds;            // only these; empty: all

  bool takes(Kind kind) const { return kinds.empty() || kinds.contains(kind); }

  // What a job with this mapping adds to the name of its source: its copies are its own then. "" where objects end up
  // where they would without it. `source_experiments`: the names of the source's experiments, "" for unknown ones.
  std::string identity_suffix(const std::vector<std::string>& source_experiments) const;
  // Part of every fingerprint: with other tags an object is another.
  std::string fingerprint_suffix() const;

  void apply(ExperimentRecord& record) const;
  // `experiment_id`: of the one that it goes into; "" leaves it where it is.
  void apply(RunRecord& record, const std::string& experiment_id) const;
  void apply(LoggedModelRecord& record, const std::string& experiment_id) const;
  void apply(TraceRecord& record, const std::string& experiment_id) const;
  void apply(RegisteredModelRecord& record) const;
  void apply(ObjectRecord& record, const std::string& experiment_id) const;

 private:
  std::string model_name(std::string_view name) const;
};

}  // namespace mlferry::engine
