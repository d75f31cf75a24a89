#include <CLI/CLI.hpp>

#include <cstdio>

#include "cli/commands/commands.hpp"
#include "engine/coverage.hpp"

namespace mlferry::cli {

void add_kinds(CLI::App& app, Run& run) {
  auto* command =
      app.add_subcommand("kinds", "Say what of each kind of object is copied, and what cannot be");
  command->callback([&run] {
    run = [] {
      auto const table = engine::coverage_markdown();
      std::fwrite(table.data(), 1, table.size(), stdout);
      return std::fflush(stdout) == 0 ? ExitCode::ok : ExitCode::other;
    };
  });
}

}  // namespace mlferry::cli
