#pragma once
// What a command names, looked up on a server before anything is moved: experiments by name or id, runs with
// their descendants, what model versions stand on. An id that the server refuses as none is as good as
// unknown.

#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/context.hpp"
#include "engine/kinds.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// Nothing of what was asked for is there.
class NotFound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// A text names more than one object.
class Ambiguous : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// Part of what was asked for, and why it cannot be had.
struct Missing {
  Kind kind;
  std::string id;
  std::string reason;
};

// How a text names experiments: "all"; "wine*" (names and ids that begin so); "id:7"; "name:7"; "7" or
// "wine", which may be either.
struct ExperimentWish {
  enum class How { all, prefix, id, name, either } how;
  std::string text;  // without the word before the colon, without the '*'
};
ExperimentWish parse_experiment_wish(std::string_view text);
// Of a wish for all or for a prefix: whether it means this one.
bool wishes(const ExperimentWish& wish, std::string_view id, std::string_view name);

// The run ids of `roots` and of all runs below them, each once, roots first. `children`: parent -> child.
std::vector<std::string> with_descendants(const std::vector<std::string>& roots,
                                          const std::multimap<std::string, std::string>& children);

async::Task<std::vector<mlflow::Experiment>> list_experiments(mlflow::Client& client, mlflow::View view);
async::Task<std::optional<mlflow::Experiment>> find_experiment_by_id(mlflow::Client& client, std::string id);
// One experiment by name or id. Throws Ambiguous when the text is the name of one and the id of another.
async::Task<std::optional<mlflow::Experiment>> find_experiment(mlflow::Client& client, ExperimentWish wish);

async::Task<std::optional<mlflow::Run>> find_run(mlflow::Client& client, std::string id);
// Of one experiment those with these ids, deleted ones too, by id.
async::Task<std::map<std::string, mlflow::Run>> find_runs(mlflow::Client& client, std::string experiment_id,
                                                          std::vector<std::string> ids);
// parent -> child of all nested runs of an experiment.
async::Task<std::multimap<std::string, std::string>> nested_runs(mlflow::Client& client,
                                                                 std::string experiment_id,
                                                                 mlflow::View view);

// What versions' files and metadata belong to; what is gone from the server is left out.
struct VersionOwners {
  std::set<std::string> runs, logged_models, experiments;
  std::map<std::string, std::set<std::string>> runs_by_experiment;
};
async::Task<VersionOwners> owners_of(const Context& context, mlflow::Client& client,
                                     std::vector<mlflow::ModelVersion> versions);

// The logged models that a run takes in and gives out, and the experiments that these are in.
async::Task<VersionOwners> models_of_run(const Context& context, mlflow::Client& client,
                                         const mlflow::Run& run);

}  // namespace mlferry::engine
