#pragma once
// The names of mlflow-export-import that are ours, too: its console commands, under which mlferry also runs
// when it is called by one of them through a link; and the modules of it that have no console command, as
// subcommands.

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace mlferry::cli {

inline constexpr std::array<std::string_view, 37> package_commands{
    "copy-model-version",
    "copy-run",
    "download-notebook",
    "export-all",
    "export-evaluation-dataset",
    "export-evaluation-datasets",
    "export-experiment",
    "export-experiments",
    "export-logged-model",
    "export-logged-models",
    "export-model",
    "export-model-version",
    "export-models",
    "export-prompt",
    "export-prompts",
    "export-run",
    "export-trace",
    "export-traces",
    "get-model-signature",
    "http-client",
    "import-all",
    "import-evaluation-dataset",
    "import-evaluation-datasets",
    "import-experiment",
    "import-experiments",
    "import-logged-model",
    "import-logged-models",
    "import-model",
    "import-model-version",
    "import-models",
    "import-prompt",
    "import-prompts",
    "import-run",
    "import-trace",
    "import-traces",
    "list-model-versions-without-signatures",
    "set-model-signature",
};

inline constexpr std::array<std::string_view, 5> package_modules{
    "filter-one-model", "find-artifacts", "list-registered-models", "rewrite-export", "run-submit",
};

// The command that a program's name stands for: "/usr/bin/export-run" -> "export-run"; nothing for other
// names.
std::optional<std::string> aliased_command(std::string_view program);

// The heading under which `mlferry --help` lists a command.
std::string command_group(std::string_view command);

// Whether a command reads or writes models' versions or prompts, and so the registry.
bool touches_registry(std::string_view command);

}  // namespace mlferry::cli
