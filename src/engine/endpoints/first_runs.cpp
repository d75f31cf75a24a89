#include "engine/endpoints/first_runs.hpp"

#include "engine/failure.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t experiments_a_search = 100;
constexpr int most_runs = 1000;

}  // namespace

void FirstRuns::expect(std::vector<Experiment> experiments) {
  expected_ = std::move(experiments);
  places_.clear();
  for (std::size_t i = 0; i < expected_.size(); ++i) places_.emplace(expected_[i].id, i);
}

async::Task<std::optional<FirstRuns::Share>> FirstRuns::take(std::string experiment_id, std::string filter) {
  auto const turn = co_await turn_.acquire();
  auto const place = places_.find(experiment_id);
  if (place != places_.end()) co_await search(place->second, std::move(filter));
  auto const share = shares_.find(experiment_id);
  if (share == shares_.end()) co_return std::nullopt;
  auto taken = std::move(share->second);
  shares_.erase(share);
  co_return taken;
}

async::Task<> FirstRuns::search(std::size_t from, std::string filter) {
  std::vector<std::string> ids;
  auto const view = expected_[from].view;
  for (std::size_t i = from; i < expected_.size() && ids.size() < experiments_a_search; ++i) {
    if (expected_[i].view != view || places_.erase(expected_[i].id) == 0) continue;
    ids.push_back(expected_[i].id);
  }
  if (ids.size() < 2) co_return;
  // Each experiment's own search tells what is wrong, and of which.
  co_await attempt(share_out(ids, view, std::move(filter)));
}

async::Task<> FirstRuns::share_out(const std::vector<std::string>& ids, mlflow::View view, std::string filter) {
  auto page = co_await client_.search_runs(ids, std::move(filter), view, most_runs, "");
  bool const all = page.next_token.empty();
  for (auto const& id : ids) shares_[id].all = all;
  for (auto& run : page.items) {
    auto const share = shares_.find(std::string(run.experiment_id()));
    if (share != shares_.end()) share->second.runs.push_back(std::move(run));
  }
}

}  // namespace mlferry::engine
