#pragma once
// Writes single objects as folders of a tree, wherever in it they go: a run, a logged model, a trace, a
// registered model, a prompt's version, a dataset. Which of them there are, and the files that list them, is
// the caller's.

#include <string>
#include <vector>

#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/tree_stanza.hpp"
#include "storage/tree/object_folder.hpp"

namespace mlferry::engine {

// The stanza "system" of every file.
json::object tree_system(const std::string& tracking_uri, std::int64_t export_time);

// What a model's version is said to belong to, for the package's importer.
struct VersionHome {
  std::string experiment_name;
  std::string run_artifact_uri;
};

// Every function reports the object's files (found, copied, failed), writes the folder `place` of the tree at
// once and whole, and throws when that fails. `replaces`: there was such a folder before.
class TreeObjects {
 public:
  // `writer` null: a dry run, which reports only. Both must outlive it.
  TreeObjects(const Context& context, tree::TreeWriter* writer, json::object system)
      : context_(context), writer_(writer), system_(std::move(system)) {}

  async::Task<> put_run(RunRecord record, Source& source, std::string place, bool replaces);
  async::Task<> put_logged_model(LoggedModelRecord record, Source& source, std::string place, bool replaces);
  async::Task<> put_trace(TraceRecord record, Source& source, std::string place, bool replaces);
  // `homes`: of each version.
  async::Task<> put_registered_model(RegisteredModelRecord record, std::vector<VersionHome> homes,
                                     Source& source, std::string place, bool replaces);
  // `prompt`: what the version is one of.
  async::Task<> put_prompt_version(ModelVersionRecord record, Source& source, std::string place,
                                   bool replaces);
  async::Task<> put_dataset(ObjectRecord record, std::string place);

  // One file of the form that all have. Empty `info` or `own`: without that stanza.
  tree::WriteJson file(json::object info, json::object mlflow, json::object own) const;
  void report_gaps(const RecordBase& record, const std::string& id, const std::string& name);

 private:
  async::Task<std::unique_ptr<tree::ObjectFolder>> begin();
  async::Task<> put_files(tree::ObjectFolder* folder, FileOwner owner, const RecordBase& record,
                          std::string name, std::string below, bool replaces, Source& source, OwnStanza& own);
  async::Task<> put_file(tree::ObjectFolder* folder, FileOwner owner, FileEntry& file, std::string name,
                         std::string below, bool replaces, Source& source, async::Permit slot,
                         std::string& failure);
  async::Task<> finish(std::unique_ptr<tree::ObjectFolder> folder, std::string file_name,
                       tree::WriteJson write, std::string place);

  const Context& context_;
  tree::TreeWriter* writer_;
  json::object system_;
};

}  // namespace mlferry::engine
