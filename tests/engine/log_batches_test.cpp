#include "engine/endpoints/log_batches.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <tuple>

using mlferry::engine::items_a_batch;
using mlferry::engine::LogBatch;
using mlferry::engine::params_a_batch;
using mlferry::engine::plan_batches;
using mlferry::engine::tags_a_batch;

TEST_SUITE("engine") {
  TEST_CASE("log batches: nothing to log needs no request") {
    CHECK(plan_batches(0, 0, 0).empty());
  }

  TEST_CASE("log batches: every item once, in order, within the server's limits") {
    for (std::size_t params : {0u, 1u, 99u, 100u, 101u, 250u, 1000u}) {
      for (std::size_t metrics : {0u, 1u, 799u, 800u, 801u, 999u, 1000u, 1001u, 30'000u}) {
        for (std::size_t tags : {0u, 1u, 100u, 101u, 400u}) {
          CAPTURE(params);
          CAPTURE(metrics);
          CAPTURE(tags);
          LogBatch before;
          for (auto const& batch : plan_batches(params, metrics, tags)) {
            REQUIRE(batch.params_from == before.params_to);
            REQUIRE(batch.metrics_from == before.metrics_to);
            REQUIRE(batch.tags_from == before.tags_to);
            auto const n_params = batch.params_to - batch.params_from;
            auto const n_metrics = batch.metrics_to - batch.metrics_from;
            auto const n_tags = batch.tags_to - batch.tags_from;
            REQUIRE(n_params <= params_a_batch);
            REQUIRE(n_tags <= tags_a_batch);
            REQUIRE(n_params + n_metrics + n_tags <= items_a_batch);
            REQUIRE(n_params + n_metrics + n_tags > 0);
            before = batch;
          }
          REQUIRE(before.params_to == params);
          REQUIRE(before.metrics_to == metrics);
          REQUIRE(before.tags_to == tags);
        }
      }
    }
  }

  TEST_CASE("log batches: no more requests than the limits force") {
    using Row = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;
    for (auto const& [params, metrics, tags, requests] :
         {Row{1, 1, 1, 1}, Row{100, 800, 100, 1}, Row{100, 801, 100, 2}, Row{0, 1000, 0, 1},
          Row{0, 1001, 0, 2}, Row{101, 0, 0, 2}, Row{0, 0, 201, 3}, Row{200, 1600, 200, 2},
          Row{0, 25'000, 0, 25}}) {
      CAPTURE(params);
      CAPTURE(metrics);
      CAPTURE(tags);
      CHECK(plan_batches(params, metrics, tags).size() == requests);
    }
  }
}
