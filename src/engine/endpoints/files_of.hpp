#pragma once
// A source that only opens files: those of an object of another source, as if they were another object's.

#include <memory>

#include "engine/endpoints/source.hpp"

namespace mlferry::engine {

class FilesOf : public Source {
 public:
  // `source` must outlive it; `owner`: whose files they are there.
  FilesOf(Source& source, FileOwner owner) : source_(source), owner_(std::move(owner)) {}
  async::Task<SourceInfo> open() final { co_return SourceInfo{}; }
  std::unique_ptr<Pages<ExperimentRecord>> experiments() final { return nullptr; }
  std::unique_ptr<Pages<RunRecord>> runs(std::string, Known&) final { return nullptr; }
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string, Known&) final { return nullptr; }
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known&) final { return nullptr; }
  std::unique_ptr<Pages<TraceRecord>> traces(std::string, Known&) final { return nullptr; }
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind, Known&) final { return nullptr; }

 protected:
  async::Task<std::unique_ptr<async::ByteReader>> open_there(FileEntry file) {
    return source_.open_file(owner_, std::move(file));
  }

 private:
  Source& source_;
  FileOwner owner_;
};

}  // namespace mlferry::engine
