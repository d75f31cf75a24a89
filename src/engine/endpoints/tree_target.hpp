#pragma once
// A plain directory as a target, in the newest layout of the package mlflow-export-import (docs/tree.md), as
// a whole tree or in one of the forms of the package's other commands (tree_layout.hpp). Each object is a
// folder that appears whole; the files that list them are written at the end, and until then the directory is
// marked as unfinished. A directory that holds the same export of the same source is brought up to date, any
// other is refused.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/context.hpp"
#include "engine/endpoints/target.hpp"
#include "engine/endpoints/tree_objects.hpp"
#include "storage/tree/tree_reader.hpp"

namespace mlferry::engine {

class TreeTarget final : public Target {
 public:
  // `export_time`: seconds, for the files' "system"; 0 is now.
  TreeTarget(const Context& context, std::string folder, std::int64_t export_time = 0, TreeExport what = {});

  async::Task<> begin(const SourceInfo& source) override;
  async::Task<bool> unchanged(Kind kind, std::string container, std::string id,
                              std::string fingerprint) override;
  async::Task<std::vector<std::string>> known_logged_models(std::string container) override;
  async::Task<Outcome> put_experiment(ExperimentRecord record) override;
  async::Task<Outcome> put_run(RunRecord record, Source& source) override;
  async::Task<Outcome> put_logged_model(LoggedModelRecord record, Source& source) override;
  async::Task<> put_links() override;
  async::Task<Outcome> put_registered_model(RegisteredModelRecord record, Source& source,
                                            bool last_try) override;
  async::Task<Outcome> put_trace(TraceRecord record, Source& source) override;
  async::Task<Outcome> put_object(ObjectRecord record) override;
  async::Task<> finish(Report& report) override;
  std::string describe() const override { return "directory " + folder_; }

 private:
  // Ids in the order in which they came, each with how it ended.
  struct Listed {
    enum class State { failed, active, deleted };
    std::vector<std::pair<std::string, State>> items;
    std::size_t add(std::string id) {
      items.emplace_back(std::move(id), State::failed);
      return items.size() - 1;
    }
    json::array ids(State state) const;
    std::size_t count(State state) const;
    std::size_t ok() const { return items.size() - count(State::failed); }
  };
  using Clock = std::chrono::steady_clock;
  struct Container {  // an experiment
    ExperimentRecord record;
    std::string place;
    Clock::time_point begun, last;  // of what was written of it
    Listed runs, logged_models, traces;
    std::set<std::string> named_models;  // by runs that are unchanged
  };

  Container& container_of(std::string_view experiment_id);
  std::string place_of(Kind kind, std::string_view experiment, std::string_view id) const;
  async::Task<bool> is_there(std::string name);
  Outcome keep(const RecordBase& record, const std::string& id, const std::string& name);
  struct Member {  // a run, logged model or trace of an experiment
    std::string id, name, place;
    std::string_view document;  // the file in `place` that shows that it is there
    Listed& list;
    Listed::State state;  // in the list once it is written
  };
  template <class Record, class Write>
  async::Task<Outcome> put_member(Member member, Record& record, Write write);
  async::Task<Outcome> put_model(RegisteredModelRecord record, Source& source);
  async::Task<Outcome> put_prompt(RegisteredModelRecord record, Source& source);
  VersionHome home_of(const mlflow::ModelVersion& version) const;
  async::Task<> refuse_foreign_folder();

  double seconds() const;  // since the job began, as the files say it
  json::object root_stanza() const;
  async::Task<> write_experiment(const Container& container);
  async::Task<> write_index(Kind kind, std::vector<const Container*> containers, std::string file,
                            bool is_root);
  async::Task<json::object> write_experiments();
  async::Task<json::object> write_models();
  async::Task<json::object> write_prompts(const Report& report);
  async::Task<json::object> write_datasets(const Report& report);
  async::Task<> write_manifest(json::object info);
  async::Task<> write_whole(const Report& report);
  async::Task<> write_form(const Report& report);

  const Context& context_;
  std::string folder_;
  std::int64_t export_time_;
  TreeExport export_;
  TreeLayout layout_;
  Clock::time_point begun_;
  SourceInfo source_;
  tree::TreeReader reader_;
  std::unique_ptr<tree::TreeWriter> writer_;  // not in a dry run
  std::unique_ptr<TreeObjects> objects_;
  std::map<std::string, Container, std::less<>> containers_;
  std::vector<std::string> order_;                                 // of experiments, by id
  std::unordered_map<std::uint64_t, const Container*> homes_;      // of runs, by a hash of their id
  std::map<std::string, std::string, std::less<>> artifact_uris_;  // of runs, in the forms of models
  std::vector<std::string> models_, failed_models_, prompts_;
  std::vector<json::object> datasets_;  // folder, name, dataset_id
};

}  // namespace mlferry::engine
