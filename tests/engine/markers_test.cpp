#include "engine/endpoints/markers.hpp"

#include <doctest/doctest.h>

using mlferry::engine::field_text;
using mlferry::engine::marked_source;
using mlferry::engine::marker_filter;
using mlferry::engine::with_markers;
using mlferry::engine::without_markers;
using mlferry::mlflow::KeyValues;

TEST_SUITE("engine") {
  TEST_CASE("markers: put on, taken off") {
    KeyValues const own{{"a", "1"}, {"mlferry", "x"}, {"xmlferry.source.id", "y"}};
    auto const marked = with_markers(own, "http://s", "r1", {{"user_id", "me"}, {"run_id", ""}});
    CHECK(marked == KeyValues{{"a", "1"},
                              {"mlferry", "x"},
                              {"xmlferry.source.id", "y"},
                              {"mlferry.source.server", "http://s"},
                              {"mlferry.source.id", "r1"},
                              {"mlferry.source.user_id", "me"}});
    CHECK(without_markers(marked) == own);
    // A copy of a copy carries the markers of the last source only.
    auto const again = with_markers(marked, "http://t", "r2", {});
    CHECK(without_markers(again) == own);
    CHECK(again.size() == own.size() + 2);
    CHECK(marked_source(again, "http://t") == "r2");
  }

  TEST_CASE("markers: whose copy") {
    CHECK(marked_source({}, "s") == std::nullopt);
    CHECK(marked_source({{"mlferry.source.id", "1"}}, "s") == std::nullopt);
    CHECK(marked_source({{"mlferry.source.server", "s"}}, "s") == std::nullopt);
    CHECK(marked_source({{"mlferry.source.server", "s"}, {"mlferry.source.id", "1"}}, "other") ==
          std::nullopt);
    CHECK(marked_source({{"mlferry.source.server", "s"}, {"mlferry.source.id", "1"}}, "s") == "1");
  }

  TEST_CASE("markers: filters") {
    CHECK(marker_filter("s", std::nullopt) == "tags.`mlferry.source.server` = 's'");
    CHECK(marker_filter("s", "r") == "tags.`mlferry.source.server` = 's' AND tags.`mlferry.source.id` = 'r'");
    CHECK(marker_filter("it's", std::nullopt) == "tags.`mlferry.source.server` = \"it's\"");
    CHECK(marker_filter("'\"", std::nullopt).empty());
    CHECK(marker_filter("s", "'\"").empty());
  }

  TEST_CASE("markers: fields as text") {
    mlferry::mlflow::json::object const doc{{"t", "x"}, {"n", 12}, {"digits", "34"}, {"o", nullptr}};
    CHECK(field_text(doc, "t") == "x");
    CHECK(field_text(doc, "n") == "12");
    CHECK(field_text(doc, "digits") == "34");
    CHECK(field_text(doc, "o").empty());
    CHECK(field_text(doc, "absent").empty());
  }
}
