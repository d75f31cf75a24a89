#include "engine/endpoints/assessments.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace mlferry::engine {

namespace {

using mlflow::json::object;

std::string id_of(const object& assessment) {
  return std::string(mlflow::get_string(assessment, "assessment_id"));
}

std::string overrides_of(const object& assessment) {
  return std::string(mlflow::get_string(assessment, "overrides"));
}

// An overridden one before the one that overrides it.
std::vector<object> in_order(std::vector<object> list) {
  std::vector<object> out;
  while (!list.empty()) {
    std::set<std::string> left;
    for (auto const& one : list) left.insert(id_of(one));
    auto next = std::find_if(list.begin(), list.end(),
                             [&](const object& one) { return !left.contains(overrides_of(one)); });
    if (next == list.end()) next = list.begin();  // a circle: any order is as good
    out.push_back(std::move(*next));
    list.erase(next);
  }
  return out;
}

}  // namespace

AssessmentPlan plan_assessments(const mlflow::json::array& wanted, const mlflow::json::array& existing) {
  std::map<std::string, std::string> there;
  for (auto const& value : existing) {
    if (auto const* one = value.if_object()) there[id_of(*one)] = mlflow::to_canonical_json(value);
  }
  std::set<std::string> sent;
  for (auto const& value : wanted) {
    auto const* one = value.if_object();
    if (one == nullptr) continue;
    auto const found = there.find(id_of(*one));
    if (found == there.end() || found->second != mlflow::to_canonical_json(value)) sent.insert(id_of(*one));
  }
  // Sending one makes it valid, so that what overrides it must come again.
  for (bool more = true; more;) {
    more = false;
    for (auto const& value : wanted) {
      auto const* one = value.if_object();
      if (one != nullptr && sent.contains(overrides_of(*one)) && sent.insert(id_of(*one)).second) more = true;
    }
  }
  AssessmentPlan plan;
  for (auto const& value : wanted) {
    auto const* one = value.if_object();
    if (one == nullptr || !sent.contains(id_of(*one))) continue;
    if (overrides_of(*one).empty()) {
      plan.with_info.push_back(value);
      continue;
    }
    if (there.contains(id_of(*one))) plan.remove.push_back(id_of(*one));
    plan.afterwards.push_back(*one);
  }
  plan.afterwards = in_order(std::move(plan.afterwards));
  return plan;
}

}  // namespace mlferry::engine
