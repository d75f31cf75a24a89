#include "cli/runtime.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json/serialize.hpp>

#include "async/task_group.hpp"
#include "cli/failures.hpp"
#include "cli/progress_view.hpp"

namespace mlferry::cli {

namespace asio = boost::asio;

namespace {

// The program itself, OpenSSL and SQLite need about this; the rest of --max-memory is for data.
constexpr std::uint64_t own_memory = 48u << 20;
constexpr std::uint64_t auto_objects = 48;
constexpr std::size_t worker_threads = 2;

std::uint64_t data_memory(const GlobalOptions& options) {
  auto const total = parse_size(options.max_memory).value_or(256u << 20);
  return std::max<std::uint64_t>(total > own_memory ? total - own_memory : 0, 32u << 20);
}

std::uint64_t objects_in_flight(const GlobalOptions& options) {
  auto const jobs = parse_jobs(options.jobs).value_or(0);
  return jobs == 0 ? auto_objects : jobs;
}

std::shared_ptr<spdlog::logger> make_logger(const GlobalOptions& options) {
  std::shared_ptr<spdlog::logger> logger;
  if (options.log_file.empty()) {
    logger = std::make_shared<spdlog::logger>("mlferry", std::make_shared<spdlog::sinks::stderr_sink_st>());
  } else {
    logger = std::make_shared<spdlog::logger>(
        "mlferry", std::make_shared<spdlog::sinks::basic_file_sink_st>(options.log_file));
  }
  logger->set_level(spdlog::level::from_str(options.log_level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  return logger;
}

void print_finding(const engine::Finding& finding) {
  static constexpr const char* names[] = {"failed", "skipped", "difference", "loss"};
  boost::json::object line{{"type", "finding"},
                                 {"severity", names[static_cast<int>(finding.severity)]},
                                 {"kind", engine::kind_name(finding.kind)},
                                 {"id", finding.id},
                                 {"name", finding.name},
                                 {"text", finding.text}};
  if (!finding.workspace.empty()) line["workspace"] = finding.workspace;
  std::fputs((boost::json::serialize(line) + "\n").c_str(), stdout);
}

}  // namespace

Runtime::Runtime(const GlobalOptions& options, engine::Selection selection)
    : options_(options),
      pool_(worker_threads),
      memory_(loop_.get_executor(), data_memory(options)),
      transfers_(loop_.get_executor(), options.transfers),
      context_{loop_.get_executor(), pool_, memory_, transfers_, report_, {}, {}} {
  context_.options.jobs = objects_in_flight(options);
  context_.options.transfers = options.transfers;
  context_.options.dry_run = options.dry_run;
  context_.options.fail_fast = options.fail_fast;
  context_.options.full = options.full;
  context_.options.marker_tags = !options.no_marker_tags;
  context_.options.selection = std::move(selection);
  auto logger = make_logger(options);
  context_.log = [logger](engine::LogLevel level, const std::string& text) {
    switch (level) {
      case engine::LogLevel::debug:
        logger->debug(text);
        break;
      case engine::LogLevel::info:
        logger->info(text);
        break;
      case engine::LogLevel::warning:
        logger->warn(text);
        break;
      case engine::LogLevel::error:
        logger->error(text);
        break;
    }
  };
  report_.on_finding = [json = options.json, log = context_.log](const engine::Finding& finding) {
    if (json) print_finding(finding);
    auto const level =
        finding.severity == engine::Severity::failed ? engine::LogLevel::info : engine::LogLevel::debug;
    log(level, std::string(engine::kind_name(finding.kind)) + " " + finding.id + ": " + finding.text);
  };
}

engine::AdaptiveLimiter& Runtime::new_limiter() {
  engine::LimitOptions limits;
  limits.fixed = parse_jobs(options_.jobs).value_or(0);
  limits.requests_per_second = options_.tpslimit;
  return limiters_.emplace_back(executor(), limits);
}

async::Task<> Runtime::guard(std::function<async::Task<ExitCode>()> job, ExitCode& code) {
  code = co_await job();
}

ExitCode Runtime::run(std::function<async::Task<ExitCode>()> job) {
  ExitCode code = ExitCode::other;
  std::exception_ptr failure;
  auto const start = std::chrono::steady_clock::now();

  asio::cancellation_signal cancel_job, cancel_view;
  asio::signal_set signals(loop_, SIGINT, SIGTERM);
  bool interrupted = false;
  std::function<void(const boost::system::error_code&, int)> on_signal =
      [&](const boost::system::error_code& error, int) {
        if (error) return;
        if (interrupted) ::_exit(static_cast<int>(ExitCode::interrupted));
        interrupted = true;
        std::fputs("mlferry: stopping (Ctrl-C again to stop at once)\n", stderr);
        cancel_job.emit(asio::cancellation_type::terminal);
        signals.async_wait(on_signal);
      };
  signals.async_wait(on_signal);

  ProgressView view(report_);
  auto numbers = [this] {
    ProgressNumbers now;
    for (auto const& limiter : limiters_) now.requests_in_flight += limiter.in_flight();
    now.memory_used = memory_.used();
    return now;
  };
  if (!options_.no_progress) {
    asio::co_spawn(loop_, view.run(numbers),
                   asio::bind_cancellation_slot(cancel_view.slot(), [](std::exception_ptr) {}));
  }
  asio::co_spawn(loop_, guard(job, code),
                 asio::bind_cancellation_slot(cancel_job.slot(), [&](std::exception_ptr error) {
                   failure = std::move(error);
                   cancel_view.emit(asio::cancellation_type::terminal);
                   signals.cancel();
                 }));
  loop_.run();
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (failure) {
    auto ending = ending_of(failure);
    if (interrupted) ending = {ExitCode::interrupted, "interrupted; run the same command again to go on"};
    std::fputs(("mlferry: error: " + ending.message + "\n").c_str(), stderr);
    return ending.code;
  }
  return code;
}

}  // namespace mlferry::cli
