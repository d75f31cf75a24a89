#include "engine/endpoints/page_walker.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using mlferry::engine::PageWalker;

namespace {

using Ids = std::vector<std::string>;

// A listing in ascending order that others write to.
struct Listing {
  std::map<std::string, int> rows;

  Ids page(std::uint64_t offset, std::size_t size, bool& more) const {
    Ids ids;
    auto it = rows.begin();
    for (std::uint64_t i = 0; i < offset && it != rows.end(); ++i) ++it;
    for (; it != rows.end() && ids.size() < size; ++it) ids.push_back(it->first);
    more = it != rows.end();
    return ids;
  }
};

std::string row(std::uint64_t n) {
  auto text = std::to_string(n);
  return std::string(8 - text.size(), '0') + text;
}

struct Walk {
  std::vector<std::string> taken;
  int requests = 0;
};

// `between` may change the listing before each request.
template <class Between>
Walk walk(Listing& listing, std::size_t page_size, Between between) {
  PageWalker walker;
  Walk result;
  while (!walker.done()) {
    REQUIRE(++result.requests < 100'000);
    between();
    bool more = false;
    auto const ids = listing.page(walker.offset(), page_size, more);
    for (auto const i : walker.take(ids, more)) result.taken.push_back(ids.at(i));
  }
  return result;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("page walker: tokens are MLflow's") {
    PageWalker walker;
    CHECK(walker.token().empty());
    walker.take({"a", "b", "c"}, true);
    CHECK(walker.offset() == 2);
    CHECK(walker.token() == "eyJvZmZzZXQiOiAyfQ==");  // base64 of {"offset": 2}
  }

  TEST_CASE("page walker: a listing that stands still costs one row a page") {
    for (std::size_t rows : {0u, 1u, 2u, 3u, 999u, 1000u, 1001u, 5000u}) {
      Listing listing;
      for (std::size_t i = 0; i < rows; ++i) listing.rows[row(i)] = 0;
      auto const result = walk(listing, 1000, [] {});
      CAPTURE(rows);
      CHECK(result.taken.size() == rows);
      CHECK(std::is_sorted(result.taken.begin(), result.taken.end()));
      CHECK(result.requests <= static_cast<int>(rows / 999 + 1));
    }
  }

  TEST_CASE("page walker: a row removed before the place hides no other row") {
    Listing listing;
    for (std::size_t i = 0; i < 40; ++i) listing.rows[row(i)] = 0;
    int request = 0;
    auto const result = walk(listing, 10, [&] {
      if (++request == 2) listing.rows.erase(listing.rows.begin());
    });
    CHECK(result.taken.size() == 40);
  }

  TEST_CASE("page walker: all rows before the place removed, and the last page with them") {
    Listing listing;
    for (std::size_t i = 0; i < 40; ++i) listing.rows[row(i)] = 0;
    int request = 0;
    auto const result = walk(listing, 10, [&] {
      if (++request == 3) listing.rows.erase(listing.rows.begin(), listing.rows.find(row(18)));
    });
    CHECK(result.taken.size() == 40);
  }

  TEST_CASE("page walker: an empty page ends a walk from the start") {
    PageWalker walker;
    CHECK(walker.take({}, true).empty());
    CHECK(walker.done());
  }

  TEST_CASE("page walker: a repeated row is given once") {
    PageWalker walker;
    CHECK(walker.take({"a", "b", "b", "c"}, true) == std::vector<std::size_t>{0, 1, 3});
    // The page counted four rows, so the next one starts behind the expected row: go back.
    CHECK(walker.take({"d"}, false).empty());
    CHECK_FALSE(walker.done());
    CHECK(walker.offset() == 0);
    CHECK(walker.take({"a", "b", "c", "d"}, false) == std::vector<std::size_t>{3});
    CHECK(walker.done());
  }

  TEST_CASE("page walker: model: whatever is removed and inserted, nothing that stayed is missed") {
    std::mt19937 random(20);
    for (int round = 0; round < 3000; ++round) {
      CAPTURE(round);
      Listing listing;
      auto const rows = random() % 60;
      for (std::uint64_t i = 0; i < rows; ++i) listing.rows[row(1000 + i * 10)] = 0;
      std::set<std::string> stayed;
      for (auto const& [id, unused] : listing.rows) stayed.insert(id);
      std::size_t const page_size = 1 + random() % 9;
      CAPTURE(page_size);
      int changes = 40;
      auto const result = walk(listing, page_size, [&] {
        while (changes > 0 && random() % 3 == 0) {
          --changes;
          // One row cannot show that none is missing before it: removals need larger pages.
          if (page_size > 1 && random() % 2 == 0 && !listing.rows.empty()) {
            auto it = listing.rows.begin();
            // Mostly near the front: what is before the place shifts all that follows.
            std::advance(it, random() % 2 == 0 ? 0 : random() % listing.rows.size());
            stayed.erase(it->first);
            listing.rows.erase(it);
          } else {
            listing.rows.emplace(row(1000 + random() % 700), 0);
          }
        }
      });
      std::set<std::string> const taken(result.taken.begin(), result.taken.end());
      REQUIRE(taken.size() == result.taken.size());
      std::vector<std::string> missed;
      std::set_difference(stayed.begin(), stayed.end(), taken.begin(), taken.end(),
                          std::back_inserter(missed));
      REQUIRE(missed.empty());
    }
  }
}
