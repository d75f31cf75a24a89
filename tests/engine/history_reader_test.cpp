#include "engine/endpoints/history_reader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "protocol/http/client.hpp"

using mlferry::engine::bulk_group_size;
using mlferry::engine::BulkSplit;
using mlferry::engine::split_bulk;

TEST_SUITE("engine") {
  TEST_CASE("history reader: a bulk request's line stays within gunicorn's 4094 bytes") {
    CHECK(bulk_group_size("loss", 0) == 100);
    CHECK(bulk_group_size("", 21) == 100);
    CHECK(bulk_group_size(std::string(250, '%'), 21) < 100);
    CHECK(bulk_group_size(std::string(5000, 'k'), 0) == 1);
    CHECK(bulk_group_size("k", 1'000'000) == 1);
    for (std::size_t length = 0; length <= 250; length += 5) {
      for (std::string const unit : {"k", "/", "\xc3\xa9"}) {
        std::string key;
        while (key.size() < length) key += unit;
        for (std::size_t prefix : {0u, 30u, 200u}) {
          auto const size = bulk_group_size(key, prefix);
          REQUIRE(size >= 1);
          REQUIRE(size <= 100);
          auto line = std::string("GET ") + std::string(prefix, 'p') +
                      "/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=" +
                      mlferry::http::percent_encode(key);
          for (std::size_t i = 0; i < size; ++i) line += "&run_id=" + std::string(32, 'a');
          line += " HTTP/1.1\r\n";
          CAPTURE(key);
          if (size > 1) REQUIRE(line.size() <= 4094);
        }
      }
    }
  }

  TEST_CASE("history reader: what a cut answer is worth") {
    std::vector<std::string> const asked{"a", "b", "c", "d"};
    struct Row {
      std::size_t rows;
      const char* last;
      std::size_t complete;
      bool too_big;
    };
    for (auto const& row : {
             Row{0, "", 4, false}, Row{9, "b", 4, false}, Row{10, "d", 3, false}, Row{10, "c", 2, false},
             Row{10, "b", 1, false}, Row{10, "a", 0, true}, Row{11, "c", 2, false},
             Row{10, "", 0, true},     // an answer that names no run proves nothing
             Row{10, "bb", 2, false},  // a run nobody asked for: those before it are whole
         }) {
      CAPTURE(row.rows);
      CAPTURE(std::string(row.last));
      auto const split = split_bulk(asked, row.rows, 10, row.last);
      CHECK(split.complete == row.complete);
      CHECK(split.first_alone_too_big == row.too_big);
    }
  }

  TEST_CASE("history reader: model: any sizes of histories are read whole, and the reading ends") {
    std::mt19937 random(3);
    constexpr std::size_t limit = 20;
    for (int round = 0; round < 2000; ++round) {
      std::map<std::string, std::size_t> sizes;
      std::vector<std::string> asked;
      for (char c = 'a'; c < 'a' + static_cast<char>(random() % 8); ++c) {
        asked.emplace_back(1, c);
        sizes[asked.back()] = random() % (random() % 4 == 0 ? 50 : 12);
      }
      std::map<std::string, std::size_t> read;
      std::size_t requests = 0;
      while (!asked.empty()) {
        REQUIRE(++requests < 40);
        std::vector<std::string> rows;
        for (auto const& id : asked) {
          for (std::size_t i = 0; i < sizes[id] && rows.size() < limit; ++i) rows.push_back(id);
        }
        auto const split = split_bulk(asked, rows.size(), limit, rows.empty() ? "" : rows.back());
        REQUIRE((split.complete > 0 || split.first_alone_too_big));
        for (std::size_t i = 0; i < split.complete; ++i) {
          read[asked[i]] = static_cast<std::size_t>(std::count(rows.begin(), rows.end(), asked[i]));
        }
        asked.erase(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(split.complete));
        if (split.first_alone_too_big && !asked.empty()) {
          read[asked.front()] = sizes[asked.front()];  // through get-history
          asked.erase(asked.begin());
        }
      }
      REQUIRE(read == sizes);
    }
  }
}
