#include "engine/endpoints/version_numbers.hpp"

namespace mlferry::engine {

std::vector<VersionStep> plan_versions(const std::vector<std::int64_t>& wanted,
                                       const std::map<std::int64_t, Holder>& present) {
  using What = VersionStep::What;
  std::vector<VersionStep> steps;
  std::int64_t next = present.empty() ? 1 : present.rbegin()->first + 1;
  for (auto const number : wanted) {
    auto const there = present.find(number);
    if (there != present.end()) {
      steps.push_back({there->second == Holder::ours ? What::update : What::conflict, number});
      continue;
    }
    if (number < next) {
      steps.push_back({What::lost, number});
      continue;
    }
    for (; next < number; ++next) steps.push_back({What::placeholder, next});
    steps.push_back({What::create, number});
    ++next;
  }
  return steps;
}

}  // namespace mlferry::engine
