#include "cli/package_names.hpp"

#include <algorithm>

namespace mlferry::cli {

namespace {

template <class Names>
bool has(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

constexpr std::string_view whole_servers[] = {"export-all", "import-all", "copy-all", "verify", "convert"};
constexpr std::string_view archives[] = {"check", "snapshots", "ls", "cat"};
constexpr std::string_view about_mlferry[] = {"kinds", "install-aliases"};
// Of the package's names, and ours.
constexpr std::string_view without_registry[] = {
    "check", "snapshots", "ls", "cat", "kinds", "install-aliases", "convert", "copy-run", "download-notebook",
    "export-run", "import-run", "export-trace", "import-trace", "export-traces", "import-traces",
    "export-experiment", "import-experiment", "export-experiments", "import-experiments",
    "export-logged-model", "export-logged-models", "import-logged-model", "import-logged-models",
    "export-evaluation-dataset", "export-evaluation-datasets", "import-evaluation-dataset",
    "import-evaluation-datasets", "find-artifacts", "http-client", "rewrite-export", "filter-one-model",
    "run-submit", "set-model-signature",
    // Names its registries by options of its own.
    "copy-model-version"};

}  // namespace

std::optional<std::string> aliased_command(std::string_view program) {
  auto const name = program.substr(program.rfind('/') + 1);
  if (!has(package_commands, name)) return std::nullopt;
  return std::string(name);
}

std::string command_group(std::string_view command) {
  if (has(whole_servers, command)) return "Whole servers";
  if (has(archives, command)) return "Archives";
  if (has(about_mlferry, command)) return "About mlferry";
  if (command.starts_with("export-")) return "Exports into a directory, as of mlflow-export-import";
  if (command.starts_with("import-")) return "Imports from a directory, as of mlflow-export-import";
  return "Copies and tools, as of mlflow-export-import";
}

bool touches_registry(std::string_view command) {
  return !has(without_registry, command);
}

}  // namespace mlferry::cli
