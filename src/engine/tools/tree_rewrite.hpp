#pragma once
// Rewrites the files of a plain directory that say what its models, experiments and runs are. Each file
// appears changed as a whole; what it was before stays beside it as FILE.backup, of the first time.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "engine/context.hpp"
#include "protocol/mlflow/json.hpp"
#include "storage/tree/tree_reader.hpp"

namespace mlferry::engine {

// Paths, from the directory, of all model.json, experiment.json and run.json in name order. Not what lies
// among artifacts.
async::Task<std::vector<std::string>> rewritable_files(tree::TreeReader& reader);

// Gives the file's new content; runs on a pool thread. `path`: from the directory.
using RewriteFile = std::function<boost::json::value(const std::string& path, boost::json::value document)>;

struct Rewritten {
  std::size_t files = 0, changed = 0;
  std::vector<std::pair<std::string, std::string>> failed;  // path and why; such a file stays as it was
};

// Throws tree::TreeError when no finished export lies there. `dry_run`: nothing is written.
async::Task<Rewritten> rewrite_tree(const Context& context, std::string folder, RewriteFile rewrite,
                                    bool dry_run);

// Runs `command` by the shell for one document: it reads JSON from its standard input and writes it to its
// standard output, with MLFERRY_FILE (the path from the directory) and MLFERRY_OBJECT (model, experiment,
// run) in its environment. Blocks. Throws std::runtime_error when it ends with another code than 0 or its
// output is no JSON object.
boost::json::value rewrite_by_command(const std::string& command, const std::string& path,
                                      const boost::json::value& document);

}  // namespace mlferry::engine
