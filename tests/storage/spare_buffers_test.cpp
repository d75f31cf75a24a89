#include <doctest/doctest.h>

#include "storage/archive/spare_buffers.hpp"

using mlferry::archive::Buffer;
using mlferry::archive::SpareBuffers;

TEST_CASE("spare buffers: a returned one is used again for sizes that differ little") {
  SpareBuffers spares(64u << 20);
  auto first = spares.take(5'000'000);
  CHECK(first.size() >= 5'000'000);
  CHECK(first.size() <= 5'000'000 + 5'000'000 / 8);
  auto const* const memory = first.span().data();
  spares.give_back(std::move(first));
  CHECK(spares.kept() > 0);
  auto other = spares.take(9'000'000);
  CHECK(other.size() >= 9'000'000);
  auto again = spares.take(5'000'100);
  CHECK(again.span().data() == memory);
  CHECK(spares.kept() == 0);
}

TEST_CASE("spare buffers: bounded, and nothing that the allocator keeps by itself") {
  SpareBuffers spares(10u << 20);
  for (std::size_t i = 0; i < 8; ++i) spares.give_back(Buffer(4u << 20));
  CHECK(spares.kept() == 8u << 20);
  spares.give_back(Buffer(11u << 20));
  CHECK(spares.kept() == 8u << 20);
  spares.give_back(Buffer(1000));
  spares.give_back(Buffer());
  CHECK(spares.kept() == 8u << 20);
  CHECK(spares.take(1000).size() == 1000);
  CHECK(spares.take(0).size() == 0);

  SpareBuffers none(0);
  none.give_back(Buffer(1u << 20));
  CHECK(none.kept() == 0);
}
