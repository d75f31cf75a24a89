#include "protocol/mlflow/version.hpp"

#include <charconv>

namespace mlferry::mlflow {

std::optional<Version> parse_version(std::string_view text) {
  if (text.size() > 40) return std::nullopt;
  Version version{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < version.size(); ++i) {
    if (i > 0) {
      if (at == end || *at != '.') return i >= 2 ? std::optional(version) : std::nullopt;
      ++at;
    }
    if (at == end || *at < '0' || *at > '9') return i >= 2 ? std::optional(version) : std::nullopt;
    auto const [next, error] = std::from_chars(at, end, version[i]);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  return version;
}

}  // namespace mlferry::mlflow
