#include "cli/alias_links.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "cli/package_names.hpp"
#include "cli/server_options.hpp"

namespace mlferry::cli {

namespace fs = std::filesystem;

namespace {

enum class Found { nothing, ours, older, other };

Found what_is(const fs::path& link, const std::string& program) {
  std::error_code error;
  auto const status = fs::symlink_status(link, error);
  if (status.type() == fs::file_type::not_found) return Found::nothing;
  if (status.type() != fs::file_type::symlink) return Found::other;
  auto const target = fs::read_symlink(link, error);
  if (error) return Found::other;
  if (target == program) return Found::ours;
  return target.filename() == "mlferry" ? Found::older : Found::other;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (auto const& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

AliasLinks make_alias_links(const std::string& folder, const std::string& program) {
  AliasLinks links;
  for (auto const command : package_commands) {
    std::string const name(command);
    if (what_is(fs::path(folder) / name, program) == Found::other) links.not_ours.push_back(name);
  }
  if (!links.not_ours.empty())
    throw UsageError(
        folder + " holds other things of these names, which are not overwritten: " + list_of(links.not_ours));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw std::runtime_error("cannot make the folder " + folder + ": " + error.message());
  for (auto const command : package_commands) {
    std::string const name(command);
    auto const link = fs::path(folder) / name;
    auto const found = what_is(link, program);
    if (found == Found::ours) {
      links.kept.push_back(name);
      continue;
    }
    if (found == Found::older) fs::remove(link, error);
    fs::create_symlink(program, link, error);
    if (error) throw std::runtime_error("cannot make the link " + link.string() + ": " + error.message());
    links.made.push_back(name);
  }
  return links;
}

AliasLinks remove_alias_links(const std::string& folder, const std::string& program) {
  AliasLinks links;
  for (auto const command : package_commands) {
    std::string const name(command);
    auto const link = fs::path(folder) / name;
    auto const found = what_is(link, program);
    if (found == Found::nothing) continue;
    if (found == Found::other) {
      links.not_ours.push_back(name);
      continue;
    }
    std::error_code error;
    fs::remove(link, error);
    if (error) throw std::runtime_error("cannot remove the link " + link.string() + ": " + error.message());
    links.removed.push_back(name);
  }
  return links;
}

std::string program_file() {
  std::error_code error;
  auto const file = fs::read_symlink("/proc/self/exe", error);
  if (error) throw std::runtime_error("cannot find this program's own file: " + error.message());
  return file.string();
}

}  // namespace mlferry::cli
