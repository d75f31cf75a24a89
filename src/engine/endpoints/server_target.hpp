#pragma once
// An MLflow tracking server as a target: creates what is missing, recognises what is there by marker tags,
// and can be killed and started again at any time.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "async/semaphore.hpp"
#include "engine/access.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/target.hpp"
#include "engine/endpoints/version_numbers.hpp"
#include "engine/id_text.hpp"
#include "engine/ledger.hpp"
#include "engine/objects/object_kind.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// Where a copied run or logged model lives: enough to move URIs and to write files.
struct Place {
  std::string id;  // in the destination
  std::string source_uri;
  std::string uri;
};

// The destination's workspace; none where its server has none.
struct TargetWorkspace {
  std::string name;
  mlflow::Client* server = nullptr;  // without a workspace: makes it when it is missing
};

// What the commands for single objects want otherwise than a whole import.
struct ServerTargetOptions {
  bool fix_mlmodels = true;      // ids in files named MLmodel become those of the copies
  bool keep_experiments = false;  // of the destination's own one not even a tag is added, and a deleted one is refused
  bool links_stay_open = false;   // what a link names may come with a later job from the same source
  // Versions get the next free number of their model, which may be somebody else's, instead of their own.
  bool append_versions = false;
  bool create_models = true;      // false: a model that is not there is a failure
  bool versions_need_files = false;  // one whose run or logged model was not copied, and that brings none, is a failure
  bool linked_versions = false;   // source and destination are one server: versions point where they pointed
  bool new_trace_ids = false;  // a trace whose id another experiment has gets one of its own, instead of being refused
  // Registered models, prompts or evaluation datasets of the same name are deleted before theirs are made.
  std::set<Kind> replaced{};
  std::optional<std::chrono::seconds> await_ready{};  // how long a new version may take to be READY
  std::chrono::seconds lock_wait{0};  // for another job of the same source and destination
};

class ServerTarget final : public Target {
 public:
  // `state_folder`: where the ledgers of all jobs are; this job's gets a folder of its own in it, named by
  // source and destination. `local_artifacts`: artifact folders that the server names may be written on this
  // machine.
  ServerTarget(const Context& context, mlflow::Client& client, std::string state_folder,
               bool local_artifacts, TargetWorkspace workspace = {}, ServerTargetOptions options = {});

  async::Task<> begin(const SourceInfo& source) override;
  async::Task<bool> unchanged(Kind kind, std::string container, std::string id,
                              std::string fingerprint) override;
  bool holds(Kind kind) const override;
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
  std::string describe() const override;

 private:
  // How often a create is tried whose answer was lost, a look for its marker before each.
  static constexpr int create_attempts = 8;

  struct Container {  // an experiment
    std::string source_id;
    std::string id;  // in the destination; "" in a dry run that would create it
    std::string name;
    bool source_deleted = false;
    bool deleted = false;  // in the destination, now
    bool ours = false;     // made by a job from this source
    std::unique_ptr<async::Semaphore> restoring;
    std::unique_ptr<async::Semaphore> new_datasets;
    std::set<std::string> datasets;  // that this job has logged: "name\ndigest"
  };

  // server_target.cpp
  async::Task<> open_ledger(std::string job);
  async::Task<> put_workspace(json::object wanted);
  Container& container_of(std::string_view source_experiment_id);
  async::Task<> adopt_experiment(const ExperimentRecord& record, mlflow::Experiment existing, bool& changed);
  async::Task<> see_copies(Container& container);
  async::Task<> add_model_inputs(std::vector<std::string> run_ids, std::set<std::string>& named);
  async::Task<> see_deleted_models(Container& container, std::vector<std::string> ids);
  async::Task<> ensure_writable(Container& container);
  async::Task<> delete_all(DeleteKind kind, Report& report);
  async::Task<std::optional<LedgerEntry>> find_copy(LedgerKey key);
  std::optional<Place> place_of(const std::optional<LedgerEntry>& entry) const;
  async::Task<std::optional<Place>> find_place(Kind kind, std::string source_id);
  // What must be replaced in a text so that it names the copies; `unknown` gets runs and logged models that
  // have no copy yet, and what only looks like the id of one.
  async::Task<Replacements> replacements_for(std::string text, std::vector<std::string>* unknown);

  // server_target_files.cpp
  async::Task<bool> put_files(Kind kind, FileOwner owner, Place place, const RecordBase& record,
                              std::string name, Source& source, bool owner_is_new);
  async::Task<> put_file(FileOwner owner, Place place, FileEntry file, Source& source, bool& settled);
  async::Task<> put_file_or_report(FileOwner owner, Place place, FileEntry file, std::string name,
                                   Source& source, async::Permit slot, bool owner_is_new, bool& all_there);
  async::Task<> put_text(Place place, std::string path, std::string text);
  // Where a file goes: one of the two is there.
  struct FilePlace {
    std::optional<std::string> folder, root;
  };
  FilePlace file_place(const Place& place, const std::string& path) const;
  async::Task<> write_file(FilePlace place, std::string path, async::OpenReader open, std::uint64_t size);
  void report_unchanged_files(const RecordBase& record, Kind kind, std::string_view id,
                              std::string_view name);
  void report_gaps(const RecordBase& record, std::string_view id, std::string_view name);

  // server_target_runs.cpp
  struct MappedTags {
    mlflow::KeyValues tags;
    std::vector<DeferredLink> deferred;
  };
  async::Task<MappedTags> map_tags(const RunRecord& record, const Container& container);
  void fit_params(const RunRecord& record, mlflow::KeyValues& params);
  void fit_history(RunRecord& record);
  async::Task<> note_links(const RunRecord& record, const Container& container);
  async::Task<mlflow::Run> create_run(const RunRecord& record, const Container& container,
                                      mlflow::KeyValues tags);
  async::Task<> put_dataset_inputs(const RunRecord& record, std::string id);
  async::Task<> fill_run(const RunRecord& record, std::string id, mlflow::KeyValues tags,
                         mlflow::KeyValues params);
  bool failed_now(const std::string& source_id) const;
  bool may_come(const std::string& source_id) const;
  bool may_come_now(const std::string& source_id) const;
  async::Task<> put_links_of_kind(std::string kind);
  async::Task<> put_link(DeferredLink link);
  async::Task<> put_outputs(std::string run_id, std::string model_id, std::int64_t step);

  // server_target_logged_models.cpp
  async::Task<mlflow::LoggedModel> create_logged_model(const LoggedModelRecord& record,
                                                       const Container& container);
  async::Task<std::optional<LedgerEntry>> find_deleted_copy(std::string source_id, std::string container);
  async::Task<> put_model_metrics(const LoggedModelRecord& record, std::string model_id);

  async::Task<Outcome> carry_logged_model(LoggedModelRecord record, Source& source);

  // server_target_traces.cpp
  async::Task<> see_traces(Container& container);
  async::Task<json::array> assessments_of(std::string trace_id);
  async::Task<> put_assessment(std::string trace_id, json::object assessment);
  async::Task<> look_for_traces();
  async::Task<bool> is_taken(std::string id, const Container& container);
  async::Task<> refuse_foreign_trace(std::string id, const Container& container);
  async::Task<Outcome> put_trace_as(TraceRecord record, Source& source);
  async::Task<std::string> copied_run(std::string source_run, std::string_view trace_id, const char* what,
                                      bool& settled);
  async::Task<json::array> map_assessments(const TraceRecord& record, bool& settled);
  async::Task<json::object> map_trace(const TraceRecord& record, const Container& container,
                                      bool& settled);
  void leave_out_trace_file(TraceRecord& record);
  async::Task<bool> put_trace_files(const TraceRecord& record, Place place, std::string name, Source& source,
                                    bool as_spans, bool is_new);
  async::Task<> put_trace_links(const TraceRecord& record, bool& settled);

  // server_target_objects.cpp
  class CopyIds;
  struct SeenObjects {  // of one kind, in the destination
    bool supported = false;
    std::map<std::string, ObjectRecord> by_id;
    std::set<std::string> claimed;  // ids of those that a record of this job stands for
  };
  struct Claim {
    std::string id;     // "" when the destination has none
    bool ours = false;  // made by a job from this source
  };
  async::Task<bool> made_before(Kind kind, std::string source_id);
  ServerView object_view();
  async::Task<SeenObjects*> see_objects(const ObjectKind& kind, bool again);
  async::Task<bool> object_unchanged(Kind kind, std::string id, std::string fingerprint);
  async::Task<Claim> claim_object(const ObjectKind& kind, std::string source_id, json::object wanted);
  async::Task<std::string> create_object(const ObjectKind& kind, std::string source_id, json::object wanted);
  async::Task<> activate_objects(Report& report);
  async::Task<> make_room_for(const ObjectKind& kind, json::object wanted);

  // server_target_registry.cpp
  async::Task<bool> must_wait(const RegisteredModelRecord& record);
  async::Task<> make_room(const RegisteredModelRecord& record, Source& source);
  async::Task<> put_aliases(const RegisteredModelRecord& record, const mlflow::RegisteredModel& existing,
                            bool ours, const std::map<std::int64_t, std::int64_t>& numbers, bool& changed);

  // server_target_version_places.cpp
  struct MappedVersion {
    mlflow::Client::NewModelVersion version;
    std::string failure;    // why it cannot be made; then only its number is kept
    bool may_come = false;  // what it needs may be there in the next job: then its number must stay free
  };
  async::Task<mlflow::KeyValues> map_prompt_tags(mlflow::KeyValues tags, Kind kind, std::string id);
  async::Task<MappedVersion> map_prompt_version(const ModelVersionRecord& record);
  async::Task<MappedVersion> map_version(const ModelVersionRecord& record, Source& source_of_files);
  async::Task<MappedVersion> map_to_carrier(MappedVersion mapped, const ModelVersionRecord& record,
                                            Source& source_of_files);
  async::Task<Place> make_carrier(const ModelVersionRecord& record, Source& source);
  async::Task<> open_home(std::string id, std::string name);

  // server_target_versions.cpp
  async::Task<> put_versions(const RegisteredModelRecord& record, mlflow::RegisteredModel existing,
                             Source& source, bool& changed);
  async::Task<Holder> holder_of(const mlflow::ModelVersion& version, Kind kind, std::string source_id,
                                std::string model);
  async::Task<> create_version(mlflow::Client::NewModelVersion version, std::int64_t number);
  async::Task<> put_version_details(const mlflow::ModelVersion& wanted, const mlflow::ModelVersion* existing,
                                    bool& changed);
  async::Task<bool> update_version(mlflow::ModelVersion wanted, mlflow::ModelVersion existing, std::string source_id);
  async::Task<> delete_placeholders(std::string name);
  async::Task<std::map<std::int64_t, std::int64_t>> append_versions(const RegisteredModelRecord& record,
                                                                    mlflow::RegisteredModel existing, Source& source,
                                                                    bool& changed);
  async::Task<std::int64_t> append_version(mlflow::Client::NewModelVersion version, std::string source_id);
  async::Task<> await_ready(std::string name, std::int64_t number);

  const Context& context_;
  mlflow::Client& client_;
  std::string state_folder_;
  std::unique_ptr<Ledger> ledger_;  // from begin() on
  bool local_artifacts_;
  TargetWorkspace workspace_;
  ServerTargetOptions options_;
  mlflow::Capabilities capabilities_;
  Access access_;
  std::string source_server_;
  std::map<std::string, Container, std::less<>> containers_;
  std::unique_ptr<async::Semaphore> carriers_turn_;  // who makes their experiment
  std::unique_ptr<async::Semaphore> objects_turn_;   // who lists them
  std::map<Kind, SeenObjects> seen_objects_;
  std::map<std::pair<Kind, std::string>, std::string> dry_copies_;  // in a dry run: source id -> copy
  struct Sleeper {
    ObjectRecord record;
    std::string id;
    json::object wanted;
    bool settled = false;
  };
  std::vector<Sleeper> sleepers_;  // to be activated at the end
  bool has_traces_ = false;        // the destination had some before this job
};

}  // namespace mlferry::engine
