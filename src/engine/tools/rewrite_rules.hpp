#pragma once
// Changes of an export's JSON files, written as rules: which files, where in them, what. Pure; the form is in
// docs/coming-from-mlflow-export-import.md.

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::engine {

namespace json = boost::json;

// Says which rule, and what is wrong with it.
class BadRules : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct RewriteRule {
  enum class Change { set, remove, rename, replace };
  Change change = Change::set;
  std::string files = "*";      // glob on the path from the export's folder
  std::vector<std::string> at;  // a JSON pointer's parts; "*" any member or element
  json::value value;            // set
  std::string to;               // rename: the member's new name
  std::string find, with;       // replace: in all texts at that place and below it
};

// A list of rules, or {"rules": [...]}. Throws BadRules.
std::vector<RewriteRule> parse_rules(std::string_view text);

bool applies_to(const RewriteRule& rule, std::string_view path);

// How many places of the document it changed; what it does not find it leaves. `set` makes a member, not the
// objects around it; an element of a list is replaced, and "-" as the last part adds one.
std::size_t apply_rule(const RewriteRule& rule, json::value& document);

}  // namespace mlferry::engine
