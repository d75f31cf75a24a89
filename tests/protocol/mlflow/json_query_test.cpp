#include "protocol/mlflow/json_query.hpp"

#include <doctest/doctest.h>

using namespace mlferry::mlflow;

namespace {

std::string query(const std::string& text) {
  return to_query(parse_json(text, "test").as_object());
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("json query: parameters of a GET request") {
    CHECK(query("{}") == "");
    CHECK(query(R"({"a": 1, "b": ["x", "y"], "c": true, "d": null, "e": [], "f": 0.1})") ==
          "a=1&b=x&b=y&c=true&f=0.1");
    CHECK(query(R"({"a b&": "é/?=&"})") == "a%20b%26=%C3%A9%2F%3F%3D%26");
    CHECK_THROWS_AS(query(R"({"a": {"b": 1}})"), std::invalid_argument);
    CHECK_THROWS_AS(query(R"({"a": [[1]]})"), std::invalid_argument);
    CHECK_THROWS_AS(to_query({{"a", "\xFF"}}), std::invalid_argument);
  }
}
