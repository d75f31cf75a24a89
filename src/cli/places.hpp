#pragma once
// Where a job keeps what it exported: an archive, or a plain directory in the form of mlflow-export-import.
// Read, it is recognised by what lies there.

#include <memory>
#include <string>

#include "cli/endpoints.hpp"
#include "cli/workspace_options.hpp"
#include "engine/endpoints/source.hpp"
#include "engine/endpoints/target.hpp"
#include "engine/endpoints/tree_layout.hpp"
#include "engine/endpoints/tree_source.hpp"

namespace mlferry::cli {

struct PlaceOptions {
  ArchiveOptions archive;
  std::string folder;            // --output-dir, --input-dir
  engine::TreeExport tree = {};  // of a directory to write: what its files say of the options
};

// --archive and --output-dir, of which one is given; --compression.
void add_output_options(CLI::App& app, PlaceOptions& options);
// --archive and --input-dir, of which one is given; --snapshot.
void add_input_options(CLI::App& app, PlaceOptions& options);

// Whether an archive is meant; of a place to read: whether there is one.
bool is_archive(const PlaceOptions& options);
// For people.
const std::string& place_name(const PlaceOptions& options);

// With what it stands on. Throws UsageError unless one place is given.
struct TargetPlace {
  std::unique_ptr<archive::Archive> archive;
  std::unique_ptr<engine::Target> target;
};
// `part`: of which job an archive's snapshot is.
TargetPlace open_target(Runtime& runtime, const PlaceOptions& options, engine::SnapshotOfJob part = {});

struct SourcePlace {
  std::unique_ptr<archive::Archive> archive;
  std::unique_ptr<engine::Source> source;
};
// `context`: of the job that reads it; must outlive it.
// `snapshot`: of an archive, another one than the options say; "": that.
// `tree`: of a directory, which kinds of them will do.
SourcePlace open_source(Runtime& runtime, const engine::Context& context, const PlaceOptions& options,
                        const std::string& snapshot = {}, const engine::TreeSourceOptions& tree = {});

// What a place holds that a job moves one after the other.
async::Task<SnapshotParts> parts_of_place(Runtime& runtime, const PlaceOptions& options);

}  // namespace mlferry::cli
