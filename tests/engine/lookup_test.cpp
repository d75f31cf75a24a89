#include "engine/endpoints/lookup.hpp"

#include <doctest/doctest.h>

using namespace mlferry::engine;
using How = ExperimentWish::How;

TEST_SUITE("engine") {
  TEST_CASE("lookup: how a text names experiments") {
    struct Row {
      const char* text;
      How how;
      const char* rest;
    };
    for (auto const& row :
         {Row{"all", How::all, ""}, Row{"7", How::either, "7"}, Row{"wine", How::either, "wine"},
          Row{"wine*", How::prefix, "wine"}, Row{"*", How::prefix, ""}, Row{"id:7", How::id, "7"},
          Row{"name:7", How::name, "7"}, Row{"name:all", How::name, "all"}, Row{"name:a*", How::name, "a*"},
          Row{"a*b", How::either, "a*b"}, Row{"", How::either, ""}}) {
      auto const wish = parse_experiment_wish(row.text);
      CAPTURE(row.text);
      CHECK(wish.how == row.how);
      CHECK(wish.text == row.rest);
    }
    CHECK(wishes(parse_experiment_wish("wi*"), "7", "wine"));
    CHECK(wishes(parse_experiment_wish("7*"), "71", "wine"));
    CHECK_FALSE(wishes(parse_experiment_wish("7*"), "17", "x7"));
    CHECK(wishes(parse_experiment_wish("all"), "1", "a"));
    CHECK_FALSE(wishes(parse_experiment_wish("wine"), "7", "wine"));  // is looked up
  }

  TEST_CASE("lookup: descendants of runs, each once") {
    std::multimap<std::string, std::string> const children{
        {"a", "b"}, {"a", "c"}, {"b", "d"}, {"d", "e"}, {"x", "y"}};
    using List = std::vector<std::string>;
    CHECK(with_descendants({"a"}, children) == List{"a", "b", "c", "d", "e"});
    CHECK(with_descendants({"a", "b", "a"}, children) == List{"a", "b", "c", "d", "e"});
    CHECK(with_descendants({"y", "d"}, children) == List{"y", "d", "e"});
    CHECK(with_descendants({}, children).empty());
    CHECK(with_descendants({"a"}, {{"a", "b"}, {"b", "a"}}) == List{"a", "b"});  // a circle ends
  }
}
