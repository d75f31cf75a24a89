#include "engine/endpoints/version_numbers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using mlferry::engine::Holder;
using mlferry::engine::plan_versions;
using mlferry::engine::VersionStep;
using What = VersionStep::What;

namespace {

using Numbers = std::vector<std::int64_t>;
using Present = std::map<std::int64_t, Holder>;
using Steps = std::vector<VersionStep>;

struct Row {
  const char* what;
  Numbers wanted;
  Present present;
  Steps steps;
};

}  // namespace

namespace doctest {
template <>
struct StringMaker<VersionStep> {
  static String convert(const VersionStep& step) {
    return ("{" + std::to_string(static_cast<int>(step.what)) + ", " + std::to_string(step.number) + "}")
        .c_str();
  }
};
}  // namespace doctest

TEST_SUITE("engine") {
  TEST_CASE("version numbers: what is done for each number") {
    for (auto const& row : std::initializer_list<Row>{
             {"nothing", {}, {}, {}},
             {"a whole model", {1, 2}, {}, {{What::create, 1}, {What::create, 2}}},
             {"a gap in the middle",
              {1, 3},
              {},
              {{What::create, 1}, {What::placeholder, 2}, {What::create, 3}}},
             {"a gap at the start",
              {3},
              {},
              {{What::placeholder, 1}, {What::placeholder, 2}, {What::create, 3}}},
             {"everything is there",
              {1, 2},
              {{1, Holder::ours}, {2, Holder::ours}},
              {{What::update, 1}, {What::update, 2}}},
             {"killed before the gap was filled",
              {1, 3},
              {{1, Holder::ours}},
              {{What::update, 1}, {What::placeholder, 2}, {What::create, 3}}},
             {"killed when the gap was filled",
              {1, 3},
              {{1, Holder::ours}, {2, Holder::placeholder}},
              {{What::update, 1}, {What::create, 3}}},
             {"killed before the placeholder was deleted",
              {1, 3},
              {{1, Holder::ours}, {2, Holder::placeholder}, {3, Holder::ours}},
              {{What::update, 1}, {What::update, 3}}},
             {"a deleted number in the destination",
              {1, 2, 3},
              {{1, Holder::ours}, {3, Holder::ours}},
              {{What::update, 1}, {What::lost, 2}, {What::update, 3}}},
             {"somebody else's version",
              {1, 2},
              {{1, Holder::foreign}},
              {{What::conflict, 1}, {What::create, 2}}},
             {"a placeholder that took a number for good",
              {1, 2},
              {{1, Holder::placeholder}},
              {{What::conflict, 1}, {What::create, 2}}},
             {"the destination is ahead",
              {1},
              {{1, Holder::ours}, {2, Holder::foreign}},
              {{What::update, 1}}},
         }) {
      CAPTURE(std::string(row.what));
      CHECK(plan_versions(row.wanted, row.present) == row.steps);
    }
  }

  TEST_CASE("version numbers: carried out on a server, every version gets its number or is named") {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
      auto const some = [&](int most) {
        std::set<std::int64_t> numbers;
        for (int i = 0; i < most; ++i) {
          if (random() % 2 == 0) numbers.insert(i + 1);
        }
        return numbers;
      };
      auto const source = some(static_cast<int>(random() % 9));
      Present present;
      for (auto const number : some(static_cast<int>(random() % 6)))
        present[number] = static_cast<Holder>(random() % 3);
      Numbers const wanted(source.begin(), source.end());

      // The server: the next number is the largest ever given plus one.
      std::int64_t last = present.empty() ? 0 : present.rbegin()->first;
      std::set<std::int64_t> settled;
      for (auto const& step : plan_versions(wanted, present)) {
        switch (step.what) {
          case What::create:
            REQUIRE(++last == step.number);
            [[fallthrough]];
          case What::update:
          case What::conflict:
          case What::lost:
            REQUIRE(settled.insert(step.number).second);
            break;
          case What::placeholder:
            REQUIRE(++last == step.number);
            REQUIRE_FALSE(source.contains(step.number));
            break;
        }
        if (step.what == What::update) REQUIRE(present.at(step.number) == Holder::ours);
        if (step.what == What::conflict) REQUIRE(present.at(step.number) != Holder::ours);
      }
      REQUIRE(settled == source);
    }
  }
}
