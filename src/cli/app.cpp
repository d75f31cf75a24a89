#include "cli/app.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

#include "cli/commands/commands.hpp"
#include "cli/failures.hpp"

namespace mlferry::cli {

namespace {

constexpr const char* description =
    "Moves whole MLflow tracking servers: back up, restore, copy, verify. Losing nothing, as fast as the "
    "server can answer.";
constexpr const char* footer =
    "Exit codes: 0 all done, 1 other error, 2 usage, 3 some objects failed, 4 unreachable or not found, 5 "
    "temporary,\n"
    "11 locked, 12 authentication, 20 verification mismatch, 130 interrupted.";

}  // namespace

int run_app(int argc, char** argv) {
  CLI::App app(description, "mlferry");
  app.footer(footer);
  app.set_version_flag("--version", std::string("mlferry " MLFERRY_VERSION));
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default(false);
  Run run;
  add_export_all(app, run);
  add_import_all(app, run);
  add_copy_all(app, run);
  add_verify(app, run);
  add_convert(app, run);
  add_check(app, run);
  add_snapshots(app, run);
  add_ls(app, run);
  add_cat(app, run);
  add_kinds(app, run);
  add_package_exports(app, run);
  add_package_imports(app, run);
  add_package_tools(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    std::string command = "mlferry";
    for (auto const* chosen : app.get_subcommands()) command += " " + chosen->get_name();
    if (app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      std::fprintf(stderr, "mlferry: error: '%s' is not a command (mlferry --help lists them)\n", argv[1]);
      return static_cast<int>(ExitCode::usage);
    }
    std::fprintf(stderr, "mlferry: error: %s (%s --help lists the options)\n", error.what(), command.c_str());
    return static_cast<int>(ExitCode::usage);
  }
  try {
    return static_cast<int>(run());
  } catch (...) {
    auto const ending = ending_of(std::current_exception());
    std::fprintf(stderr, "mlferry: error: %s\n", ending.message.c_str());
    return static_cast<int>(ending.code);
  }
}

}  // namespace mlferry::cli
