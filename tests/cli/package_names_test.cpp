#include "cli/package_names.hpp"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>

#include "cli/app.hpp"

using namespace mlferry::cli;

namespace {

std::set<std::string> subcommands() {
  CLI::App app;
  Run run;
  add_commands(app, run);
  std::set<std::string> names;
  for (auto const* command : app.get_subcommands([](CLI::App*) { return true; }))
    names.insert(command->get_name());
  return names;
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("package names: every alias and module is a command") {
    auto const commands = subcommands();
    for (auto const name : package_commands) {
      CAPTURE(name);
      CHECK(commands.contains(std::string(name)));
    }
    for (auto const name : package_modules) CHECK(commands.contains(std::string(name)));
  }

  TEST_CASE("package names: each once, in order") {
    CHECK(std::is_sorted(package_commands.begin(), package_commands.end()));
    CHECK(std::adjacent_find(package_commands.begin(), package_commands.end()) == package_commands.end());
  }

  TEST_CASE("package names: a program's name is an alias only when it is one of the package's") {
    CHECK(aliased_command("export-run") == "export-run");
    CHECK(aliased_command("/usr/local/bin/import-all") == "import-all");
    CHECK(aliased_command("./http-client") == "http-client");
    for (auto const* other : {"mlferry", "/opt/export-run/mlferry", "export-run.exe", "copy-all", "verify",
                              "find-artifacts", "", "/", "Export-Run"}) {
      CAPTURE(other);
      CHECK_FALSE(aliased_command(other).has_value());
    }
  }

  TEST_CASE("package names: headings of the help, and what touches the registry") {
    CHECK(command_group("export-all") == "Whole servers");
    CHECK(command_group("cat") == "Archives");
    CHECK(command_group("export-run").starts_with("Exports"));
    CHECK(command_group("import-models").starts_with("Imports"));
    CHECK(command_group("http-client").starts_with("Copies and tools"));
    CHECK(command_group("install-aliases") == "About mlferry");
    for (auto const* command : {"export-all", "import-models", "export-prompt", "get-model-signature",
                                "list-registered-models", "copy-all", "verify"})
      CHECK(touches_registry(command));
    for (auto const* command : {"export-run", "import-experiments", "import-traces", "http-client", "check",
                                "find-artifacts", "copy-model-version"})
      CHECK_FALSE(touches_registry(command));
  }
}
