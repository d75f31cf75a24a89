#include "support/ferry.hpp"

#include <utility>

#include "storage/backend/folder_backend.hpp"
#include "support/run.hpp"

namespace mlferry::test {

namespace {

constexpr std::uint64_t test_memory = 128u << 20;

// The census only reads, and a dozen questions more: exports show it, copies go without.
engine::ServerSourceOptions source_options(std::string identity, bool census) {
  engine::ServerSourceOptions options;
  options.census = census;
  options.identity = std::move(identity);
  return options;
}

}  // namespace

http::ClientOptions impatient(const std::string& url) {
  http::ClientOptions options;
  options.base_url = url;
  options.retry.attempts = 12;
  options.retry.base_delay = std::chrono::milliseconds(1);
  options.retry.max_delay = std::chrono::milliseconds(4);
  options.retry.max_retry_after = std::chrono::milliseconds(5);
  options.retry.budget = 1e9;
  options.idle_timeout = std::chrono::seconds(20);
  options.random_seed = 5;
  return options;
}

Ferry::Ferry(boost::asio::io_context& loop, engine::JobOptions options)
    : loop(loop),
      memory(loop.get_executor(), test_memory),
      transfers(loop.get_executor(), options.transfers),
      context{loop.get_executor(), pool, memory, transfers, report, options, {}} {
  context.log = [](engine::LogLevel, const std::string&) {};
}

Link::Link(Ferry& ferry, const FakeMlflow& server)
    : limiter(ferry.loop.get_executor(), {}),
      http(ferry.loop.get_executor(), impatient(server.url()), &limiter),
      client(http) {}

std::unique_ptr<archive::Archive> open_archive(Ferry& ferry, const std::string& folder) {
  return std::make_unique<archive::Archive>(ferry.loop.get_executor(), ferry.pool, ferry.memory,
                                            std::make_shared<backend::FolderBackend>(ferry.pool, folder),
                                            archive::Options{});
}

async::Task<> copy_servers(Ferry& ferry, const FakeMlflow& from, const FakeMlflow& to, std::string state,
                           std::string identity) {
  Link source_link(ferry, from);
  Link target_link(ferry, to);
  engine::ServerSource source(ferry.context, source_link.client, source_options(std::move(identity), false));
  engine::ServerTarget target(ferry.context, target_link.client, std::move(state), false);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> export_server(Ferry& ferry, const FakeMlflow& from, std::string archive_folder,
                            std::string identity) {
  Link link(ferry, from);
  auto archive = open_archive(ferry, archive_folder);
  engine::ServerSource source(ferry.context, link.client, source_options(std::move(identity), true));
  engine::ArchiveTarget target(ferry.context, *archive, archive_folder);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> import_archive(Ferry& ferry, std::string archive_folder, const FakeMlflow& to,
                             std::string state) {
  Link link(ferry, to);
  auto archive = open_archive(ferry, archive_folder);
  engine::ArchiveSource source(ferry.context, *archive, archive_folder, "latest");
  engine::ServerTarget target(ferry.context, link.client, std::move(state), false);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> compare_servers(Ferry& ferry, const FakeMlflow& from, const FakeMlflow& to,
                              engine::CompareOptions options, std::string identity) {
  Link original_link(ferry, from);
  Link copy_link(ferry, to);
  engine::ServerSource original(ferry.context, original_link.client,
                                source_options(std::move(identity), false));
  engine::ServerSource copy(ferry.context, copy_link.client, {});
  co_await engine::compare(ferry.context, original, copy, options);
}

async::Task<> compare_archive(Ferry& ferry, std::string archive_folder, const FakeMlflow& to) {
  Link link(ferry, to);
  auto archive = open_archive(ferry, archive_folder);
  engine::ArchiveSource original(ferry.context, *archive, archive_folder, "latest");
  engine::ServerSource copy(ferry.context, link.client, {});
  co_await engine::compare(ferry.context, original, copy, {});
}

engine::Report copied(boost::asio::io_context& loop, const FakeMlflow& from, const FakeMlflow& to,
                      std::string state, engine::JobOptions options) {
  Ferry ferry(loop, options);
  run(loop, copy_servers(ferry, from, to, std::move(state)));
  return std::move(ferry.report);
}

engine::Report exported(boost::asio::io_context& loop, const FakeMlflow& from, std::string archive_folder,
                        engine::JobOptions options) {
  Ferry ferry(loop, options);
  run(loop, export_server(ferry, from, std::move(archive_folder)));
  return std::move(ferry.report);
}

engine::Report imported(boost::asio::io_context& loop, std::string archive_folder, const FakeMlflow& to,
                        std::string state, engine::JobOptions options) {
  Ferry ferry(loop, options);
  run(loop, import_archive(ferry, std::move(archive_folder), to, std::move(state)));
  return std::move(ferry.report);
}

engine::Report compared(boost::asio::io_context& loop, const FakeMlflow& from, const FakeMlflow& to,
                        engine::CompareOptions options) {
  Ferry ferry(loop);
  run(loop, compare_servers(ferry, from, to, options));
  return std::move(ferry.report);
}

std::string findings(const engine::Report& report, engine::Severity severity) {
  std::string text;
  for (auto const& finding : report.findings()) {
    if (finding.severity != severity) continue;
    text += std::string(engine::kind_name(finding.kind)) + " " + finding.id + ": " + finding.text + "\n";
  }
  return text;
}

std::string wrong_sums(const engine::Report& report) {
  std::string text;
  for (auto const kind : engine::all_kinds) {
    auto const& n = report.counts(kind);
    if (n.found == n.copied + n.skipped + n.failed && n.created <= n.copied) continue;
    text += std::string(engine::kind_label(kind)) + ": found " + std::to_string(n.found) + ", copied " +
            std::to_string(n.copied) + ", skipped " + std::to_string(n.skipped) + ", failed " +
            std::to_string(n.failed) + "\n";
  }
  return text;
}

}  // namespace mlferry::test
