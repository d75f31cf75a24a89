#include "protocol/mlflow/otlp.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace mlferry::mlflow;

namespace {

json::object span_with(const std::string& attributes) {
  return parse_json(R"({"trace_id":"AAAAAAAAAAAAAAAAAAAAAQ==","span_id":"AAAAAAAAAAE=","parent_span_id":null,"name":"n",)"
                    R"("start_time_unix_nano":1,"end_time_unix_nano":2,"status":{"code":"STATUS_CODE_OK","message":""},)"
                    R"("events":[],"links":[],"attributes":)" +
                        attributes + "}",
                    "test")
      .as_object();
}

// The values that the attributes are sent as.
std::vector<std::string> sent(const json::object& attributes) {
  auto span = span_with("{}");
  span["attributes"] = attributes;
  json::array const spans{span};
  std::vector<const json::array*> const traces{&spans};
  auto const body = parse_json(otlp_body(traces), "the body");
  std::vector<std::string> values;
  auto const& first = body.at("resource_spans").at(0).at("scope_spans").at(0).at("spans").at(0);
  for (auto const& item : first.at("attributes").as_array()) values.push_back(to_json(item.at("value")));
  return values;
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("otlp: NaN of an event is sent as a number, the text as a text") {
    auto span = span_with("{}");
    span["events"] = parse_python_json(R"([{"name":"e","attributes":{"a":NaN,"b":"NaN","c":[-Infinity]}}])", "test");
    json::array const spans{span};
    std::vector<const json::array*> const traces{&spans};
    CHECK(otlp_body(traces).find(R"([{"key":"a","value":{"double_value":"NaN"}},{"key":"b","value":{"string_value":"NaN"}},)"
                                 R"({"key":"c","value":{"array_value":{"values":[{"double_value":"-Infinity"}]}}}])") !=
          std::string::npos);
  }

  TEST_CASE("otlp: each stored text is sent as the value that becomes it again") {
    struct Row {
      std::string stored, sent;
    };
    // mlflow-rest 7.3, "Exact attributes".
    for (auto const& row : std::vector<Row>{
             {R"("text")", R"({"string_value":"\"text\""})"},
             {R"("")", R"({"string_value":"\"\""})"},
             {R"({"a": 1})", R"({"string_value":"{\"a\": 1}"})"},
             {"[]", R"({"string_value":"[]"})"},
             {"true", R"({"bool_value":true})"},
             {"false", R"({"bool_value":false})"},
             {"null", "{}"},
             {"9223372036854775807", R"({"int_value":9223372036854775807})"},
             {"-7", R"({"int_value":-7})"},
             {"9223372036854775808", R"({"double_value":9.223372036854776e+18})"},
             {"0.1", R"({"double_value":0.1})"},
             {"-0.0", R"({"double_value":-0.0})"},
             {"1e-07", R"({"double_value":1e-07})"},
             {"5e-324", R"({"double_value":5e-324})"},
             {"NaN", R"({"double_value":"NaN"})"},
             {"-Infinity", R"({"double_value":"-Infinity"})"},
             {"no JSON", R"({"string_value":"no JSON"})"},
             {"", R"({"string_value":""})"},
         }) {
      CAPTURE(row.stored);
      auto const values = sent(json::object{{"key", row.stored}});
      REQUIRE(values.size() == 1);
      CHECK(values[0] == row.sent);
    }
    // Values that are no text keep their type and order.
    auto const values = sent(parse_json(R"({"b":1,"a":true,"l":[1,"x"],"o":{"k":null}})", "test").as_object());
    CHECK(values == std::vector<std::string>{
                        R"({"int_value":1})", R"({"bool_value":true})",
                        R"({"array_value":{"values":[{"int_value":1},{"string_value":"x"}]}})",
                        R"({"kvlist_value":{"values":[{"key":"k","value":{}}]}})"});
  }

  TEST_CASE("otlp: names, times, parents, events and links") {
    auto span = span_with("{}");
    span["parent_span_id"] = "AAAAAAAAAAI=";
    span["events"] = parse_json(R"([{"name":"e","time_unix_nano":5,"attributes":{"n":1,"t":"x"}}])", "test");
    span["links"] = parse_json(
        R"([{"trace_id":"tr-abababababababababababababababab","span_id":"cdcdcdcdcdcdcdcd","attributes":{"l":"m"}}])", "test");
    json::array const one{span}, two{span_with("{}")};
    std::vector<const json::array*> const traces{&one, &two};
    auto const body = parse_json(otlp_body(traces), "the body");
    auto const& spans = body.at("resource_spans").at(0).at("scope_spans").at(0).at("spans").as_array();
    REQUIRE(spans.size() == 2);
    CHECK(spans[0].at("parent_span_id") == "AAAAAAAAAAI=");
    CHECK(!spans[1].as_object().contains("parent_span_id"));
    CHECK(to_json(spans[0].at("events")) ==
          R"([{"name":"e","time_unix_nano":5,"attributes":[{"key":"n","value":{"int_value":1}},{"key":"t","value":{"string_value":"x"}}]}])");
    CHECK(spans[0].at("links").at(0).at("span_id") == "zc3Nzc3Nzc0=");
    CHECK(spans[0].at("links").at(0).at("trace_id") == "q6urq6urq6urq6urq6urqw==");
  }

  TEST_CASE("otlp: the trace's id is that of its spans, when they have one") {
    auto span = span_with("{}");
    CHECK(otlp_trace_id({span}) == "tr-00000000000000000000000000000001");
    CHECK(otlp_trace_id({span, span}) == "tr-00000000000000000000000000000001");
    CHECK(otlp_trace_id({}) == "");
    auto other = span;
    other["trace_id"] = "AAAAAAAAAAAAAAAAAAAAAg==";
    CHECK(otlp_trace_id({span, other}) == "");
    for (auto const* text : {"", "AAAA", "not base64!", "0x3f"}) {
      other["trace_id"] = text;
      CHECK(otlp_trace_id({other}) == "");
    }
  }

  TEST_CASE("otlp: what is no span is refused") {
    for (auto const* text : {R"([1])", R"([{}])", R"([{"trace_id":"a"}])",
                             R"([{"trace_id":"a","span_id":"b","events":[1]}])",
                             R"([{"trace_id":"a","span_id":"b","links":[{"trace_id":"tr-xyz","span_id":"q"}]}])"}) {
      CAPTURE(text);
      auto const spans = parse_json(text, "test").as_array();
      std::vector<const json::array*> const traces{&spans};
      CHECK_THROWS_AS(otlp_body(traces), JsonError);
    }
  }
}
