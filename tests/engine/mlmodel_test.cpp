#include "engine/tools/mlmodel.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;

namespace {

const std::string plain =
    "# a comment\nflavors:\n  python_function:\n    data: data   # behind\n    env:\n      conda: "
    "conda.yaml\n  x:\n    code: null\n    path: ./a/b/\n"
    "\n# of the version\nutc_time_created: '2026'\n";

std::string signed_with(const std::string& text) {
  return with_signature(
      text,
      json::array{
          json::object{{"type", "long"}, {"name", "it's \xC3\xA9\xF0\x9F\x8D\xB7\n"}, {"required", true}}},
      std::nullopt);
}

std::string refusal(const std::string& text) {
  try {
    signed_with(text);
    return {};
  } catch (const BadMlmodel& error) {
    return error.what();
  }
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("mlmodel: YAML as JSON") {
    CHECK(yaml_to_json("a: [1, -2, 1.5, true, ~, 'true', \"1\", x, 1e3, .nan, -, 0x1f]") ==
          json::value{{"a", {1, -2, 1.5, true, nullptr, "true", "1", "x", 1000.0, ".nan", "-", "0x1f"}}});
    CHECK(yaml_to_json("a: &x {b: 1}\nc: *x\n") == json::value{{"a", {{"b", 1}}}, {"c", {{"b", 1}}}});
    CHECK_THROWS_AS(yaml_to_json("a: [1\n"), BadMlmodel);
    CHECK_THROWS_AS(yaml_to_json("? [1]\n: 2\n"), BadMlmodel);
  }

  TEST_CASE("mlmodel: a small text that stands for a huge document is refused") {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
      auto const of = "*a" + std::to_string(i - 1);
      text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + of;
      for (int k = 0; k < 9; ++k) text += ", " + of;
      text += "]\n";
    }
    CHECK_THROWS_AS(yaml_to_json(text), BadMlmodel);
    CHECK_THROWS_AS(yaml_to_json(std::string(50'000, '[')), BadMlmodel);
    CHECK_THROWS_AS(yaml_to_json("a: " + std::string(most_mlmodel_bytes, 'x')), BadMlmodel);
  }

  TEST_CASE("mlmodel: JSON as YAML reads back") {
    json::value const value{{"a", {1, 0.1, true, nullptr, "true", "", "x: y\n#"}},
                            {"b", json::object()},
                            {"c", json::array()},
                            {"1", {{"d", "\xC3\xA9"}}}};
    CHECK(yaml_to_json(json_to_yaml(value)) == value);
  }

  TEST_CASE("mlmodel: the signature with the texts in it as documents") {
    auto const text = "signature:\n  inputs: '[{\"type\": \"long\"}]'\n  outputs: null\n  params: null\n";
    CHECK(*signature_of(text) == json::object{{"inputs", json::array{json::object{{"type", "long"}}}},
                                              {"outputs", nullptr},
                                              {"params", nullptr}});
    CHECK_FALSE(signature_of(plain).has_value());
    CHECK_FALSE(signature_of("signature: null\n").has_value());
    CHECK_THROWS_AS(signature_of("signature:\n  inputs: 'no json'\n"), BadMlmodel);
    CHECK_THROWS_AS(signature_of("just text"), BadMlmodel);
  }

  TEST_CASE("mlmodel: files that the flavors name") {
    CHECK(files_named_in(plain) == std::vector<std::string>{"a/b", "conda.yaml", "data"});
    CHECK(files_named_in("flavors:\n  x:\n    data: ../../etc\n    path: /etc\n    model_path: .\n").empty());
  }

  TEST_CASE("mlmodel: a new signature stands where MLflow sorts it, and all else stays") {
    auto const text = signed_with(plain);
    auto const at = text.find("signature:\n");
    CHECK(text.substr(0, at) == plain.substr(0, plain.find("utc_time")));
    CHECK(text.ends_with("  outputs: null\n  params: null\nutc_time_created: '2026'\n"));
    CHECK(text.find("\"it''s \\u00e9\\ud83c\\udf77\\n\"") != text.npos);
    CHECK(signature_of(text)->at("inputs").at(0).at("name") == "it's \xC3\xA9\xF0\x9F\x8D\xB7\n");
    CHECK(signed_with("a: 1").find("a: 1\nsignature:\n") == 0);  // no line feed at the end
  }

  TEST_CASE("mlmodel: another signature takes the old one's place") {
    auto const before = "a: 1\nsignature:\n  inputs: 'long\n\n    text'\n\n# of z\nz: 1\n";
    auto const text = signed_with(before);
    CHECK(text.starts_with("a: 1\nsignature:\n  inputs: '[{"));
    CHECK(text.ends_with("  params: null\n\n# of z\nz: 1\n"));
    CHECK(signed_with(text) == text);
    CHECK(signed_with("'signature': 1\nz: 2\n").ends_with("  params: null\nz: 2\n"));
  }

  TEST_CASE("mlmodel: a form that cannot be edited line by line is refused, not broken") {
    for (auto const* text : {"{a: 1}\n", "{a: 1,\nsignature: 2}\n", "  a: 1\n  z: 2\n"}) {
      CAPTURE(text);
      CHECK(refusal(text).find("block style") != std::string::npos);
    }
    CHECK(refusal("- a\n").find("no YAML mapping") != std::string::npos);
  }
}
