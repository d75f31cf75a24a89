#include "engine/coverage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace mlferry::engine;

TEST_SUITE("engine") {
  TEST_CASE("coverage: every kind has its row, in the order of the report") {
    std::vector<Kind> rows;
    for (auto const& row : coverage()) {
      CHECK_FALSE(row.name().empty());
      CHECK_FALSE(row.why.empty());
      if (row.kind) rows.push_back(*row.kind);
    }
    CHECK(std::equal(rows.begin(), rows.end(), all_kinds.begin(), all_kinds.end()));
  }

  TEST_CASE("coverage: the README has the table that `mlferry kinds` prints") {
    std::ifstream file(MLFERRY_SOURCE_DIR "/README.md");
    std::stringstream text;
    text << file.rdbuf();
    CHECK(text.str().find("\n\n" + coverage_markdown() + "\n") != std::string::npos);
  }
}
