#include "engine/endpoints/trace_links.hpp"

#include <algorithm>

#include "async/task_group.hpp"

namespace mlferry::engine {

namespace {

constexpr int runs_a_page = 1000;
constexpr int linked_traces_a_page = 500;
constexpr std::size_t experiments_a_search = 100;

class Reader {
 public:
  Reader(const Context& context, mlflow::Client& client, std::vector<std::string> traced)
      : context_(context), client_(client), slots_(context.executor, context.options.jobs) {
    for (std::size_t i = 0; i < traced.size(); i += experiments_a_search) {
      auto const end = std::min(traced.size(), i + experiments_a_search);
      questions_.emplace_back(traced.begin() + static_cast<std::ptrdiff_t>(i),
                              traced.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }

  async::Task<> ask_runs(std::string experiment) {
    std::string token;
    do {
      auto page = co_await client_.search_runs({experiment}, "", mlflow::View::all, runs_a_page, token);
      token = page.items.empty() ? std::string() : page.next_token;
      auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
        for (auto const& run : page.items) {
          auto slot = co_await slots_.acquire();
          tasks.spawn(ask_run(std::string(run.id()), std::move(slot)));
        }
      };
      co_await async::with_task_group(context_.executor, body);
    } while (!token.empty());
  }

  async::Task<> ask_prompts(std::vector<std::pair<std::string, std::string>> prompts) {
    auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
      for (auto const& prompt : prompts) {
        auto slot = co_await slots_.acquire();
        tasks.spawn(ask_prompt(prompt, std::move(slot)));
      }
    };
    co_await async::with_task_group(context_.executor, body);
  }

  TraceLinks take() {
    for (auto& [id, links] : links_) {
      std::sort(links.runs.begin(), links.runs.end());
      std::sort(links.prompts.begin(), links.prompts.end());
    }
    return std::move(links_);
  }

 private:
  template <class Take>
  async::Task<> search(std::string filter, Take take) {
    for (auto const& experiments : questions_) {
      std::string token;
      do {
        auto page = co_await client_.search_traces(experiments, filter, linked_traces_a_page, token);
        token = page.items.empty() ? std::string() : page.next_token;
        for (auto const& trace : page.items) take(trace);
      } while (!token.empty());
    }
  }

  async::Task<> ask_run(std::string id, async::Permit) {
    auto take = [this, &id](const mlflow::Trace& trace) {
      if (trace.metadata("mlflow.sourceRun") != id) links_[std::string(trace.id())].runs.push_back(id);
    };
    co_await search("attributes.run_id = '" + id + "'", take);
  }

  async::Task<> ask_prompt(std::pair<std::string, std::string> prompt, async::Permit) {
    auto const literal = mlflow::filter_literal(prompt.first + "/" + prompt.second);
    if (!literal) co_return;  // no prompt's name holds quotes
    auto take = [this, &prompt](const mlflow::Trace& trace) {
      links_[std::string(trace.id())].prompts.push_back(prompt);
    };
    co_await search("prompt = " + *literal, take);
  }

  const Context& context_;
  mlflow::Client& client_;
  async::Semaphore slots_;
  std::vector<std::vector<std::string>> questions_;
  TraceLinks links_;
};

}  // namespace

async::Task<TraceLinks> read_trace_links(const Context& context, mlflow::Client& client,
                                         std::vector<std::string> experiments,
                                         std::vector<std::string> traced,
                                         std::vector<std::pair<std::string, std::string>> prompts) {
  Reader reader(context, client, std::move(traced));
  for (auto const& experiment : experiments) co_await reader.ask_runs(experiment);
  co_await reader.ask_prompts(std::move(prompts));
  co_return reader.take();
}

}  // namespace mlferry::engine
