#pragma once
// Links with the names of mlflow-export-import's console commands, all to this program.

#include <string>
#include <vector>

namespace mlferry::cli {

struct AliasLinks {
  std::vector<std::string> made, kept, removed;
  std::vector<std::string> not_ours;  // other things of these names, left alone by a removal
};

// Makes the folder where it is missing. Links that lead to another mlferry are made anew. Throws UsageError,
// with nothing changed, when something else has one of the names.
AliasLinks make_alias_links(const std::string& folder, const std::string& program);
// Removes links that lead to an mlferry, and nothing else.
AliasLinks remove_alias_links(const std::string& folder, const std::string& program);

// This program's file. Throws std::runtime_error where the system does not tell.
std::string program_file();

}  // namespace mlferry::cli
