#pragma once
// All that a fake server holds, in a form in which an original and its faithful copy are equal. Reads the
// server by itself, with none of the code that it is a test of.

#include <map>
#include <string>

#include "support/fake_mlflow.hpp"

namespace mlferry::test {

// "run alpha/first" -> everything about it, one line a fact. Ids stand as names; mlferry's own tags and what
// the API cannot restore are left out. A second object of the same name gets a key of its own, so that
// duplicates show. Runs of a server must have different names.
using ServerContents = std::map<std::string, std::string>;
ServerContents contents(FakeMlflow& server);

// What is not equal, one line a key, at most ten; empty when all is.
std::string difference(const ServerContents& original, const ServerContents& copy);

// The same with what no call shows, such as the number of deleted versions.
struct ServerSnapshot {
  ServerContents contents;
  Counts counts;
};
ServerSnapshot snapshot(FakeMlflow& server);
std::string difference(const ServerSnapshot& original, const ServerSnapshot& copy);
std::string difference(FakeMlflow& original, FakeMlflow& copy);

}  // namespace mlferry::test
