#pragma once
// A new snapshot of an archive as a target. Nothing is visible before finish() has committed it.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/context.hpp"
#include "engine/endpoints/target.hpp"
#include "storage/archive/archive.hpp"

namespace mlferry::engine {

// A snapshot holds one workspace; a job that moves several makes as many, which name each other.
struct SnapshotOfJob {
  std::string job;  // id
  std::vector<std::string> workspaces;  // of all its snapshots
};

class ArchiveTarget final : public Target {
 public:
  ArchiveTarget(const Context& context, archive::Archive& archive, std::string place, SnapshotOfJob part = {});

  async::Task<> begin(const SourceInfo& source) override;
  bool takes_any_order() const override { return true; }
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
  std::string describe() const override;

  // The snapshot that finish() made; empty id before, and in a dry run.
  const archive::SnapshotInfo& snapshot() const { return snapshot_; }

 private:
  async::Task<> put_workspace();
  async::Task<Outcome> put_row(archive::ObjectRow row, json::object record);
  async::Task<Outcome> keep(Kind kind, std::string id, std::string name, const RecordBase& record);
  async::Task<bool> put_files(FileOwner owner, const RecordBase& record, std::string name, Source& source);
  async::Task<> put_file(FileOwner owner, FileEntry file, std::string name, std::string previous_sha256,
                         Source& source, async::Permit slot, bool& all_there);
  void report_gaps(const RecordBase& record, const std::string& id, const std::string& name);

  const Context& context_;
  archive::Archive& archive_;
  std::string place_;
  SnapshotOfJob part_;
  std::shared_ptr<archive::SnapshotReader> base_;
  std::unique_ptr<archive::SnapshotWriter> writer_;
  SourceInfo source_;
  archive::SnapshotInfo snapshot_;
};

}  // namespace mlferry::engine
