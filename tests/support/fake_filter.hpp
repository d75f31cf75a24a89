#pragma once
// The part of MLflow's filter language that clients of the fake server use: comparisons with =, != and LIKE,
// joined by AND.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlferry::test::fake {

struct Clause {
  std::string entity;  // "tags", "params", "attributes"; a bare name has "attributes"
  std::string key;
  std::string op;  // "=", "!=", "LIKE"
  std::string value;
};

// Throws Failure(400 INVALID_PARAMETER_VALUE) for anything else.
std::vector<Clause> parse_filter(std::string_view text);

// Whether every clause holds. `look_up` gives the object's value, or nothing: then the clause is false. It
// throws for keys that the object kind does not have.
using LookUp = std::function<std::optional<std::string>(std::string_view entity, std::string_view key)>;
bool matches(const std::vector<Clause>& clauses, const LookUp& look_up);

}  // namespace mlferry::test::fake
