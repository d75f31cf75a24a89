#pragma once
// What every part of a job shares. The owner (cli) builds it once; everything in it outlives the job.

#include <functional>
#include <string>

#include "async/semaphore.hpp"
#include "async/task.hpp"
#include "async/worker_pool.hpp"
#include "engine/report.hpp"
#include "engine/selection.hpp"

namespace mlferry::engine {

enum class LogLevel { debug, info, warning, error };

struct JobOptions {
  std::uint64_t jobs = 32;       // objects in flight at once (requests are limited by the limiter)
  std::uint64_t transfers = 16;  // files in flight at once
  bool dry_run = false;
  bool fail_fast = false;  // the first failed object ends the job
  bool full = false;       // read everything again, also what seems unchanged
  bool marker_tags = true;
  bool version_files = false;  // model versions bring their files also where their run or logged model does
  Selection selection;         // what of the source the job is about
};

struct Context {
  async::Executor executor;
  async::WorkerPool& pool;  // CPU and file work
  async::ByteBudget& memory;
  async::Semaphore& transfers;  // files in flight, of all objects together
  Report& report;
  JobOptions options;
  std::function<void(LogLevel, const std::string&)> log;
};

}  // namespace mlferry::engine
