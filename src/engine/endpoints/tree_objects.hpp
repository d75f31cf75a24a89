#pragma once
// Writes single objects as folders of a tree, wherever in it they go: a run, a logged model, a trace, a
// registered model, a prompt's version, a dataset. Which of them there are, and the files that list them, is
// the caller's.

#include <memory>
#include <string>
#include <vector>

#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/tree_layout.hpp"
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
// once and whole, and throws when that fails. `replaces`: there was such a folder before. An object whose
// place is the tree itself ("") waits for commit_root(); in a tree that is one folder all objects do.
class TreeObjects {
 public:
  // `writer` null: a dry run, which reports only. `root`: members that the stanza of the tree's own file has
  // besides. References must outlive it.
  TreeObjects(const Context& context, tree::TreeWriter* writer, json::object system, const TreeExport& what,
              json::object root)
      : context_(context),
        writer_(writer),
        system_(std::move(system)),
        export_(what),
        root_members_(std::move(root)) {}

  async::Task<> put_run(RunRecord record, Source& source, std::string place, bool replaces);
  async::Task<> put_logged_model(LoggedModelRecord record, Source& source, std::string place, bool replaces);
  async::Task<> put_trace(TraceRecord record, Source& source, std::string place, bool replaces);
  // `homes`: of each version.
  async::Task<> put_registered_model(RegisteredModelRecord record, std::vector<VersionHome> homes,
                                     Source& source, std::string place, bool replaces);
  // `prompt`: what the version is one of.
  // The tree of one version, with what describes its model.
  async::Task<> put_model_version(RegisteredModelRecord model, Source& source, bool replaces);
  // `prompt`: where the version stands alone, the document of what it is one of; else empty.
  async::Task<> put_prompt_version(ModelVersionRecord record, json::object prompt, Source& source,
                                   std::string place, bool replaces);
  // Into the tree of one version, beside it.
  async::Task<> put_plain_experiment(const ExperimentRecord& record);
  // What waits for it. False when there is nothing.
  async::Task<bool> commit_root();
  async::Task<> put_dataset(ObjectRecord record, std::string place);

  // With what the tree's own file says besides, where `place` is the tree.
  json::object stanza(const OwnStanza& own, const std::string& place) const;
  // One file of the form that all have. Empty `info` or `own`: without that stanza.
  tree::WriteJson file(json::object info, json::object mlflow, json::object own) const;
  void report_gaps(const RecordBase& record, const std::string& id, const std::string& name);

 private:
  // An object on its way: `prefix` is put before its files' names in `folder`, which is null in a dry run.
  struct Part {
    std::shared_ptr<tree::ObjectFolder> folder;
    std::string prefix;
  };
  async::Task<Part> begin(std::string place);
  async::Task<> put_files(Part part, FileOwner owner, const RecordBase& record, std::string name,
                          std::string below, bool replaces, Source& source, OwnStanza& own);
  async::Task<> put_version_files(Part part, const ModelVersionRecord& item, std::string below, bool replaces,
                                  Source& source, OwnStanza& own);
  async::Task<> put_file(tree::ObjectFolder* folder, FileOwner owner, FileEntry& file, std::string name,
                         std::string below, bool replaces, Source& source, async::Permit slot,
                         std::string& failure);
  async::Task<> finish(Part part, std::string file_name, tree::WriteJson write, std::string place);

  const Context& context_;
  tree::TreeWriter* writer_;
  json::object system_;
  const TreeExport& export_;
  json::object root_members_;
  std::shared_ptr<tree::ObjectFolder> root_;  // waits for commit_root()
  bool has_run_ = false;                      // of a tree of one version
};

}  // namespace mlferry::engine
