#pragma once
// Decides how a model's version numbers come about. A server gives a new version the number max + 1, deleted
// ones counted (mlflow-rest 6.3): gaps of the source are filled by placeholders that are deleted afterwards.
// Pure.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mlferry::engine {

// Accepted as a source by every server, and recognisable after a crash.
inline constexpr const char* placeholder_source = "s3://mlferry-placeholder/none";

struct VersionStep {
  enum class What {
    create,       // the source's version of this number
    placeholder,  // fills a number that the source has no live version of
    update,       // our copy is there
    conflict,     // another version of this number is there
    lost,         // the number is used up: a version of it was deleted in the destination
  };
  What what;
  std::int64_t number;
  friend bool operator==(const VersionStep&, const VersionStep&) = default;
};

enum class Holder { ours, placeholder, foreign };

// `wanted`: the source's live numbers, ascending. `present`: the destination's live numbers. The steps are in
// the order in which they must be carried out.
std::vector<VersionStep> plan_versions(const std::vector<std::int64_t>& wanted,
                                       const std::map<std::int64_t, Holder>& present);

}  // namespace mlferry::engine
