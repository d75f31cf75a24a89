#include "support/tree_jobs.hpp"

#include <filesystem>
#include <regex>

#include "engine/endpoints/tree_source.hpp"
#include "engine/endpoints/tree_target.hpp"
#include "support/archive_fixture.hpp"
#include "support/run.hpp"

namespace fs = std::filesystem;

namespace mlferry::test {

namespace {

constexpr std::int64_t export_time = 1'760'000'000;

async::Task<> export_tree(Ferry& ferry, const FakeMlflow& from, std::string folder) {
  Link link(ferry, from);
  engine::ServerSource source(ferry.context, link.client, {"http://source:5000", false, true});
  engine::TreeTarget target(ferry.context, std::move(folder), export_time);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> import_tree(Ferry& ferry, std::string folder, const FakeMlflow& to, std::string state) {
  Link link(ferry, to);
  engine::TreeSource source(ferry.context, std::move(folder));
  engine::ServerTarget target(ferry.context, link.client, std::move(state), false);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> to_archive(Ferry& ferry, std::string folder, std::string place) {
  auto archive = open_archive(ferry, place);
  engine::TreeSource source(ferry.context, std::move(folder));
  engine::ArchiveTarget target(ferry.context, *archive, place);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> to_tree(Ferry& ferry, std::string place, std::string folder) {
  auto archive = open_archive(ferry, place);
  engine::ArchiveSource source(ferry.context, *archive, place, "latest");
  engine::TreeTarget target(ferry.context, std::move(folder), export_time);
  co_await engine::transfer(ferry.context, source, target);
}

async::Task<> convert(Ferry& ferry, std::string from, std::string to) {
  engine::TreeSource source(ferry.context, std::move(from));
  engine::TreeTarget target(ferry.context, std::move(to), export_time);
  co_await engine::transfer(ferry.context, source, target);
}

template <class Job, class... Arguments>
engine::Report done(boost::asio::io_context& loop, engine::JobOptions options, Job job,
                    Arguments&&... arguments) {
  Ferry ferry(loop, options);
  run(loop, job(ferry, std::forward<Arguments>(arguments)...));
  return std::move(ferry.report);
}

}  // namespace

engine::Report exported_tree(boost::asio::io_context& loop, const FakeMlflow& from, std::string folder,
                             engine::JobOptions options) {
  return done(loop, options, export_tree, from, std::move(folder));
}

engine::Report imported_tree(boost::asio::io_context& loop, std::string folder, const FakeMlflow& to,
                             std::string state, engine::JobOptions options) {
  return done(loop, options, import_tree, std::move(folder), to, std::move(state));
}

// One object at a time: what is listed then has the order of the source.
engine::Report tree_to_archive(boost::asio::io_context& loop, std::string folder, std::string archive) {
  return done(loop, {.jobs = 1}, to_archive, std::move(folder), std::move(archive));
}

engine::Report archive_to_tree(boost::asio::io_context& loop, std::string archive, std::string folder) {
  return done(loop, {.jobs = 1}, to_tree, std::move(archive), std::move(folder));
}

engine::Report tree_to_tree(boost::asio::io_context& loop, std::string from, std::string to) {
  return done(loop, {.jobs = 1}, convert, std::move(from), std::move(to));
}

namespace {

// No two jobs take equally long.
std::string without_durations(std::string text) {
  static const std::regex duration(R"("duration": [0-9.e+-]+)");
  return std::regex_replace(text, duration, "\"duration\": 0.0");
}

}  // namespace

std::map<std::string, std::string> tree_contents(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (auto const& entry : fs::recursive_directory_iterator(folder)) {
    auto const name = fs::relative(entry.path(), folder).string();
    if (name.starts_with(".mlferry")) continue;
    if (entry.is_regular_file()) out[name] = without_durations(read_file(entry.path()));
    if (entry.is_directory() && fs::is_empty(entry.path())) out[name + "/"] = "";
  }
  return out;
}

std::string tree_difference(const std::map<std::string, std::string>& one,
                            const std::map<std::string, std::string>& other) {
  std::string text;
  int left = 5;
  for (auto const& [name, bytes] : one) {
    auto const found = other.find(name);
    if (found != other.end() && found->second == bytes) continue;
    if (left-- == 0) return text + "…";
    text += name + (found == other.end() ? ": only in the first\n"
                                         : ":\n" + bytes + "\n-----\n" + found->second + "\n");
  }
  for (auto const& [name, bytes] : other) {
    if (one.contains(name)) continue;
    if (left-- == 0) return text + "…";
    text += name + ": only in the second\n";
  }
  return text;
}

}  // namespace mlferry::test
