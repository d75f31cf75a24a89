#include "engine/endpoints/history_reader.hpp"

#include <algorithm>

#include "async/task_group.hpp"
#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

// All series of one group of runs under construction.
struct Group {
  mlflow::Client& client;
  std::map<std::string, RunRecord*> by_id;

  mlflow::MetricSeries& series(RunRecord& record, const std::string& key) {
    for (auto& one : record.history) {
      if (one.key == key) return one;
    }
    throw std::logic_error("no such series");
  }
};

// One run, one key, page by page.
async::Task<> read_one(Group& group, std::string run_id, std::string key) {
  auto& record = *group.by_id.at(run_id);
  auto& series = group.series(record, key);
  series.points.clear();
  std::string token;
  do {
    auto page = co_await group.client.history(run_id, key, mlflow::Client::history_a_page, token);
    series.points.insert(series.points.end(), page.items.begin(), page.items.end());
    if (page.items.empty()) break;
    token = page.next_token;
  } while (!token.empty());
}

async::Task<> read_one_or_mark(Group& group, std::string run_id, std::string key) {
  auto const failure = co_await attempt(read_one(group, run_id, key));
  if (failure) group.by_id.at(run_id)->read_error = "history of metric '" + key + "': " + *failure;
}

// One key of at most a bulk request's runs (sorted), until all are complete.
async::Task<> read_bulk(Group& group, std::string key, std::vector<std::string> asked) {
  while (!asked.empty()) {
    auto rows = co_await group.client.history_bulk(asked, key);
    std::string const last = rows.empty() ? std::string() : rows.back().run_id;
    auto const split = split_bulk(asked, rows.size(), mlflow::Client::history_bulk_limit, last);
    std::set<std::string_view> complete(asked.begin(),
                                        asked.begin() + static_cast<std::ptrdiff_t>(split.complete));
    for (auto& row : rows) {
      auto const found = group.by_id.find(row.run_id);
      if (found == group.by_id.end() || !complete.contains(row.run_id)) continue;
      group.series(*found->second, key).points.push_back(row.point);
    }
    asked.erase(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(split.complete));
    if (split.first_alone_too_big && !asked.empty()) {
      co_await read_one_or_mark(group, asked.front(), key);
      asked.erase(asked.begin());
    }
  }
}

async::Task<> read_bulk_or_mark(Group& group, std::string key, std::vector<std::string> asked) {
  auto const failure = co_await attempt(read_bulk(group, key, asked));
  if (!failure) co_return;
  for (auto const& id : asked)
    group.by_id.at(id)->read_error = "history of metric '" + key + "': " + *failure;
}

}  // namespace

std::size_t bulk_group_size(std::string_view key, std::size_t prefix_bytes) {
  std::size_t const encoded = http::percent_encode(key).size() + prefix_bytes;
  std::size_t const room = encoded < 4024 ? (4024 - encoded) / 40 : 0;
  return std::clamp<std::size_t>(room, 1, 100);
}

BulkSplit split_bulk(const std::vector<std::string>& asked, std::size_t rows, std::size_t limit,
                     const std::string& last_run) {
  if (rows < limit) return {asked.size(), false};
  auto const last = std::lower_bound(asked.begin(), asked.end(), last_run);
  auto const complete = static_cast<std::size_t>(last - asked.begin());
  return {complete, complete == 0};
}

async::Task<> read_histories(const Context& context, mlflow::Client& client,
                             const mlflow::Capabilities& capabilities, std::vector<RunRecord>& runs) {
  Group group{client, {}};
  std::map<std::string, std::vector<std::string>> runs_of_key;
  for (auto& record : runs) {
    if (record.unchanged || !record.read_error.empty()) continue;
    std::string id(record.run.id());
    group.by_id[id] = &record;
    for (auto& key : record.run.metric_keys()) {
      record.history.push_back({key, {}});
      runs_of_key[key].push_back(id);
    }
  }
  auto const prefix = client.http().base_url().size();
  auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
    for (auto& [key, ids] : runs_of_key) {
      if (!capabilities.history_bulk) {
        for (auto const& id : ids) tasks.spawn(read_one_or_mark(group, id, key));
        continue;
      }
      std::sort(ids.begin(), ids.end());
      auto const size = bulk_group_size(key, prefix);
      for (std::size_t i = 0; i < ids.size(); i += size) {
        auto const end = std::min(ids.size(), i + size);
        std::vector<std::string> part(ids.begin() + static_cast<std::ptrdiff_t>(i),
                                      ids.begin() + static_cast<std::ptrdiff_t>(end));
        tasks.spawn(read_bulk_or_mark(group, key, std::move(part)));
      }
    }
    co_return;
  };
  co_await async::with_task_group(context.executor, body);
  for (auto& record : runs) {
    if (record.unchanged || !record.read_error.empty()) continue;
    for (auto const& series : record.history) {
      if (series.points.empty()) {
        record.read_error =
            "metric '" + series.key + "' has a last value but no history: the run changed while it was read";
      }
    }
  }
}

}  // namespace mlferry::engine
