#pragma once
// The files of one model on a server, wherever a model URI leads: a version's source, a logged model, a
// folder among a run's artifacts, or a folder of this machine.

#include <stdexcept>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "engine/context.hpp"
#include "engine/tools/model_uri.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// Where the files are, and how they are asked for.
struct ModelPlace {
  enum class Kind { run, logged_model, proxied, folder };
  Kind kind = Kind::folder;
  std::string id;            // of the run or logged model
  std::string artifact_uri;  // of the same
  std::string path;          // of the model below that; below the proxy's root; the folder
};

// For people: "run 1f… at 'model'".
std::string describe(const ModelPlace& place);

class ModelFiles {
 public:
  // `local_artifacts`: folders that the server names are this machine's. All must outlive it.
  ModelFiles(const Context& context, mlflow::Client& client, bool local_artifacts)
      : context_(context), client_(client), local_artifacts_(local_artifacts) {}

  // Throws NotFound, or std::runtime_error when the server keeps the files where nobody but it can read
  // them. Of a run, files in its own folder come before those of a logged model of that name.
  async::Task<ModelPlace> find(ModelUri uri);
  async::Task<ModelPlace> find_version(mlflow::ModelVersion version);

  // The text of MLmodel. Throws NotFound when there is none.
  async::Task<std::string> read_mlmodel(const ModelPlace& place);
  async::Task<> write_mlmodel(const ModelPlace& place, std::string text);
  // Those of the files that MLmodel names that are not there.
  async::Task<std::vector<std::string>> missing_files(const ModelPlace& place, std::string mlmodel);

 private:
  // Some servers take certain names for others (mlflow-rest 8.3).
  async::Task<> require_servable(std::string path, std::string reason);
  async::Task<mlflow::ModelVersion> resolve_version(const ModelUri& uri);
  async::Task<ModelPlace> find_source(std::string source, std::string run_id, int level);
  async::Task<ModelPlace> find_in_run(std::string run_id, std::string path);
  async::Task<std::optional<ModelPlace>> named_logged_model(std::string run_id, std::string experiment_id,
                                                            std::string path);
  // Names in one folder of the model; nothing when it is not there.
  async::Task<std::vector<mlflow::FileInfo>> list(const ModelPlace& place, std::string folder);

  const Context& context_;
  mlflow::Client& client_;
  bool local_artifacts_;
};

}  // namespace mlferry::engine
