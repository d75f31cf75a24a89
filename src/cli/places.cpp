#include "cli/places.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>

#include "engine/endpoints/tree_target.hpp"

namespace mlferry::cli {

namespace {

void check_one(const PlaceOptions& options, const char* other) {
  if (options.folder.empty() != options.archive.place.empty()) return;
  throw UsageError(std::string("give --archive or ") + other +
                   (options.folder.empty() ? ": where to" : ", not both (MLFERRY_ARCHIVE counts, too)"));
}

void refuse_bucket(const std::string& place) {
  if (place.find("://") != std::string::npos) throw UsageError("'" + place + "' is no folder");
}

// The file that every archive begins with.
bool holds_archive(const std::string& folder) {
  std::error_code error;
  return std::filesystem::is_regular_file(folder + "/mlferry-archive", error);
}

}  // namespace

void add_output_options(CLI::App& app, PlaceOptions& options) {
  add_archive_option(app, options.archive, false);
  app.add_option("--output-dir", options.folder,
                 "Instead of an archive: a plain directory as mlflow-export-import writes it")
      ->envname("MLFERRY_OUTPUT_DIR");
  app.add_option("--compression", options.archive.compression, "zstd level of an archive; 0 stores as it is")
      ->envname("MLFERRY_COMPRESSION")
      ->check(CLI::Range(0, 19))
      ->capture_default_str();
}

void add_input_options(CLI::App& app, PlaceOptions& options) {
  add_archive_option(app, options.archive, false);
  app.add_option("--input-dir", options.folder,
                 "A directory of mlflow-export-import or of --output-dir, or an archive: found out by itself")
      ->envname("MLFERRY_INPUT_DIR");
  add_snapshot_option(app, options.archive);
}

bool is_archive(const PlaceOptions& options) {
  return options.folder.empty() || holds_archive(options.folder);
}

const std::string& place_name(const PlaceOptions& options) {
  return options.folder.empty() ? options.archive.place : options.folder;
}

TargetPlace open_target(Runtime& runtime, const PlaceOptions& options, engine::SnapshotOfJob part) {
  check_one(options, "--output-dir");
  TargetPlace place;
  if (options.folder.empty()) {
    place.archive = open_archive(runtime, options.archive);
    place.target =
        std::make_unique<engine::ArchiveTarget>(runtime.context(), *place.archive, options.archive.place,
                                                            std::move(part));
  } else {
    refuse_bucket(options.folder);
    if (holds_archive(options.folder))
      throw UsageError(options.folder + " is an archive: write to it with --archive");
    auto what = options.tree;
    what.request = runtime.context().options.selection.describe();
    if (what.export_version_model) what.request += (what.request.empty() ? "" : " ") + std::string("--export-version-model true");
    what.output_dir = options.folder;
    what.use_threads = runtime.options().jobs != "1";
    place.target = std::make_unique<engine::TreeTarget>(runtime.context(), options.folder, 0, std::move(what));
  }
  return place;
}

SourcePlace open_source(Runtime& runtime, const engine::Context& context, const PlaceOptions& options,
                        const std::string& snapshot, const engine::TreeSourceOptions& tree) {
  check_one(options, "--input-dir");
  SourcePlace place;
  auto archive = options.archive;
  if (!options.folder.empty()) {
    refuse_bucket(options.folder);
    if (holds_archive(options.folder)) archive.place = options.folder;
  }
  if (!snapshot.empty()) archive.snapshot = snapshot;
  if (!archive.place.empty()) {
    place.archive = open_archive(runtime, archive);
    place.source =
        std::make_unique<engine::ArchiveSource>(context, *place.archive, archive.place, archive.snapshot);
  } else {
    if (!context.options.selection.everything())
      throw UsageError("a part of a directory cannot be chosen yet: make an archive of it (mlferry convert --from " +
                       options.folder + " --archive …) and choose from that");
    if (archive.snapshot != "latest")
      throw UsageError("--snapshot is for archives; " + options.folder + " is none");
    place.source = std::make_unique<engine::TreeSource>(context, options.folder, tree);
  }
  return place;
}

async::Task<SnapshotParts> parts_of_place(Runtime& runtime, const PlaceOptions& options) {
  check_one(options, "--input-dir");
  if (!is_archive(options)) co_return SnapshotParts{{""}, {engine::Workspace{}}};
  ArchiveOptions named = options.archive;
  named.place = place_name(options);
  auto const archive = open_archive(runtime, named);
  co_return co_await parts_of_snapshot(*archive, named.snapshot, runtime.report());
}

}  // namespace mlferry::cli
