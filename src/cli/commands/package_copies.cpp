#include "cli/commands/package_copies.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <set>

#include "cli/commands/package_import_options.hpp"
#include "cli/failures.hpp"
#include "cli/import_job.hpp"
#include "cli/package_options.hpp"
#include "cli/version_table.hpp"
#include "engine/endpoints/lookup.hpp"
#include "engine/id_text.hpp"
#include "engine/source_tags.hpp"
#include "engine/transfer.hpp"

namespace mlferry::cli {

namespace {

using engine::Kind;

struct CopyJob {
  GlobalOptions global;
  ServerOptions source, destination;
  std::string run_id;
  std::string model, version_text;
  bool permissions = false, lineage_tags = false, verbose = false;
  engine::Mapping mapping;
  engine::ServerTargetOptions target;
};

// Objects of these kinds are added by their ids.
engine::Selection nothing_of(std::set<Kind> kinds) {
  engine::Selection selection;
  for (auto const kind : kinds) selection.ids[kind];
  selection.ids[Kind::experiment];
  selection.kinds = std::move(kinds);
  return selection;
}

async::Task<> add_logged_model(mlflow::Client& client, std::string id, engine::Selection& selection) {
  auto const model = co_await client.get_logged_model(id);
  selection.ids[Kind::logged_model].insert(std::move(id));
  if (model) selection.ids[Kind::experiment].emplace(model->experiment_id());
}

// That run with the logged models that it names, in whichever experiments they are.
async::Task<> add_run(mlflow::Client& client, mlflow::Run run, engine::Selection& selection) {
  selection.ids[Kind::experiment].emplace(run.experiment_id());
  selection.ids[Kind::run].emplace(run.id());
  auto const inputs = run.model_input_ids();
  for (auto const& id : inputs) co_await add_logged_model(client, id, selection);
  auto const outputs = run.model_outputs();
  for (auto const& output : outputs) co_await add_logged_model(client, output.first, selection);
}

struct Ends {
  Ends(Runtime& runtime, const CopyJob& job)
      : from(runtime, job.source, Side::source, false, workspace_from_environment(Side::source, process_environment())),
        destination_workspace(workspace_from_environment(Side::destination, process_environment())),
        server(runtime, job.destination, Side::destination, false),
        to(runtime, job.destination, Side::destination, false, destination_workspace) {}
  ServerEnd from;
  std::string destination_workspace;
  ServerEnd server, to;
};

async::Task<> copy(Runtime& runtime, const CopyJob& job, Ends& ends, const engine::Mapping& mapping,
                   engine::Selection selection) {
  auto& context = runtime.context();
  context.options.selection = std::move(selection);
  engine::ServerSource source(context, ends.from.client, {ends.from.name, ends.from.local_artifacts, false});
  engine::MappedSource mapped(source, mapping);
  engine::ServerTarget target(context, ends.to.client, state_folder(job.global), ends.to.local_artifacts,
                              {ends.destination_workspace, &ends.server.client}, job.target);
  co_await engine::transfer(context, mapped, target);
}

async::Task<ExitCode> copy_run_body(Runtime& runtime, const CopyJob& job) {
  Ends ends(runtime, job);
  auto run = co_await ends.from.client.get_run(job.run_id);
  if (!run) throw engine::NotFound("run '" + job.run_id + "' is not on " + ends.from.http.base_url());
  auto selection = nothing_of({Kind::run, Kind::logged_model});
  co_await add_run(ends.from.client, std::move(*run), selection);
  co_await copy(runtime, job, ends, job.mapping, std::move(selection));
  co_return ExitCode::ok;
}

async::Task<ExitCode> copy_version_body(Runtime& runtime, const CopyJob& job, std::vector<VersionRow>& rows) {
  Ends ends(runtime, job);
  auto const from = ends.from.http.base_url(), to = ends.to.http.base_url();
  bool const deep = !job.mapping.into_experiment.empty();
  if (!deep && from != to) {
    throw UsageError("give --dst-experiment-name, so that the version's run is copied, too: on another server nothing can "
                     "point to the run's files on " + from);
  }
  auto const version = co_await ends.from.client.get_model_version(job.model, *job.mapping.version);
  if (!version)
    throw engine::NotFound("version " + job.version_text + " of model '" + job.model + "' is not on " + from);
  auto mapping = job.mapping;
  std::optional<mlflow::Run> run;
  if (!version->run_id().empty()) run = co_await ends.from.client.get_run(std::string(version->run_id()));
  if (job.lineage_tags) {
    engine::VersionLineage const lineage{public_uri(from), public_uri(to), run ? run->tags() : mlflow::KeyValues{}};
    mapping.version_tags = engine::lineage_tags(*version, lineage);
  }
  auto selection = nothing_of({Kind::run, Kind::logged_model, Kind::registered_model});
  selection.ids[Kind::registered_model].insert(job.model);
  selection.model_versions.numbers = {*job.mapping.version};
  if (deep) {
    if (run) co_await add_run(ends.from.client, std::move(*run), selection);
    auto const models = engine::find_ids(version->source()).logged_models;
    for (auto const& id : models) co_await add_logged_model(ends.from.client, id, selection);
  } else {
    mapping.kinds = {Kind::registered_model};
  }
  co_await copy(runtime, job, ends, mapping, std::move(selection));
  if (job.verbose) {
    rows = co_await version_rows(ends.from.client, job.model);
    std::erase_if(rows, [&](const VersionRow& row) { return row.version != std::to_string(*mapping.version); });
    auto copies = co_await version_rows(ends.to.client, mapping.model);
    rows.insert(rows.end(), copies.begin(), copies.end());
  }
  co_return ExitCode::ok;
}

// The package's default for both ends.
void use_tracking_uri(ServerOptions& server) {
  if (server.uri.empty()) server.uri = process_environment()("MLFLOW_TRACKING_URI").value_or("");
}

ExitCode copy_run(CopyJob job) {
  use_tracking_uri(job.source);
  use_tracking_uri(job.destination);
  Runtime runtime(job.global);
  auto const code = runtime.run([&] { return copy_run_body(runtime, job); });
  return code == ExitCode::ok ? finish_transfer(runtime) : code;
}

ExitCode copy_version(CopyJob job) {
  if (job.permissions) refuse_databricks("--copy-permissions");
  if (job.version_text.empty() || job.version_text.size() > 9 ||
      job.version_text.find_first_not_of("0123456789") != std::string::npos || std::stoll(job.version_text) == 0)
    throw UsageError("--src-version: '" + job.version_text + "' is no version number");
  job.mapping.version = std::stoll(job.version_text);
  Runtime runtime(job.global);
  std::vector<VersionRow> rows;
  auto const code = runtime.run([&] { return copy_version_body(runtime, job, rows); });
  if (code != ExitCode::ok) return code;
  auto const finished = finish_transfer(runtime);
  if (job.verbose) std::fputs(("\n" + version_table(rows)).c_str(), job.global.json ? stderr : stdout);
  return finished;
}

std::shared_ptr<CopyJob> new_job() {
  auto job = std::make_shared<CopyJob>();
  job->mapping.experiment_metadata = false;
  job->target.keep_experiments = true;
  job->target.links_stay_open = true;
  job->target.lock_wait = lock_wait;
  job->target.versions_need_files = true;
  return job;
}

}  // namespace

void add_package_copies(CLI::App& app, Run& run) {
  auto one = new_job();
  auto& sub = *app.add_subcommand("copy-run", "Copy a run into an experiment of the same or another server");
  sub.add_option("--run-id", one->run_id, "The run")->required()->check(no_empty_text);
  sub.add_option("--experiment-name", one->mapping.into_experiment,
                 "Experiment of the destination; made when it is not there, else added to")
      ->required()
      ->check(no_empty_text);
  add_server_options(sub, one->source, Side::source, false);
  add_server_options(sub, one->destination, Side::destination, false);
  add_global_options(sub, one->global);
  one->mapping.kinds = {Kind::experiment, Kind::run, Kind::logged_model};
  sub.callback([one, &run] { run = [one] { return copy_run(*one); }; });

  auto version = new_job();
  version->mapping.stages_and_aliases = false;
  auto& of = *app.add_subcommand("copy-model-version", "Copy a model version to the same or another server");
  of.add_option("--src-model", version->model, "Its registered model")->required()->check(no_empty_text);
  of.add_option("--src-version", version->version_text, "Its number")->required();
  of.add_option("--dst-model", version->mapping.model, "Registered model of the destination; made when it is not there")
      ->required()
      ->check(no_empty_text);
  of.add_option("--src-registry-uri", version->source.uri, "URI of the source server")->required()->check(no_empty_text);
  of.add_option("--dst-registry-uri", version->destination.uri, "URI of the destination server")
      ->required()
      ->check(no_empty_text);
  of.add_option("--dst-experiment-name", version->mapping.into_experiment,
                "Copy the version's run, too, into this experiment; not given: point to the source's run (same server)")
      ->check(no_empty_text);
  add_permissions_option(of, version->permissions, "--copy-permissions");
  add_bool_value(of, "--copy-stages-and-aliases", version->mapping.stages_and_aliases, "Also its stage and aliases");
  add_bool_value(of, "--copy-lineage-tags", version->lineage_tags, "Tag the copy with where it comes from");
  add_verbose_option(of, version->verbose);
  // Its ends have these names here.
  for (auto const side : {Side::source, Side::destination}) {
    add_server_options(of, side == Side::source ? version->source : version->destination, side, false);
    of.remove_option(of.get_option(side == Side::source ? "--src-mlflow-uri" : "--dst-mlflow-uri"));
  }
  add_global_options(of, version->global);
  version->mapping.kinds = {Kind::experiment, Kind::run, Kind::logged_model, Kind::registered_model};
  version->target.append_versions = true;
  of.callback([version, &run] {
    version->target.linked_versions = version->mapping.into_experiment.empty();
    run = [version] { return copy_version(*version); };
  });
}

}  // namespace mlferry::cli
