#include "engine/tools/tree_rewrite.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

#include "engine/endpoints/tree_source.hpp"
#include "engine/failure.hpp"
#include "engine/local_artifacts.hpp"
#include "storage/tree/object_folder.hpp"
#include "storage/tree/python_json.hpp"

extern char** environ;

namespace mlferry::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr int most_levels = 32;

bool is_rewritable(const std::string& name) {
  return name == "model.json" || name == "experiment.json" || name == "run.json";
}

// Whether a folder's subfolder holds files of the object that the folder is, and no objects.
bool holds_data(const tree::TreeListing& listing, const std::string& subfolder) {
  auto const has = [&listing](const char* name) {
    return std::find(listing.files.begin(), listing.files.end(), name) != listing.files.end();
  };
  if (subfolder == "artifacts") return has("run.json") || has("logged_model.json") || has("trace.json");
  if (subfolder == "version_models") return has("model.json");
  return subfolder == "version_model" && has("version.json");
}

async::Task<> walk(tree::TreeReader& reader, std::string folder, int level, std::vector<std::string>& files) {
  auto const listing = co_await reader.list(folder);
  if (!listing || level == most_levels) co_return;
  auto const below = [&folder](const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
  };
  for (auto const& name : listing->files) {
    if (is_rewritable(name)) files.push_back(below(name));
  }
  for (auto const& name : listing->folders) {
    if ((folder.empty() && name == tree::own_folder) || holds_data(*listing, name)) continue;
    co_await walk(reader, below(name), level + 1, files);
  }
}

// Once: the oldest backup is what was exported. A link is there as a whole or not at all.
void back_up(const std::string& file) {
  auto const backup = file + ".backup";
  if (::link(file.c_str(), backup.c_str()) == 0 || errno == EEXIST) return;
  std::error_code error;  // a file system without links
  auto const temporary = backup + ".mlferry-tmp";
  fs::copy_file(file, temporary, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(temporary, backup, error);
  if (error) throw std::runtime_error("cannot make the backup " + backup + ": " + error.message());
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File temporary_file() {
  File file(std::tmpfile(), std::fclose);
  if (!file) throw std::system_error(errno, std::generic_category(), "cannot make a temporary file");
  return file;
}

// Ends with the process's exit status.
int run_shell(const std::string& command, const std::string& path, int input, int output) {
  auto const name = path.substr(path.rfind('/') + 1);
  std::vector<std::string> variables{"MLFERRY_FILE=" + path,
                                     "MLFERRY_OBJECT=" + name.substr(0, name.find('.'))};
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  std::vector<char*> environment;
  for (auto& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string shell = "sh", option = "-c", text = command;
  char* arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  pid_t child = 0;
  int const error = ::posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), "cannot run the command");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      throw std::system_error(errno, std::generic_category(), "cannot wait for the command");
  }
  return status;
}

}  // namespace

json::value rewrite_by_command(const std::string& command, const std::string& path,
                               const json::value& document) {
  auto const input = temporary_file(), output = temporary_file();
  tree::JsonWriter writer([&input](std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), input.get()) != text.size())
      throw std::system_error(errno, std::generic_category(), "cannot write a temporary file");
  });
  writer.value(document);
  writer.finish();
  std::fflush(input.get());
  std::rewind(input.get());
  ::lseek(::fileno(input.get()), 0, SEEK_SET);
  int const status = run_shell(command, path, ::fileno(input.get()), ::fileno(output.get()));
  if (!WIFEXITED(status))
    throw std::runtime_error("the command was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    throw std::runtime_error("the command ended with " + std::to_string(WEXITSTATUS(status)));
  auto const size = ::lseek(::fileno(output.get()), 0, SEEK_END);
  if (size < 0 || static_cast<std::uint64_t>(size) > tree::most_json_bytes)
    throw std::runtime_error("the command wrote more than 1 GiB");
  std::string text(static_cast<std::size_t>(size), '\0');
  std::rewind(output.get());
  if (std::fread(text.data(), 1, text.size(), output.get()) != text.size())
    throw std::runtime_error("cannot read what the command wrote");
  auto value = mlflow::parse_python_json(text, "what the command wrote");
  if (!value.is_object()) throw std::runtime_error("the command wrote no JSON object");
  return value;
}

async::Task<std::vector<std::string>> rewritable_files(tree::TreeReader& reader) {
  std::vector<std::string> files;
  co_await walk(reader, "", 0, files);
  std::sort(files.begin(), files.end());
  co_return files;
}

async::Task<Rewritten> rewrite_tree(const Context& context, std::string folder, RewriteFile rewrite,
                                    bool dry_run) {
  tree::TreeReader reader(context.pool, folder);
  if (!co_await is_tree(reader))
    throw tree::TreeError(folder + ": no directory of mlflow-export-import or mlferry is there");
  if (co_await reader.find(tree::unfinished_file))
    throw tree::TreeError(folder + ": the export into it was not finished: run it again, it goes on");
  Rewritten result;
  for (auto const& path : co_await rewritable_files(reader)) {
    ++result.files;
    auto one = [&]() -> async::Task<> {
      auto const text = co_await reader.read(path, tree::most_json_bytes);
      auto const changed = co_await context.pool.run([&]() -> std::optional<std::string> {
        auto document = mlflow::parse_python_json(text, path);
        if (!document.is_object()) throw mlflow::JsonError(path + ": no JSON object");
        auto const before = mlflow::to_canonical_json(document);
        auto const after = rewrite(path, std::move(document));
        if (mlflow::to_canonical_json(after) == before) return std::nullopt;
        return tree::to_tree_text(after.as_object());
      });
      if (!changed) co_return;
      if (!dry_run) {
        co_await context.pool.run([&] { back_up(folder + "/" + path); });
        async::MemoryReader content(*changed);
        co_await write_local_file(context.pool, folder, path, content);
      }
      ++result.changed;
    };
    if (auto failure = co_await attempt(one())) result.failed.emplace_back(path, std::move(*failure));
  }
  co_return result;
}

}  // namespace mlferry::engine
