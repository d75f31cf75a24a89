#pragma once
// One job's machinery: the event loop, threads, budgets, Ctrl-C, the log. Built from the options, gone when
// the job is done.

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "engine/context.hpp"
#include "engine/limits.hpp"

namespace mlferry::cli {

class Runtime {
 public:
  explicit Runtime(const GlobalOptions& options, engine::Selection selection = {});

  engine::Context& context() { return context_; }
  engine::Report& report() { return report_; }
  const GlobalOptions& options() const { return options_; }
  async::Executor executor() { return loop_.get_executor(); }
  async::WorkerPool& pool() { return pool_; }
  async::ByteBudget& memory() { return memory_; }

  // A limiter for one server; lives as long as the runtime.
  engine::AdaptiveLimiter& new_limiter();

  // Runs the job to its end, shows progress, and turns what it throws into a message on stderr and an exit
  // code. The first Ctrl-C cancels the job, the second ends the process at once.
  ExitCode run(std::function<async::Task<ExitCode>()> job);

 private:
  async::Task<> guard(std::function<async::Task<ExitCode>()> job, ExitCode& code);

  GlobalOptions options_;
  boost::asio::io_context loop_{1};
  async::WorkerPool pool_;
  async::ByteBudget memory_;
  async::Semaphore transfers_;
  engine::Report report_;
  engine::Context context_;
  std::deque<engine::AdaptiveLimiter> limiters_;
};

}  // namespace mlferry::cli
