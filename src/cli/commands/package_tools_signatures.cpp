// Signatures of models: get, set, and list what has none.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>

#include "async/semaphore.hpp"
#include "async/task_group.hpp"
#include "cli/commands/package_tools.hpp"
#include "cli/package_options.hpp"
#include "engine/endpoints/lookup.hpp"
#include "engine/failure.hpp"
#include "engine/tools/csv_schema.hpp"
#include "engine/tools/mlmodel.hpp"
#include "engine/tools/model_files.hpp"

namespace mlferry::cli {

namespace {

namespace json = boost::json;

struct SignatureTool : ToolServer {
  std::string model_uri, input_file, output_file, filter;
  bool model_info = false, overwrite = false;
};

constexpr const char* model_info_help =
    "true: also look whether the files that the model's flavors name are there; the peer reads the whole "
    "model then";

engine::ModelUri uri_of(const std::string& text) {
  try {
    return engine::parse_model_uri(text);
  } catch (const engine::BadModelUri& error) {
    throw UsageError(std::string("--model-uri: ") + error.what());
  }
}

bool is_folder(const engine::ModelUri& uri) {
  return uri.form == engine::ModelUri::Form::folder;
}

// A folder needs no server; none need be named then.
std::unique_ptr<ServerEnd> server_for(Runtime& runtime, const SignatureTool& tool,
                                      const engine::ModelUri& uri) {
  auto server = tool.server;
  if (is_folder(uri)) server.uri = "http://127.0.0.1";
  return std::make_unique<ServerEnd>(runtime, server, Side::source, true);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (auto const& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

// With the model's name in front of what is wrong with its file.
template <class Read>
auto about(const engine::ModelPlace& place, Read read) {
  try {
    return read();
  } catch (const engine::BadMlmodel& error) {
    throw engine::BadMlmodel("the MLmodel file of " + engine::describe(place) + ": " + error.what());
  }
}

// Nothing when the model has no signature.
async::Task<std::optional<json::object>> read_signature(engine::ModelFiles& files,
                                                        const engine::ModelPlace& place, bool model_info) {
  auto const text = co_await files.read_mlmodel(place);
  auto signature = about(place, [&text] { return engine::signature_of(text); });
  if (model_info) {
    auto const missing = co_await files.missing_files(place, text);
    if (!missing.empty()) {
      throw std::runtime_error(engine::describe(place) + " is not whole: its MLmodel file names " +
                               list_of(missing) + ", not there");
    }
  }
  co_return std::move(signature);
}

// --- get ---------------------------------------------------------------------------------------------------

enum class OutputForm { json, yaml };

OutputForm form_of(const std::string& file) {
  if (file.empty() || file.ends_with(".json")) return OutputForm::json;
  if (file.ends_with(".yaml") || file.ends_with(".yml")) return OutputForm::yaml;
  throw UsageError("--output-file: '" + file +
                   "' ends neither in .json nor in .yaml or .yml, which say how it is written");
}

async::Task<ExitCode> get_body(Runtime& runtime, const SignatureTool& tool) {
  auto const form = form_of(tool.output_file);
  auto const uri = uri_of(tool.model_uri);
  auto const end = server_for(runtime, tool, uri);
  engine::ModelFiles files(runtime.context(), end->client, end->local_artifacts);
  auto const place = co_await files.find(uri);
  log_info(runtime, tool.model_uri + " lies at " + engine::describe(place));
  auto const signature = co_await read_signature(files, place, tool.model_info);
  if (!signature) throw engine::NotFound(tool.model_uri + " has no signature");
  auto const text = pretty_json(*signature);
  if (tool.output_file.empty()) {
    print(text + "\n");
  } else {
    write_text_file(tool.output_file, form == OutputForm::json ? text : engine::json_to_yaml(*signature));
  }
  co_return ExitCode::ok;
}

// --- set ---------------------------------------------------------------------------------------------------

json::array columns_of(const std::string& option, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw UsageError(option + ": cannot read the file " + file);
  try {
    return engine::infer_columns(stream);
  } catch (const engine::BadCsv& error) {
    throw UsageError(option + ": " + file + ": " + error.what());
  }
}

async::Task<ExitCode> set_body(Runtime& runtime, const SignatureTool& tool) {
  auto const uri = uri_of(tool.model_uri);
  bool const settable = is_folder(uri) || uri.form == engine::ModelUri::Form::run ||
                        uri.form == engine::ModelUri::Form::logged_model;
  if (!settable) {
    throw UsageError(
        "--model-uri: " + tool.model_uri +
        ": a registered model's files are not to be changed: set the signature of the run (runs:/) or logged "
        "model (models:/m-…) that the version was made of");
  }
  auto const inputs = columns_of("--input-file", tool.input_file);
  std::optional<json::array> outputs;
  if (!tool.output_file.empty()) outputs = columns_of("--output-file", tool.output_file);
  auto const end = server_for(runtime, tool, uri);
  engine::ModelFiles files(runtime.context(), end->client, end->local_artifacts);
  auto const place = co_await files.find(uri);
  log_info(runtime, tool.model_uri + " lies at " + engine::describe(place));
  auto const text = co_await files.read_mlmodel(place);
  if (about(place, [&text] { return engine::signature_of(text); }) && !tool.overwrite)
    throw UsageError(tool.model_uri + " has a signature; --overwrite-signature true replaces it");
  auto changed = about(place, [&] { return engine::with_signature(text, inputs, outputs); });
  auto const signature = engine::signature_of(changed);
  if (!runtime.options().dry_run) co_await files.write_mlmodel(place, std::move(changed));
  print(pretty_json(*signature) + "\n");
  co_return ExitCode::ok;
}

// --- list --------------------------------------------------------------------------------------------------

struct Row {
  std::string model;
  std::int64_t version = 0;
  std::string run_id, error;
};

constexpr int versions_a_page = 1000;

class UnsignedVersions {
 public:
  UnsignedVersions(Runtime& runtime, ServerEnd& end, const SignatureTool& tool)
      : runtime_(runtime),
        end_(end),
        tool_(tool),
        files_(runtime.context(), end.client, end.local_artifacts),
        slots_(runtime.executor(), runtime.context().options.jobs) {}

  async::Task<std::vector<Row>> find() {
    auto body = [this](async::TaskGroup& tasks) -> async::Task<> {
      std::string token;
      do {
        auto page = co_await search(token);
        token = page.items.empty() ? std::string() : page.next_token;
        for (auto& version : page.items) {
          if (version.is_prompt()) continue;
          auto slot = co_await slots_.acquire();
          tasks.spawn(look(std::move(version), std::move(slot)));
        }
      } while (!token.empty());
    };
    co_await async::with_task_group(runtime_.executor(), body);
    std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
      return std::tie(a.model, a.version) < std::tie(b.model, b.version);
    });
    co_return std::move(rows_);
  }

 private:
  async::Task<mlflow::Page<mlflow::ModelVersion>> search(std::string token) {
    try {
      co_return co_await end_.client.search_model_versions(tool_.filter, versions_a_page, token);
    } catch (const mlflow::ApiError& error) {
      if (error.status() != 400 || tool_.filter.empty()) throw;
      throw UsageError("--filter: the server does not take '" + tool_.filter +
                       "': " + error.server_message());
    }
  }

  async::Task<> look(mlflow::ModelVersion version, async::Permit) {
    Row row{std::string(version.name()), version.number(), std::string(version.run_id()), ""};
    bool has_one = false;
    auto read = [&]() -> async::Task<> {
      auto const place = co_await files_.find_version(version);
      has_one = (co_await read_signature(files_, place, tool_.model_info)).has_value();
    };
    row.error = (co_await engine::attempt(read())).value_or("");
    if (!row.error.empty())
      log_info(runtime_, row.model + "/" + std::to_string(row.version) + ": " + row.error);
    if (!has_one || !row.error.empty()) rows_.push_back(std::move(row));
  }

  Runtime& runtime_;
  ServerEnd& end_;
  const SignatureTool& tool_;
  engine::ModelFiles files_;
  async::Semaphore slots_;
  std::vector<Row> rows_;
};

async::Task<ExitCode> list_body(Runtime& runtime, const SignatureTool& tool) {
  ServerEnd end(runtime, tool.server, Side::source, true);
  UnsignedVersions versions(runtime, end, tool);
  auto const rows = co_await versions.find();
  std::string text = "model,version,run_id,error\n";
  bool failed = false;
  for (auto const& row : rows) {
    text += engine::csv_field(row.model) + "," + std::to_string(row.version) + "," +
            engine::csv_field(row.run_id) + "," + engine::csv_field(row.error) + "\n";
    failed = failed || !row.error.empty();
  }
  if (tool.output_file.empty()) {
    print(text);
  } else {
    write_text_file(tool.output_file, text);
  }
  co_return failed ? ExitCode::some_failed : ExitCode::ok;
}

using Body = async::Task<ExitCode> (*)(Runtime&, const SignatureTool&);

void set_run(CLI::App& command, Run& run, std::shared_ptr<SignatureTool> tool, Body body) {
  command.callback([tool, &run, body] {
    run = [tool, body] {
      return run_tool(tool->global, [tool, body](Runtime& runtime) { return body(runtime, *tool); });
    };
  });
}

}  // namespace

void add_get_model_signature(CLI::App& app, Run& run) {
  auto tool = std::make_shared<SignatureTool>();
  auto* command = app.add_subcommand("get-model-signature", "Print the signature of a model");
  command->add_option("--model-uri", tool->model_uri, "models:/… or runs:/…, or a model's folder")
      ->required();
  command->add_option("--output-file", tool->output_file, "Write it to this file: .json, or .yaml and .yml");
  add_bool_value(*command, "--use-get-model-info", tool->model_info, model_info_help);
  add_tool_server(*command, *tool, Requests::few, Files::local);
  set_run(*command, run, tool, get_body);
}

void add_set_model_signature(CLI::App& app, Run& run) {
  auto tool = std::make_shared<SignatureTool>();
  auto* command =
      app.add_subcommand("set-model-signature", "Write a signature, found in CSV files, into a model");
  command->add_option("--model-uri", tool->model_uri, "runs:/ID/PATH, models:/m-ID, or a model's folder")
      ->required();
  command->add_option("--input-file", tool->input_file, "CSV file of inputs")->required();
  command->add_option("--output-file", tool->output_file, "CSV file of predictions");
  add_bool_value(*command, "--overwrite-signature", tool->overwrite,
                 "true: also in the place of another one");
  add_tool_server(*command, *tool, Requests::few, Files::local);
  command->add_flag("-n,--dry-run", tool->global.dry_run, "Print the signature, write nothing")
      ->envname("MLFERRY_DRY_RUN");
  set_run(*command, run, tool, set_body);
}

void add_list_model_versions_without_signatures(CLI::App& app, Run& run) {
  auto tool = std::make_shared<SignatureTool>();
  auto* command = app.add_subcommand(
      "list-model-versions-without-signatures",
      "List model versions that have no signature, or whose MLmodel cannot be read, as CSV");
  command->add_option("--filter", tool->filter, "The server's filter of model versions, such as name = 'x'");
  command->add_option("--output-file", tool->output_file, "Write the list to this file");
  add_bool_value(*command, "--use-get-model-info", tool->model_info, model_info_help);
  add_tool_server(*command, *tool, Requests::many, Files::local);
  set_run(*command, run, tool, list_body);
}

}  // namespace mlferry::cli
