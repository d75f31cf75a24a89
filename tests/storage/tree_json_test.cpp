#include "storage/tree/python_json.hpp"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace mlferry;
namespace json = boost::json;

namespace {

std::string text_of(const json::value& value) {
  auto text = tree::to_tree_text({{"v", value}});
  // {\n  "v": …\n}\n
  return text.substr(9, text.size() - 12);
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("tree json: doubles as Python's repr") {
    struct Row {
      double value;
      std::string text;
    };
    double const infinity = std::numeric_limits<double>::infinity();
    for (auto const& row :
         {Row{100, "100.0"}, Row{0.1, "0.1"}, Row{1e-5, "1e-05"}, Row{1e-4, "0.0001"}, Row{1e16, "1e+16"},
          Row{1e15, "1000000000000000.0"}, Row{123456789012345678.0, "1.2345678901234568e+17"},
          Row{-0.0, "-0.0"}, Row{5e-324, "5e-324"}, Row{1.7976931348623157e308, "1.7976931348623157e+308"},
          Row{infinity, "Infinity"}, Row{-infinity, "-Infinity"}, Row{std::nan(""), "NaN"},
          Row{0.1 + 0.2, "0.30000000000000004"}}) {
      CAPTURE(row.text);
      CHECK(text_of(row.value) == row.text);
      auto const back = mlflow::parse_python_json(row.text, "t");
      REQUIRE(back.is_double());
      if (std::isnan(row.value)) {
        CHECK(std::isnan(back.get_double()));
      } else {
        CHECK(back.get_double() == row.value);
        CHECK(std::signbit(back.get_double()) == std::signbit(row.value));
      }
    }
    CHECK(text_of(std::int64_t{-9223372036854775807 - 1}) == "-9223372036854775808");
    CHECK(text_of(std::uint64_t{18446744073709551615u}) == "18446744073709551615");
  }

  TEST_CASE("tree json: text is ASCII, escaped as Python does it") {
    struct Row {
      std::string value, text;
    };
    for (auto const& row :
         {Row{"a/b'c", "\"a/b'c\""}, Row{"\"\\\b\f\n\r\t", R"("\"\\\b\f\n\r\t")"},
          Row{std::string("\0\x1f\x7f", 3), R"("\u0000\u001f\u007f")"}, Row{"\xc3\xa9", R"("\u00e9")"},
          Row{"\xef\xbf\xbf", R"("\uffff")"}, Row{"\xf0\x9f\x98\x80", R"("\ud83d\ude00")"},
          Row{"\xf4\x8f\xbf\xbf", R"("\udbff\udfff")"}}) {
      CAPTURE(row.text);
      CHECK(text_of(json::value(row.value)) == row.text);
      CHECK(mlflow::parse_python_json(row.text, "t") == json::value(row.value));
    }
    // What is no UTF-8: each bad byte is one replacement character.
    for (std::string const bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf5\x80\x80\x80"}) {
      auto const text = text_of(json::value(bad));
      CHECK(text.find("\\ufffd") != std::string::npos);
      CHECK_NOTHROW(mlflow::parse_python_json(text, "t"));
    }
  }

  TEST_CASE("tree json: two spaces, one item a line, empty containers on one") {
    json::object const value{{"a", json::array{1, json::object{{"b", nullptr}}, json::array{}}},
                             {"c", json::object{}},
                             {"d", json::array{true, false, "x"}}};
    CHECK(tree::to_tree_text(value) ==
          "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    },\n    []\n  ],\n  \"c\": {},\n  \"d\": [\n "
          "   true,\n    "
          "false,\n    \"x\"\n  ]\n}\n");
    CHECK(tree::to_tree_text({}) == "{}\n");
  }

  TEST_CASE("tree json: a long text leaves in pieces") {
    std::size_t pieces = 0, bytes = 0;
    tree::JsonWriter writer([&](std::string_view text) {
      ++pieces;
      bytes += text.size();
      CHECK(text.size() < 300'000);
    });
    writer.begin_array();
    for (std::int64_t i = 0; i < 100'000; ++i) writer.number(i);
    writer.end_array();
    writer.finish();
    CHECK(pieces > 5);
    CHECK(bytes > 700'000);
  }

  TEST_CASE("tree json: parts of a text are found without a document") {
    std::string const text =
        R"( {"x": {"metrics": 1}, "mlflow": {"a": "}]\"", "metrics": {"k": [ {"v": [1, 2]}, 3 ]} , "z": -1.5e3 }, "mlflow2": 0} )";
    tree::TextRange const all{0, text.size()};
    auto const part = [&](tree::TextRange range) {
      return text.substr(range.begin, range.end - range.begin);
    };
    auto const mlflow = tree::find_member(text, all, "mlflow");
    REQUIRE(mlflow);
    auto const metrics = tree::find_member(text, *mlflow, "metrics");
    REQUIRE(metrics);
    CHECK(part(*metrics) == R"({"k": [ {"v": [1, 2]}, 3 ]})");
    CHECK(part(*tree::find_member(text, *mlflow, "z")) == "-1.5e3");
    CHECK_FALSE(tree::find_member(text, *mlflow, "q"));
    CHECK_FALSE(tree::find_member(text, *metrics, "v"));
    std::vector<std::string> elements;
    auto const k = tree::find_member(text, *metrics, "k");
    CHECK(tree::each_element(text, *k, [&](tree::TextRange range) { elements.push_back(part(range)); }));
    CHECK(elements == std::vector<std::string>{R"({"v": [1, 2]})", "3"});
    CHECK_FALSE(tree::each_element(text, *metrics, [](tree::TextRange) {}));
  }

  TEST_CASE("tree json: no cut or broken text is walked beyond its end") {
    std::string const text =
        R"({"mlflow": {"metrics": {"k": [{"value": "a\\\"", "step": 1}, [2]]}}, "b": [1, {"c": "d"}]})";
    for (std::size_t length = 0; length < text.size(); ++length) {
      auto const cut = text.substr(0, length);
      CHECK_FALSE(tree::find_member(cut, {0, cut.size()}, "b"));
    }
    for (std::string const bad :
         {"", "{", "[1", "{1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "]", "{]"}) {
      CAPTURE(bad);
      CHECK_FALSE(tree::each_member(bad, {0, bad.size()}, [](std::string_view, tree::TextRange) {}));
    }
    CHECK(tree::each_member("{ }", {0, 3}, [](std::string_view, tree::TextRange) { CHECK(false); }));
  }
}
