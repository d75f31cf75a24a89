#include "engine/endpoints/adoption.hpp"

#include <doctest/doctest.h>

using mlferry::engine::Adoption;

TEST_SUITE("engine") {
  TEST_CASE("adoption: what the ledger keeps comes back, with the tags that were set") {
    Adoption adoption;
    adoption.put("a", "1");
    adoption.put("b \"\n", "2");
    adoption.put("a", "3");
    auto const back = Adoption::parse(adoption.data());
    REQUIRE(back);
    CHECK(back->tags.size() == 2);
    CHECK(back->set("a", "3"));
    CHECK_FALSE(back->set("a", "1"));
    CHECK(back->set("b \"\n", "2"));
    CHECK_FALSE(back->set("c", ""));
    CHECK(Adoption::parse(Adoption().data()));
  }

  TEST_CASE("adoption: data of a copy is none") {
    for (auto const* data : {"", "{", "[]", "{}", R"({"adopted":false})", R"({"src":"a","dst":"b"})"}) {
      CHECK_FALSE(Adoption::parse(data));
    }
  }
}
