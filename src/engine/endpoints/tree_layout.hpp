#pragma once
// Where the objects of an export lie in its directory, and which file lists them: the forms that the commands
// of the package mlflow-export-import write (docs/tree.md). Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/endpoints/tree_forms.hpp"
#include "engine/kinds.hpp"
#include "engine/records.hpp"

namespace mlferry::engine {

// "export-run": the command that writes it, which is also its name in files.
std::string_view form_name(TreeForm form);

// "a" and "b" -> "a/b"; an empty part is none.
std::string path_below(std::string_view folder, std::string_view name);

class TreeLayout {
 public:
  explicit TreeLayout(TreeForm form) : form_(form) {}
  TreeForm form() const { return form_; }

  // Written last; a directory that has it is whole.
  std::string root_file() const;
  // The object whose file that is, when it is one.
  std::optional<Kind> root_object() const;
  // Entries of the directory that belong to that object, besides its file.
  std::vector<std::string> root_parts() const;
  // All of the export is one object: it appears at once.
  bool one_folder() const { return form_ == TreeForm::model_version; }

  // Folders from the directory; "" is itself; nothing where objects of the kind have no place.
  std::optional<std::string> experiment(std::string_view id) const;
  // Runs, logged models and traces.
  std::optional<std::string> member(Kind kind, std::string_view experiment, std::string_view id) const;
  std::optional<std::string> registered_model(std::string_view name) const;
  std::optional<std::string> prompt_version(std::string_view name, std::int64_t number) const;
  // The file of the prompt itself; nothing where its version's file holds it.
  std::optional<std::string> prompt_file(std::string_view name) const;
  std::optional<std::string> dataset(std::string_view name, std::string_view id) const;

 private:
  TreeForm form_;
};

// The file in the folder of a run, logged model or trace.
std::string member_file(Kind kind);

// What an export into a directory is about: for the files that say it, and to know it again.
struct TreeExport {
  TreeForm form = TreeForm::all;
  // What was asked for, as text: another export of the same form is not written into the same directory.
  std::string request;
  // Values of options as they were given.
  std::string output_dir = ".";
  json::value experiments = "all";
  json::value models = "all";
  json::value stages, run_start_time, runs_until;
  bool export_latest_versions = false;
  bool export_all_runs = true;
  bool export_deleted_runs = true;
  bool export_version_model = false;
  bool use_threads = false;
  std::size_t target_stages = 0, target_versions = 0;
  // Deleted runs stand in the list "runs", as those of the package do, and not in a list of ours.
  bool deleted_in_lists = false;
  // Of one model: entries of "failed_versions" for versions that the server does not have.
  json::array failed_versions;
  // Of one version: where in its run's artifacts its files go; "": into version_model/.
  std::string version_artifact_path;
  bool run_artifacts = true;
};

}  // namespace mlferry::engine
