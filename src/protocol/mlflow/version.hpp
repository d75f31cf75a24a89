#pragma once
// A server's version as a number to compare. For the few differences that no endpoint shows.

#include <array>
#include <optional>
#include <string_view>

namespace mlferry::mlflow {

using Version = std::array<int, 3>;

// "3.17.2" -> {3, 17, 2}; what follows the digits ("rc1", ".dev0") is left out. nullopt when the text, which
// may be any page that somebody serves as /version, does not begin like a version.
std::optional<Version> parse_version(std::string_view text);

}  // namespace mlferry::mlflow
