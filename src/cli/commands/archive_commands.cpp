#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "cli/commands/commands.hpp"
#include "cli/endpoints.hpp"
#include "cli/report_table.hpp"
#include "protocol/mlflow/json.hpp"

namespace mlferry::cli {

namespace {

constexpr std::size_t objects_a_page = 500;

struct ArchiveJob {
  GlobalOptions global;
  ArchiveOptions archive;
  bool read_data = false;
  std::string path;
};

// The parts of "kind/id/path/in/object"; an id may hold '/' (model versions: "name/3"), so the kind decides.
struct ArchivePath {
  std::string kind, id, file;
};

ArchivePath split_path(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  ArchivePath out;
  auto const slash = text.find('/');
  out.kind = text.substr(0, slash);
  if (slash == std::string::npos) return out;
  text.erase(0, slash + 1);
  if (out.kind != "run" && out.kind != "logged_model" && out.kind != "trace") {
    out.id = text;  // kinds without files: all the rest is the id
    return out;
  }
  auto const next = text.find('/');
  out.id = text.substr(0, next);
  if (next != std::string::npos) out.file = text.substr(next + 1);
  return out;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_json(const mlflow::json::object& object) {
  print(mlflow::to_json(object) + "\n");
}

// A version's id is NAME/NUMBER, and a name may hold '/' and numbers: the first that the snapshot has.
async::Task<ArchivePath> locate(archive::SnapshotReader& snapshot, std::string text) {
  auto path = split_path(text);
  if (path.kind != "model_version" && path.kind != "prompt_version") co_return path;
  for (auto end = path.id.find('/'); end != std::string::npos;) {
    auto const next = path.id.find('/', end + 1);
    auto const number = path.id.substr(end + 1, next == std::string::npos ? next : next - end - 1);
    auto const id = path.id.substr(0, next);
    bool const is_number = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
    if (is_number && next != std::string::npos && co_await snapshot.find(path.kind, id))
      co_return ArchivePath{path.kind, id, path.id.substr(next + 1)};
    end = next;
  }
  co_return path;
}

async::Task<ExitCode> check_body(Runtime& runtime, archive::Archive& archive, const ArchiveJob& job) {
  auto const problems = co_await archive.check(job.read_data, [](std::uint64_t, std::uint64_t) {});
  for (auto const& problem : problems) {
    if (runtime.options().json) {
      print_json(
          {{"type", "problem"}, {"file", problem.file}, {"object", problem.object}, {"text", problem.text}});
    } else {
      print(printable(problem.file + (problem.object.empty() ? "" : " (" + problem.object + ")") + ": " +
                      problem.text) +
            "\n");
    }
  }
  if (runtime.options().json) {
    print_json({{"type", "check"}, {"problems", problems.size()}, {"read_data", job.read_data}});
  } else if (problems.empty()) {
    print(job.read_data ? "No problem found: all data was read and is whole.\n"
                        : "No problem found. Artifact data was not read: --read-data does.\n");
  } else {
    print(fmt::format("{} problems found.\n", problems.size()));
  }
  co_return problems.empty() ? ExitCode::ok : ExitCode::mismatch;
}

// What of its source a snapshot holds, unless that is all.
std::string selected(const archive::SnapshotInfo& snapshot) {
  std::string const workspace(mlflow::get_string(snapshot.summary, "workspace"));
  std::string const selection(mlflow::get_string(snapshot.summary, "selection"));
  return (workspace.empty() ? "" : "  workspace " + workspace) + (selection.empty() ? "" : "  (" + selection + ")");
}

async::Task<ExitCode> snapshots_body(Runtime& runtime, archive::Archive& archive) {
  auto const snapshots = co_await archive.snapshots();
  if (!runtime.options().json)
    print(fmt::format("{:<16}  {:<24}  {:>9}  {:>9}  {:>10}  {:>10}  {}\n", "id", "created", "objects",
                      "files", "size", "added", "source"));
  for (auto const& one : snapshots) {
    if (runtime.options().json) {
      print_json({{"id", one.id},
                  {"created", one.created},
                  {"source", one.source},
                  {"objects", one.objects},
                  {"files", one.files},
                  {"bytes", one.bytes},
                  {"stored_bytes", one.stored_bytes},
                  {"summary", one.summary}});
    } else {
      print(fmt::format("{:<16}  {:<24}  {:>9}  {:>9}  {:>10}  {:>10}  {}\n", one.id, one.created,
                        one.objects, one.files, human_bytes(one.bytes), human_bytes(one.stored_bytes),
                        printable(one.source + selected(one))));
    }
  }
  co_return ExitCode::ok;
}

async::Task<ExitCode> ls_kind(Runtime& runtime, archive::SnapshotReader& snapshot, std::string kind) {
  std::int64_t after = 0;
  do {
    auto page = co_await snapshot.objects(kind, std::nullopt, after, objects_a_page);
    after = page.next;
    for (auto const& object : page.objects) {
      auto const& row = object.row;
      if (runtime.options().json) {
        print_json({{"kind", row.kind},
                    {"id", row.id},
                    {"parent", row.parent},
                    {"name", row.name},
                    {"lifecycle", row.lifecycle},
                    {"status", row.status}});
      } else {
        print(printable(fmt::format("{}/{}  {}  {}{}", row.kind, row.id, row.lifecycle,
                                    row.status.empty() ? "" : row.status + "  ", row.name)) +
              "\n");
      }
    }
  } while (after != 0);
  co_return ExitCode::ok;
}

async::Task<ExitCode> ls_body(Runtime& runtime, archive::Archive& archive, const ArchiveJob& job) {
  auto snapshot = co_await archive.open_snapshot(job.archive.snapshot);
  auto const path = co_await locate(*snapshot, job.path);
  if (path.kind.empty()) {
    auto const counts = co_await snapshot->counts();
    for (auto const& [kind, n] : counts) {
      if (runtime.options().json) {
        print_json({{"kind", kind}, {"count", n}});
      } else {
        print(fmt::format("{}  {}\n", printable(kind), n));
      }
    }
    co_return ExitCode::ok;
  }
  if (path.id.empty()) co_return co_await ls_kind(runtime, *snapshot, path.kind);
  auto const row = co_await snapshot->find(path.kind, path.id);
  if (!row)
    throw archive::NotFound("no " + path.kind + " '" + path.id + "' in snapshot " + snapshot->info().id +
                            "; `mlferry ls --archive … " + path.kind + "` lists them");
  auto const files = co_await snapshot->files(path.kind, path.id);
  for (auto const& file : files) {
    if (!path.file.empty() && file.path != path.file && !file.path.starts_with(path.file + "/")) continue;
    if (runtime.options().json) {
      print_json({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
    } else {
      print(fmt::format("{:>12}  {}\n", file.size, printable(file.path)));
    }
  }
  co_return ExitCode::ok;
}

async::Task<ExitCode> cat_body(archive::Archive& archive, const ArchiveJob& job) {
  auto snapshot = co_await archive.open_snapshot(job.archive.snapshot);
  auto const path = co_await locate(*snapshot, job.path);
  if (path.id.empty()) throw UsageError("cat wants KIND/ID for a record or KIND/ID/PATH for a file");
  if (path.file.empty()) {
    auto const object = co_await snapshot->get(path.kind, path.id);
    if (!object)
      throw archive::NotFound("no " + path.kind + " '" + path.id + "' in snapshot " + snapshot->info().id);
    print_json(object->record);
    co_return ExitCode::ok;
  }
  auto reader = co_await snapshot->open_file(path.kind, path.id, path.file);
  std::vector<std::byte> buffer(256 * 1024);
  while (true) {
    auto const n = co_await reader->read_some(buffer);
    if (n == 0) break;
    if (std::fwrite(buffer.data(), 1, n, stdout) != n) throw std::runtime_error("cannot write to stdout");
  }
  co_return ExitCode::ok;
}

ExitCode with_archive(const ArchiveJob& job,
                      async::Task<ExitCode> (*body)(Runtime&, archive::Archive&, const ArchiveJob&)) {
  auto global = job.global;
  global.no_progress = true;
  Runtime runtime(global);
  auto archive = open_archive(runtime, job.archive);
  auto const code = runtime.run([&] { return body(runtime, *archive, job); });
  if (std::fflush(stdout) != 0) return ExitCode::other;
  return code;
}

std::shared_ptr<ArchiveJob> add_command(CLI::App& app, Run& run, const char* name, const char* help,
                                        async::Task<ExitCode> (*body)(Runtime&, archive::Archive&,
                                                                      const ArchiveJob&),
                                        CLI::App*& command) {
  auto job = std::make_shared<ArchiveJob>();
  command = app.add_subcommand(name, help);
  add_archive_option(*command, job->archive, true);
  command->add_flag("--json", job->global.json, "JSON lines");
  command->add_option("--max-memory", job->global.max_memory, "Memory that the process may use for data")
      ->envname("MLFERRY_MAX_MEMORY")
      ->check([](const std::string& text) {
        return parse_size(text) ? std::string() : "'" + text + "' is not a size (256M, 1G)";
      });
  command->callback([job, &run, body] { run = [job, body] { return with_archive(*job, body); }; });
  return job;
}

}  // namespace

void add_check(CLI::App& app, Run& run) {
  CLI::App* command = nullptr;
  auto job = add_command(
      app, run, "check", "Look for damage in an archive",
      [](Runtime& runtime, archive::Archive& archive, const ArchiveJob& job) {
        return check_body(runtime, archive, job);
      },
      command);
  command->add_flag("--read-data", job->read_data, "Read all artifact data too");
}

void add_snapshots(CLI::App& app, Run& run) {
  CLI::App* command = nullptr;
  add_command(
      app, run, "snapshots", "List the snapshots of an archive",
      [](Runtime& runtime, archive::Archive& archive, const ArchiveJob&) {
        return snapshots_body(runtime, archive);
      },
      command);
}

void add_ls(CLI::App& app, Run& run) {
  CLI::App* command = nullptr;
  auto job = add_command(
      app, run, "ls", "List kinds, the objects of a kind, or the files of an object",
      [](Runtime& runtime, archive::Archive& archive, const ArchiveJob& job) {
        return ls_body(runtime, archive, job);
      },
      command);
  add_snapshot_option(*command, job->archive);
  command->add_option("path", job->path, "KIND, KIND/ID or KIND/ID/FOLDER; nothing: the kinds");
}

void add_cat(CLI::App& app, Run& run) {
  CLI::App* command = nullptr;
  auto job = add_command(
      app, run, "cat", "Print a record or a file of an archive",
      [](Runtime&, archive::Archive& archive, const ArchiveJob& job) { return cat_body(archive, job); },
      command);
  add_snapshot_option(*command, job->archive);
  command->add_option("path", job->path, "KIND/ID: the record; KIND/ID/PATH: the file")->required();
}

}  // namespace mlferry::cli
