#pragma once
// Whole jobs against fake servers, for tests of the engine: everything that a job needs, and one coroutine
// for each kind of job.

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "async/semaphore.hpp"
#include "async/worker_pool.hpp"
#include "engine/compare.hpp"
#include "engine/context.hpp"
#include "engine/endpoints/archive_source.hpp"
#include "engine/endpoints/archive_target.hpp"
#include "engine/endpoints/server_source.hpp"
#include "engine/endpoints/server_target.hpp"
#include "engine/limits.hpp"
#include "engine/report.hpp"
#include "engine/transfer.hpp"
#include "protocol/http/client.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"
#include "support/fake_mlflow.hpp"

namespace mlferry::test {

// A client that repeats often and waits little.
http::ClientOptions impatient(const std::string& url);

// What one job shares; `loop` must outlive it.
struct Ferry {
  explicit Ferry(boost::asio::io_context& loop, engine::JobOptions options = {});
  boost::asio::io_context& loop;
  async::WorkerPool pool{1};
  async::ByteBudget memory;
  async::Semaphore transfers;
  engine::Report report;
  engine::Context context;
};

// A server as one job reaches it.
struct Link {
  Link(Ferry& ferry, const FakeMlflow& server);
  engine::AdaptiveLimiter limiter;
  http::Client http;
  mlflow::Client client;
};

std::unique_ptr<archive::Archive> open_archive(Ferry& ferry, const std::string& folder);

// Jobs. Ferry and servers must outlive them; the result is in ferry.report. `identity`: of the source, "" is
// its URL.
async::Task<> copy_servers(Ferry& ferry, const FakeMlflow& from, const FakeMlflow& to, std::string state,
                           std::string identity = "");
async::Task<> export_server(Ferry& ferry, const FakeMlflow& from, std::string archive_folder,
                            std::string identity = "");
async::Task<> import_archive(Ferry& ferry, std::string archive_folder, const FakeMlflow& to,
                             std::string state);
async::Task<> compare_servers(Ferry& ferry, const FakeMlflow& from, const FakeMlflow& to,
                              engine::CompareOptions options = {}, std::string identity = "");
async::Task<> compare_archive(Ferry& ferry, std::string archive_folder, const FakeMlflow& to);

// The same, run to their end on an otherwise idle loop.
engine::Report copied(boost::asio::io_context& loop, const FakeMlflow& from, const FakeMlflow& to,
                      std::string state, engine::JobOptions options = {});
engine::Report exported(boost::asio::io_context& loop, const FakeMlflow& from, std::string archive_folder,
                        engine::JobOptions options = {});
engine::Report imported(boost::asio::io_context& loop, std::string archive_folder, const FakeMlflow& to,
                        std::string state, engine::JobOptions options = {});
engine::Report compared(boost::asio::io_context& loop, const FakeMlflow& from, const FakeMlflow& to,
                        engine::CompareOptions options = {});

// "run r1: cause" for every finding of that severity; for messages of tests.
std::string findings(const engine::Report& report, engine::Severity severity);
// Empty when found = copied + skipped + failed for every kind; else which kind, and the numbers.
std::string wrong_sums(const engine::Report& report);

}  // namespace mlferry::test
