#pragma once
// The oldest runs of many experiments from one search. Most servers hold many experiments of few runs, and a search costs
// a server 8 ms before it has found any.

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "async/semaphore.hpp"
#include "protocol/mlflow/client.hpp"

namespace mlferry::engine {

class FirstRuns {
 public:
  struct Experiment {
    std::string id;
    mlflow::View view = mlflow::View::all;
  };
  // As a page of the experiment's own search would begin.
  struct Share {
    std::vector<mlflow::Run> runs;
    bool all = false;  // the experiment has no others
  };

  FirstRuns(async::Executor executor, mlflow::Client& client) : client_(client), turn_(std::move(executor), 1) {}

  // Those that take() will be asked for, in about this order. Without this call it gives nothing.
  void expect(std::vector<Experiment> experiments);

  // What one search over this experiment and those that follow it found of this one; each call has the same `filter`.
  // Nullopt: search yourself, as the server refused, the share was taken before, or no other experiment is left. Shares
  // are kept until they are taken: of each search at most 1000 runs. A call that is cancelled leaves the experiments of its
  // search to searches of their own.
  async::Task<std::optional<Share>> take(std::string experiment_id, std::string filter);

 private:
  async::Task<> search(std::size_t from, std::string filter);
  async::Task<> share_out(const std::vector<std::string>& ids, mlflow::View view, std::string filter);

  mlflow::Client& client_;
  async::Semaphore turn_;
  std::vector<Experiment> expected_;
  std::unordered_map<std::string, std::size_t> places_;  // of those that were not searched yet
  std::map<std::string, Share> shares_;
};

}  // namespace mlferry::engine
