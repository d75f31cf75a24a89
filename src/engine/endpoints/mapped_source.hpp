#pragma once
// A source whose records are changed by a Mapping before a target sees them. It names itself after what it does to
// them, so that a job finds its own copies again and never takes them for those of a whole import.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/endpoints/source.hpp"
#include "engine/mapping.hpp"

namespace mlferry::engine {

class MappedSource final : public Source {
 public:
  // `inner` must outlive it.
  MappedSource(Source& inner, Mapping mapping);

  async::Task<SourceInfo> open() override;
  std::unique_ptr<Pages<ExperimentRecord>> experiments() override;
  std::unique_ptr<Pages<RunRecord>> runs(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known& known) override;
  std::unique_ptr<Pages<TraceRecord>> traces(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind kind, Known& known) override;
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner owner, FileEntry file) override;

  // Names, in the target, of the registered models that it has given.
  const std::set<std::string>& models_given() const { return models_given_; }

 private:
  class MappedKnown;
  class ExperimentPages;
  template <class Record>
  class MemberPages;
  class ModelPages;
  class ObjectPages;

  template <class Record>
  std::unique_ptr<Pages<Record>> members(Kind kind, std::string experiment_id, Known& known,
                                         std::unique_ptr<Pages<Record>> (Source::*make)(std::string, Known&));

  Source& inner_;
  Mapping mapping_;
  std::vector<ExperimentRecord> all_;  // the source's, when they become one
  std::string one_id_;                 // of that one; "" when each stays its own
  std::set<std::string> models_given_;
};

}  // namespace mlferry::engine
