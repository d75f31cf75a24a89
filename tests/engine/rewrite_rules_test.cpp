#include "engine/tools/rewrite_rules.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;

namespace {

// The document after the rule, and how many places it changed.
std::pair<std::string, std::size_t> after(const std::string& rule, const std::string& document) {
  auto value = mlferry::mlflow::parse_json(document, "test");
  auto const changed = apply_rule(parse_rules("[" + rule + "]").at(0), value);
  return {mlferry::mlflow::to_json(value), changed};
}

std::string refusal(const std::string& text) {
  try {
    parse_rules(text);
    return {};
  } catch (const BadRules& error) {
    return error.what();
  }
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("rewrite rules: what each does") {
    struct {
      const char *rule, *before, *after;
      std::size_t changed;
    } const table[] = {
        {R"({"set": "/a/b", "value": 2})", R"({"a":{"b":1,"c":3}})", R"({"a":{"b":2,"c":3}})", 1},
        {R"({"set": "/a/b", "value": {"x": [NaN]}})", R"({"a":{}})", R"({"a":{"b":{"x":["NaN"]}}})", 1},
        {R"({"set": "/a/b", "value": 1})", R"({"a":{"b":1}})", R"({"a":{"b":1}})", 0},
        {R"({"set": "/none/b", "value": 1})", R"({"a":{}})", R"({"a":{}})", 0},
        {R"({"set": "/a/*/v", "value": 0})", R"({"a":[{"v":1},{"w":1}]})", R"({"a":[{"v":0},{"w":1,"v":0}]})",
         2},
        {R"({"set": "/a/-", "value": 3})", R"({"a":[1]})", R"({"a":[1,3]})", 1},
        {R"({"set": "/a/0", "value": 3})", R"({"a":[1,2]})", R"({"a":[3,2]})", 1},
        {R"({"set": "/a/9", "value": 3})", R"({"a":[1]})", R"({"a":[1]})", 0},
        {R"({"remove": "/a/b"})", R"({"a":{"x":1,"b":2,"y":3,"z":4}})", R"({"a":{"x":1,"y":3,"z":4}})", 1},
        {R"({"remove": "/a/1"})", R"({"a":[1,2,3]})", R"({"a":[1,3]})", 1},
        {R"({"remove": "/a/*"})", R"({"a":{"x":1,"y":2}})", R"({"a":{}})", 2},
        {R"({"remove": "/a/none"})", R"({"a":{"x":1}})", R"({"a":{"x":1}})", 0},
        {R"({"remove": "/a~1b/~0"})", R"({"a/b":{"~":1}})", R"({"a/b":{}})", 1},
        {R"({"rename": "/a/x", "to": "z"})", R"({"a":{"w":0,"x":1,"y":2}})", R"({"a":{"w":0,"z":1,"y":2}})",
         1},
        {R"({"rename": "/a/x", "to": "y"})", R"({"a":{"x":1,"y":2}})", R"({"a":{"y":1}})", 1},
        {R"({"rename": "/a/x", "to": "x"})", R"({"a":{"x":1}})", R"({"a":{"x":1}})", 0},
        {R"({"replace": "/a", "find": "s3://", "with": "gs://"})",
         R"({"a":{"x":"s3://a,s3://b","y":["s3://"],"s3://":1},"b":"s3://"})",
         R"({"a":{"x":"gs://a,gs://b","y":["gs://"],"s3://":1},"b":"s3://"})", 2},
        {R"({"replace": "/a", "find": "a", "with": "aa"})", R"({"a":"aba"})", R"({"a":"aabaa"})", 1},
    };
    for (auto const& row : table) {
      CAPTURE(row.rule);
      auto const [document, changed] = after(row.rule, row.before);
      CHECK(document == row.after);
      CHECK(changed == row.changed);
    }
  }

  TEST_CASE("rewrite rules: which files") {
    auto const rules =
        parse_rules(R"({"rules": [{"remove": "/a"}, {"files": "experiments/*/run.json", "remove": "/a"}]})");
    CHECK(applies_to(rules[0], "models/x/model.json"));
    CHECK(applies_to(rules[1], "experiments/1/runs/2/run.json"));
    CHECK_FALSE(applies_to(rules[1], "models/x/2/run.json"));
  }

  TEST_CASE("rewrite rules: mistakes name the rule") {
    CHECK(refusal(R"([{"remove": "/a"}, {"remove": "b"}])").find("rule 2: 'b' is no JSON pointer") == 0);
    for (auto const* text :
         {"", "1", "{}", "[]", "[1]", R"([{}])", R"([{"set": "/a"}])", R"([{"set": 1, "value": 1}])",
          R"([{"remove": ""}])", R"([{"remove": "/mlferry"}])", R"([{"set": "/system/user", "value": 1}])",
          R"([{"remove": "/a", "rename": "/b", "to": "c"}])", R"([{"rename": "/a", "to": 1}])",
          R"([{"replace": "/a", "find": "", "with": "x"}])", R"([{"remove": "/a", "files": 1}])",
          R"([{"remove": "/a", "value": 1}])", R"([{"remove": "/~"}])"}) {
      CAPTURE(text);
      CHECK_FALSE(refusal(text).empty());
    }
  }
}
