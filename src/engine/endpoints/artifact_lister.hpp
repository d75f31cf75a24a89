#pragma once
// Lists every file below the artifact roots of many runs, many folders at once: through the proxy where the run
// names it, which is the least work for the server; else ten folders a /graphql request where the server has
// it, else one folder a request. Runs whose folder the proxy does not even hold cost nothing.

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/context.hpp"
#include "engine/records.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

// Names of folders that exist below a proxied folder that holds one for each run, or trace; nullopt: not known,
// list them all.
using KnownFolders = std::optional<std::unordered_set<std::string>>;

// One request. nullopt when the location is not proxied or the listing fails.
async::Task<KnownFolders> list_owner_folders(mlflow::Client& client, std::string location);

// Whether a run or trace certainly has no files: its artifacts lie below `location` and its folder is not there.
bool surely_empty(std::string_view artifact_uri, std::string_view location, const KnownFolders& folders);

// Fills `files` and `gaps` of each record. `local_artifacts`: local folders that the runs name may be read on
// this machine. Names that no endpoint can serve become gaps. Unlistable folders become gaps too. At most
// `max_depth` levels and `max_files` files a run: beyond that a gap says so.
async::Task<> list_run_files(const Context& context, mlflow::Client& client,
                             const mlflow::Capabilities& capabilities, std::string artifact_location,
                             const KnownFolders& folders, bool local_artifacts, std::vector<RunRecord>& runs);

// The same for one logged model; a deleted one is listed through the proxy.
async::Task<> list_model_files(const Context& context, mlflow::Client& client,
                               const mlflow::Capabilities& capabilities, bool local_artifacts,
                               LoggedModelRecord& record);

// The same for a trace, wherever its spans are. False when its folder is neither proxied nor local: of files there
// the server gives only the one that holds the spans.
async::Task<bool> list_trace_files(const Context& context, mlflow::Client& client,
                                   const mlflow::Capabilities& capabilities, bool local_artifacts,
                                   TraceRecord& record);

// The same for a model version, whose files no run or logged model brings along.
async::Task<> list_version_files(const Context& context, mlflow::Client& client,
                                 const mlflow::Capabilities& capabilities, bool local_artifacts,
                                 ModelVersionRecord& record);

// "mlflow-artifacts:/a/b" and "mlflow-artifacts://host/a/b" -> "a/b"; nullopt for other schemes.
std::optional<std::string> proxied_path(std::string_view artifact_uri);

inline constexpr std::size_t max_folder_depth = 64;
inline constexpr std::size_t max_files_of_one_owner = 2'000'000;

}  // namespace mlferry::engine
