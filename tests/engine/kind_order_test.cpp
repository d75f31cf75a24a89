#include "engine/kind_order.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "engine/objects/object_kind.hpp"

using namespace mlferry::engine;

TEST_SUITE("engine") {
  TEST_CASE("kind order: every kind that is written by itself has its place") {
    auto const& order = write_order();
    for (auto const kind : all_kinds) {
      CAPTURE(kind_name(kind));
      bool const with_another =
          kind == Kind::model_version || kind == Kind::prompt_version || kind == Kind::artifact;
      CHECK(std::count(order.begin(), order.end(), kind) == (with_another ? 0 : 1));
    }
    CHECK(order.front() == Kind::workspace);
    CHECK(order.back() == Kind::webhook);
  }

  TEST_CASE("kind order: kinds of one document are written in it") {
    std::vector<Kind> expected, found;
    for (auto const kind : write_order()) {
      if (is_object_kind(kind)) expected.push_back(kind);
    }
    for (auto const* kind : object_kinds()) found.push_back(kind->kind());
    CHECK(found == expected);
  }

  TEST_CASE("kind order: follows from the graph, and a circle is refused") {
    CHECK(order_of({{Kind::run, {Kind::experiment}}, {Kind::experiment, {}}}) ==
          std::vector<Kind>{Kind::experiment, Kind::run});
    CHECK(order_of({{Kind::experiment, {Kind::trace}}, {Kind::run, {}}, {Kind::trace, {}}}) ==
          std::vector<Kind>{Kind::run, Kind::trace, Kind::experiment});
    CHECK_THROWS_AS(order_of({{Kind::run, {Kind::trace}}, {Kind::trace, {Kind::run}}}), std::logic_error);
    CHECK_THROWS_AS(order_of({{Kind::run, {Kind::experiment}}}), std::logic_error);
  }
}
