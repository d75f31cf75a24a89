#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "cli/alias_links.hpp"
#include "cli/commands/commands.hpp"

namespace mlferry::cli {

namespace {

struct AliasJob {
  std::string folder;
  bool remove = false;
};

ExitCode install_aliases(const AliasJob& job) {
  auto const links = job.remove ? remove_alias_links(job.folder, program_file())
                                : make_alias_links(job.folder, program_file());
  std::string text = job.remove
                         ? fmt::format("{} links removed", links.removed.size())
                         : fmt::format("{} links made, {} were there", links.made.size(), links.kept.size());
  if (!links.not_ours.empty())
    text += fmt::format("; {} other things of these names left alone", links.not_ours.size());
  std::fputs((text + "\n").c_str(), stdout);
  return std::fflush(stdout) == 0 ? ExitCode::ok : ExitCode::other;
}

}  // namespace

void add_install_aliases(CLI::App& app, Run& run) {
  auto job = std::make_shared<AliasJob>();
  auto* command = app.add_subcommand(
      "install-aliases",
      "Make links with the names of mlflow-export-import's commands, so that its scripts run unchanged");
  command->add_option("folder", job->folder, "Folder of the links, on the PATH")->required();
  command->add_flag("--remove", job->remove, "Remove the links that lead here, and nothing else");
  command->callback([job, &run] { run = [job] { return install_aliases(*job); }; });
}

}  // namespace mlferry::cli
