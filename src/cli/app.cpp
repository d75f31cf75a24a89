#include "cli/app.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <vector>

#include "cli/failures.hpp"
#include "cli/package_environment.hpp"
#include "cli/package_names.hpp"

namespace mlferry::cli {

namespace {

constexpr const char* description =
    "Moves whole MLflow tracking servers: back up, restore, copy, verify. Losing nothing, as fast as the "
    "server can answer.";
constexpr const char* footer =
    "Exit codes: 0 all done, 1 other error, 2 usage, 3 some objects failed, 4 unreachable or not found, 5 "
    "temporary,\n"
    "11 locked, 12 authentication, 20 verification mismatch, 130 interrupted.";

// Where the package's environment says where its log goes, ours goes there, with as much in it.
void apply_package_log(CLI::App& app, const PackageLog& log) {
  if (log.file.empty()) return;
  for (auto* command : app.get_subcommands([](CLI::App*) { return true; })) {
    if (auto* option = command->get_option_no_throw("--log-file")) option->default_val(log.file);
    if (auto* option = command->get_option_no_throw("--log-level")) option->default_val("info");
  }
}

// Whether the command takes a server, and it is the environment's.
bool takes_tracking_uri(CLI::App& command) {
  bool takes_server = false;
  for (auto const* name : {"--src-mlflow-uri", "--dst-mlflow-uri"}) {
    auto const* option = command.get_option_no_throw(name);
    if (option != nullptr && option->count() > 0) return false;
    takes_server = takes_server || option != nullptr;
  }
  return takes_server;
}

int parse_failed(const CLI::App& app, const CLI::ParseError& error, const std::vector<char*>& words) {
  std::string command = "mlferry";
  for (auto const* chosen : app.get_subcommands()) command += " " + chosen->get_name();
  if (app.get_subcommands().empty() && words.size() > 1 && words[1][0] != '-') {
    std::fprintf(stderr, "mlferry: error: '%s' is not a command (mlferry --help lists them)\n", words[1]);
    return static_cast<int>(ExitCode::usage);
  }
  std::fprintf(stderr, "mlferry: error: %s (%s --help lists the options)\n", error.what(), command.c_str());
  return static_cast<int>(ExitCode::usage);
}

}  // namespace

void add_commands(CLI::App& app, Run& run) {
  add_export_all(app, run);
  add_import_all(app, run);
  add_copy_all(app, run);
  add_verify(app, run);
  add_convert(app, run);
  add_check(app, run);
  add_snapshots(app, run);
  add_ls(app, run);
  add_cat(app, run);
  add_package_exports(app, run);
  add_package_imports(app, run);
  add_package_tools(app, run);
  add_kinds(app, run);
  add_install_aliases(app, run);
  for (auto* command : app.get_subcommands([](CLI::App*) { return true; }))
    command->group(command_group(command->get_name()));
}

int run_app(int argc, char** argv) {
  CLI::App app(description, "mlferry");
  app.footer(footer);
  app.set_version_flag("--version", std::string("mlferry " MLFERRY_VERSION));
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default(false);
  Run run;
  add_commands(app, run);
  std::vector<char*> words(argv, argv + argc);
  auto alias = aliased_command(argc > 0 ? argv[0] : "");
  if (alias) words.insert(words.begin() + 1, alias->data());
  auto const log = package_log(process_environment());
  try {
    apply_package_log(app, log);
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    return parse_failed(app, error, words);
  }
  for (auto const& warning : log.warnings) std::fprintf(stderr, "mlferry: warning: %s\n", warning.c_str());
  try {
    auto* command = app.get_subcommands().front();
    if (takes_tracking_uri(*command)) check_registry_uri(command->get_name(), process_environment());
    return static_cast<int>(run());
  } catch (...) {
    auto const ending = ending_of(std::current_exception());
    std::fprintf(stderr, "mlferry: error: %s\n", ending.message.c_str());
    return static_cast<int>(ending.code);
  }
}

}  // namespace mlferry::cli
