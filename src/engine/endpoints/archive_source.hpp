#pragma once
// A snapshot of an archive as a source.

#include <memory>
#include <string>

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

  const Context& context_;
  archive::Archive& archive_;
  std::string place_;
  std::string snapshot_id_;
  std::shared_ptr<archive::SnapshotReader> snapshot_;
  std::map<std::pair<std::string, std::string>, std::vector<Gap>> gaps_;
};

}  // namespace mlferry::engine
