#include "cli/alias_links.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "cli/package_names.hpp"
#include "cli/server_options.hpp"
#include "support/archive_fixture.hpp"

using namespace mlferry::cli;
namespace fs = std::filesystem;

TEST_SUITE("cli") {
  TEST_CASE("alias links: made once, kept, made anew for another place, removed") {
    mlferry::test::ScratchFolder scratch;
    auto const folder = (scratch.path() / "new" / "bin").string();
    auto links = make_alias_links(folder, "/opt/a/mlferry");
    CHECK(links.made.size() == package_commands.size());
    CHECK(fs::read_symlink(fs::path(folder) / "export-run") == "/opt/a/mlferry");
    links = make_alias_links(folder, "/opt/a/mlferry");
    CHECK(links.made.empty());
    CHECK(links.kept.size() == package_commands.size());
    links = make_alias_links(folder, "/opt/b/mlferry");
    CHECK(links.made.size() == package_commands.size());
    CHECK(fs::read_symlink(fs::path(folder) / "export-run") == "/opt/b/mlferry");
    std::ofstream(fs::path(folder) / "other") << "x";
    CHECK(remove_alias_links(folder, "/opt/b/mlferry").removed.size() == package_commands.size());
    CHECK(remove_alias_links(folder, "/opt/b/mlferry").removed.empty());
    CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 1);
  }

  TEST_CASE("alias links: what somebody else has put there is neither overwritten nor removed") {
    mlferry::test::ScratchFolder scratch;
    std::ofstream(scratch.path() / "import-run") << "python";
    fs::create_symlink("/usr/bin/python3", scratch.path() / "export-all");
    auto const folder = scratch.path().string();
    CHECK_THROWS_AS(make_alias_links(folder, "/opt/mlferry"), UsageError);
    CHECK_FALSE(fs::exists(fs::symlink_status(scratch.path() / "export-run")));  // nothing was done
    auto const links = remove_alias_links(folder, "/opt/mlferry");
    CHECK(links.removed.empty());
    CHECK(links.not_ours == std::vector<std::string>{"export-all", "import-run"});
    CHECK(fs::exists(scratch.path() / "import-run"));
  }
}
