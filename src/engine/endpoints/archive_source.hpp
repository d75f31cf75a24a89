#pragma once
// A snapshot of an archive as a source.

#include <memory>
#include <string>
#include <unordered_set>

#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "storage/archive/archive.hpp"

namespace mlferry::engine {

class ArchiveSource final : public Source {
 public:
  // `snapshot`: id, unique prefix of one, or "latest".
  ArchiveSource(const Context& context, archive::Archive& archive, std::string place, std::string snapshot);

  async::Task<SourceInfo> open() override;
  std::unique_ptr<Pages<ExperimentRecord>> experiments() override;
  std::unique_ptr<Pages<RunRecord>> runs(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known& known) override;
  std::unique_ptr<Pages<TraceRecord>> traces(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind kind, Known& known) override;
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner owner, FileEntry file) override;

 private:
  template <class Record>
  class ObjectPages;
  class ModelPages;
  class DocumentPages;

  async::Task<> add_files(RecordBase& record, Kind kind, std::string id);
  const Selection& selection() const { return context_.options.selection; }
  bool takes(const ExperimentRecord& record);
  bool takes(const RunRecord& record);
  bool takes(const LoggedModelRecord& record);
  bool takes(const TraceRecord& record);
  bool takes(const ObjectRecord& record) const;
  bool gave_experiment(const std::string& id) const { return experiments_.contains(id); }
  async::Task<> borrow_files(ModelVersionRecord& record);

  const Context& context_;
  archive::Archive& archive_;
  std::string place_;
  std::string snapshot_id_;
  std::shared_ptr<archive::SnapshotReader> snapshot_;
  std::map<std::pair<std::string, std::string>, std::vector<Gap>> gaps_;
  std::map<std::string, bool> experiments_;  // that were given; true: deleted
  // Runs and logged models that were given; filled only when not all are.
  std::unordered_set<std::string> given_;
  // Files that a version takes from a run or logged model that is not selected.
  struct Borrowed {
    std::string kind, id, folder;
  };
  std::map<std::string, Borrowed> borrowed_;  // by the version's id
};

}  // namespace mlferry::engine
