// find-artifacts and list-registered-models.

#include <CLI/CLI.hpp>

#include <algorithm>

#include "async/semaphore.hpp"
#include "async/task_group.hpp"
#include "cli/commands/package_tools.hpp"
#include "storage/tree/names.hpp"
#include "storage/tree/python_json.hpp"

namespace mlferry::cli {

namespace {

struct FindTool : ToolServer {
  std::string run_id, path, target;
  std::int64_t max_level = std::numeric_limits<std::int64_t>::max();
};

constexpr std::size_t most_folders = 1'000'000;
constexpr int models_a_page = 1000;

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Folder by folder: "model/x" before "model-onnx/x".
bool by_parts(const std::string& a, const std::string& b) {
  auto const rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](char x, char y) { return rank(x) < rank(y); });
}

// The folders of one level at the same time.
class ArtifactSearch {
 public:
  ArtifactSearch(Runtime& runtime, mlflow::Client& client, const FindTool& tool)
      : runtime_(runtime),
        client_(client),
        tool_(tool),
        slots_(runtime.executor(), runtime.context().options.jobs) {}

  async::Task<std::vector<std::string>> find() {
    std::vector<std::string> level{tool_.path};
    std::size_t folders = 0;
    for (std::int64_t depth = 0; !level.empty(); ++depth) {
      folders += level.size();
      if (folders > most_folders)
        throw std::runtime_error("the run has more than a million folders: give --path or --max-level");
      next_.clear();
      auto body = [&](async::TaskGroup& tasks) -> async::Task<> {
        for (auto const& folder : level) {
          auto slot = co_await slots_.acquire();
          tasks.spawn(list(folder, std::move(slot)));
        }
      };
      co_await async::with_task_group(runtime_.executor(), body);
      log_info(runtime_,
               "level " + std::to_string(depth) + ": " + std::to_string(level.size()) + " folders listed");
      if (depth >= tool_.max_level) break;
      level = std::move(next_);
    }
    std::sort(found_.begin(), found_.end(), by_parts);
    co_return std::move(found_);
  }

 private:
  async::Task<> list(std::string folder, async::Permit) {
    auto const files = co_await client_.list_artifacts(tool_.run_id, folder);
    for (auto const& file : files) {
      if (file.is_dir) next_.push_back(file.path);
      if (!file.is_dir && last_part(file.path) == tool_.target) found_.push_back(file.path);
    }
  }

  Runtime& runtime_;
  mlflow::Client& client_;
  const FindTool& tool_;
  async::Semaphore slots_;
  std::vector<std::string> next_, found_;
};

async::Task<ExitCode> find_body(Runtime& runtime, const FindTool& tool) {
  if (!tool.path.empty() && !tree::is_plain_path(tool.path))
    throw UsageError("--path: '" + tool.path + "' is no path from the run's artifacts, such as model/data");
  if (!tree::is_plain_part(tool.target)) throw UsageError("--target: '" + tool.target + "' is no file name");
  ServerEnd end(runtime, tool.server, Side::source, true);
  ArtifactSearch search(runtime, end.client, tool);
  for (auto const& path : co_await search.find()) print(path + "\n");
  co_return ExitCode::ok;
}

async::Task<ExitCode> models_body(Runtime& runtime, const ToolServer& tool) {
  ServerEnd end(runtime, tool.server, Side::source, true);
  // Nothing is printed before the first page is there.
  auto page = co_await end.client.search_registered_models("", models_a_page, "");
  tree::JsonWriter writer([](std::string_view text) { print(text); });
  writer.begin_object();
  writer.key("registered_models");
  writer.begin_array();
  while (true) {
    log_info(runtime, std::to_string(page.items.size()) + " registered models");
    for (auto const& model : page.items) writer.value(model.doc);
    if (page.next_token.empty() || page.items.empty()) break;
    page = co_await end.client.search_registered_models("", models_a_page, page.next_token);
  }
  writer.end_array();
  writer.end_object();
  writer.finish();
  co_return ExitCode::ok;
}

}  // namespace

void add_find_artifacts(CLI::App& app, Run& run) {
  auto tool = std::make_shared<FindTool>();
  auto* command =
      app.add_subcommand("find-artifacts", "Print the paths of a run's artifacts that have a file name");
  command->add_option("--run-id", tool->run_id, "Run")->required();
  command->add_option("--path", tool->path, "Folder to begin in");
  command->add_option("--target", tool->target, "File name, such as MLmodel")->required();
  command->add_option("--max-level", tool->max_level, "Folders below the first one to go down; default: all")
      ->check(CLI::NonNegativeNumber);
  add_tool_server(*command, *tool, Requests::many);
  command->callback([tool, &run] {
    run = [tool] {
      return run_tool(tool->global, [tool](Runtime& runtime) { return find_body(runtime, *tool); });
    };
  });
}

void add_list_registered_models(CLI::App& app, Run& run) {
  auto tool = std::make_shared<ToolServer>();
  auto* command = app.add_subcommand("list-registered-models", "Print all registered models as JSON");
  add_tool_server(*command, *tool, Requests::few);
  command->callback([tool, &run] {
    run = [tool] {
      return run_tool(tool->global, [tool](Runtime& runtime) { return models_body(runtime, *tool); });
    };
  });
}

}  // namespace mlferry::cli
