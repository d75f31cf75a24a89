#pragma once
// A plain directory that the package mlflow-export-import or mlferry wrote as a source: the layouts V1 to V4
// of the package, and V5, which has no stanzas, with what it lacks reported (docs/tree.md). A directory of any
// export command: of a whole server, of several objects of a kind, or of a single one. What its lists name and it
// does not hold, and every file that cannot be read, is a failed object of the report; the rest is read all the same.
//
// Runs, logged models and traces of a folder that has no experiment.json are members of one experiment without a
// name, whose id is no server's; their documents keep the id of their own.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/context.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/tree_forms.hpp"
#include "engine/endpoints/tree_stanza.hpp"
#include "storage/tree/tree_reader.hpp"

namespace mlferry::engine {

struct TreeSourceOptions {
  std::uint64_t most_json_bytes = tree::most_json_bytes;  // a larger JSON file is refused
  // Directories of another form are refused. A part of a whole one counts: prompts/ of an export-all.
  std::set<TreeForm> accepts{TreeForm::all, TreeForm::experiments, TreeForm::experiment, TreeForm::prompts,
                             TreeForm::datasets};
  std::set<Kind> kinds{};  // of a whole one only these parts; empty: all
};

// Whether there is something at this place that looks like a tree, of whichever form.
async::Task<bool> is_tree(tree::TreeReader& reader);

// The text of a failure, with the file that it is about in front unless it is named already.
std::optional<std::string> about_file(std::optional<std::string> failure, const std::string& name);

class TreeSource final : public Source {
 public:
  TreeSource(const Context& context, std::string folder, TreeSourceOptions options = {});

  // Throws tree::TreeError when it holds no tree, or one that was not finished.
  async::Task<SourceInfo> open() override;
  std::unique_ptr<Pages<ExperimentRecord>> experiments() override;
  std::unique_ptr<Pages<RunRecord>> runs(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<LoggedModelRecord>> logged_models(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<RegisteredModelRecord>> registered_models(Known& known) override;
  std::unique_ptr<Pages<TraceRecord>> traces(std::string experiment_id, Known& known) override;
  std::unique_ptr<Pages<ObjectRecord>> objects(Kind kind, Known& known) override;
  async::Task<std::unique_ptr<async::ByteReader>> open_file(FileOwner owner, FileEntry file) override;

 private:
  class ExperimentPages;
  template <class Record>
  class ChildPages;
  class ModelPages;
  class DatasetPages;

  struct Container {  // an experiment
    std::string id;
    std::string place;                                     // its folder
    std::vector<std::string> runs, logged_models, traces;  // as its file lists them
    // Where those lie that are in no folder of their kind: by kind and id.
    std::map<std::pair<Kind, std::string>, std::string> at = {};
    std::string name = {};   // where no file of its own tells it
    bool gathered = false;   // no experiment of the source: its members come from anywhere
  };
  // A file of the tree with our stanza, if it is there and the package's was not edited since.
  struct Document {
    json::object file;
    std::optional<OwnStanza> own;
    std::string of;  // content hash
    std::int64_t changed = 0;
    const json::object& content() const { return content_of(file); }
  };

  // tree_source.cpp
  async::Task<std::optional<json::object>> read_object(std::string name);
  async::Task<Document> read_document(std::string name);
  void check_own(Document& document, const std::string& name);
  async::Task<> add_files(RecordBase& record, std::string folder, const Document& document);
  std::string fingerprint(const RecordBase& record, const Document& document, bool as_written,
                          std::string_view files) const;
  // Names of the folders in `place` that hold `file`.
  async::Task<std::vector<std::string>> folders_with(std::string place, std::string file);
  void fail(Kind kind, const std::string& id, const std::string& name, std::string cause);
  void remember(Kind kind, const std::string& id, const std::string& folder);
  std::optional<std::string> place_of(Kind kind, const std::string& id) const;
  std::uint32_t place_number(std::string folder);

  // tree_source_forms.cpp
  async::Task<TreeForm> find_form(tree::TreeListing listing);
  async::Task<std::optional<json::object>> read_root_file(std::string name);
  async::Task<> open_form();
  async::Task<> open_run();
  async::Task<> open_model();
  async::Task<> open_model_version();
  async::Task<> open_logged_model();
  async::Task<> open_trace();
  async::Task<> open_index(std::string file, std::string field, Kind kind);
  async::Task<ExperimentRecord> read_gathering(std::string id);
  async::Task<> add_stand_in(Container& container, std::string folder);
  async::Task<std::optional<RegisteredModelRecord>> read_single_version();
  std::string folder_of(const Container& container, Kind kind, const std::string& id) const;

  // tree_source_pages.cpp
  async::Task<std::optional<ExperimentRecord>> read_experiment(std::string place, std::string listed_name);
  async::Task<std::string> find_run(const Container& container, std::string listed);
  async::Task<RunRecord> read_run(const Container& container, std::string listed);
  async::Task<> fill_run(RunRecord& record, const Container& container, std::string folder,
                         std::string listed);
  async::Task<LoggedModelRecord> read_logged_model(const Container& container, std::string listed);
  async::Task<> fill_logged_model(LoggedModelRecord& record, const Container& container, std::string listed);
  async::Task<TraceRecord> read_trace(const Container& container, std::string listed);
  async::Task<> fill_trace(TraceRecord& record, const Container& container, std::string listed);
  async::Task<> report_unlisted(const Container& container);
  void leave_out_notebooks(RunRecord& record);

  // tree_source_models.cpp
  async::Task<std::optional<RegisteredModelRecord>> read_model(std::string place);
  async::Task<> add_version_files(ModelVersionRecord& item, std::string place, const OwnStanza* own);
  async::Task<std::vector<RegisteredModelRecord>> read_prompts();
  async::Task<std::optional<RegisteredModelRecord>> read_own_prompt(std::string name);
  async::Task<std::vector<RegisteredModelRecord>> read_package_prompts(std::vector<std::string> folders);
  async::Task<std::optional<ObjectRecord>> read_dataset(std::string place);

  const Context& context_;
  tree::TreeReader reader_;
  TreeSourceOptions options_;
  bool ours_ = false;                                                     // written by mlferry
  std::optional<std::string> experiments_, models_, prompts_, datasets_;  // folders; "" is the root
  TreeForm form_ = TreeForm::all;
  std::map<std::string, Container> containers_;              // by id
  std::vector<std::string> places_;                          // folders that owners' folders are in
  std::unordered_map<std::uint64_t, std::uint32_t> owners_;  // hash of kind and id -> number of its place
  std::unordered_map<std::uint64_t, std::string> exact_;     // the same -> its folder, of another name than its id
  std::map<std::string, RunRecord> stand_ins_;               // by the id of the run that is not here
  std::map<std::string, std::string> version_places_;        // "name/3" -> folder of its files
  std::set<std::string> models_given_;
};

}  // namespace mlferry::engine
