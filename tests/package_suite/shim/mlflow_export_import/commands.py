"""The package's functions, with its names and defaults. What they return is looked up in what the command wrote, in its report, or
on the server: an object that was not there before is the copy."""

import contextlib
import json
import pathlib
import tempfile
import types

import mlflow
from mlflow.entities import ViewType

from .ferry import NOT_FOUND, SOME_FAILED, ferry, uri_of

# notebook_formats is left out everywhere: only Databricks has notebooks, the package ignores the option for other servers, and
# mlferry refuses it, as its documentation says.


@contextlib.contextmanager
def rename_file(rules):
    """A dictionary of renames as the file that the commands take."""
    if rules is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "renames"
        path.write_text("".join(f"{old},{new}\n" for old, new in rules.items()), encoding="utf-8")
        yield path


def section(folder, name):
    return json.loads((pathlib.Path(folder) / name).read_text(encoding="utf-8"))["mlflow"]


def client_of(uri):
    return mlflow.MlflowClient(uri) if uri else mlflow.MlflowClient()


# --- what is new on a server ---

def run_ids(client, experiment_name):
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        return set()
    return {run.info.run_id for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=5000)}


def the_new_run(client, experiment_name, before):
    (run_id,) = run_ids(client, experiment_name) - before
    return client.get_run(run_id)


def version_numbers(client, model_name):
    return {int(found.version) for found in client.search_model_versions(f"name='{model_name}'")}


def the_new_version(client, model_name, before):
    (number,) = version_numbers(client, model_name) - before
    return client.get_model_version(model_name, str(number))


# --- runs ---

def export_run(run_id, output_dir, notebook_formats=None, mlflow_client=None):
    ferry("export-run", mlflow_client, run_id=run_id, output_dir=output_dir)


def import_run(input_dir, experiment_name, import_source_tags=False, use_src_user_id=False, mlmodel_fix=True, mlflow_client=None):
    client = client_of(uri_of(mlflow_client))
    before = run_ids(client, experiment_name)
    ferry("import-run", mlflow_client, input_dir=input_dir, experiment_name=experiment_name, import_source_tags=import_source_tags,
          use_src_user_id=use_src_user_id, mlmodel_fix=mlmodel_fix)
    run = the_new_run(client, experiment_name, before)
    return run, run.data.tags.get("mlflow.parentRunId")


def copy_run(src_run_id, dst_experiment_name, src_mlflow_uri=None, dst_mlflow_uri=None):
    client = client_of(dst_mlflow_uri)
    before = run_ids(client, dst_experiment_name)
    ferry("copy-run", run_id=src_run_id, experiment_name=dst_experiment_name, src_mlflow_uri=src_mlflow_uri,
          dst_mlflow_uri=dst_mlflow_uri)
    return the_new_run(client, dst_experiment_name, before)


def copy_run_of_clients(src_run_id, dst_experiment_name, src_client=None, dst_client=None):
    return copy_run(src_run_id, dst_experiment_name, uri_of(src_client), uri_of(dst_client))


def find_run_model_names(mlflow_client, run_id):
    found = ferry("find-artifacts", mlflow_client, run_id=run_id, target="MLmodel")
    return [path.removesuffix("MLmodel").rstrip("/") for path in found.out.splitlines()]


# --- experiments ---

def export_experiment(experiment_id_or_name, output_dir, run_ids=None, run_start_time=None, runs_until=None,
                      export_deleted_runs=False, check_nested_runs=False, notebook_formats=None, mlflow_client=None):
    ferry("export-experiment", mlflow_client, experiment=experiment_id_or_name, output_dir=output_dir, run_ids=run_ids,
          run_start_time=run_start_time, runs_until=runs_until, export_deleted_runs=export_deleted_runs,
          check_nested_runs=check_nested_runs)


def import_experiment(experiment_name, input_dir, import_source_tags=False, use_src_user_id=False, mlflow_client=None):
    ferry("import-experiment", mlflow_client, experiment_name=experiment_name, input_dir=input_dir,
          import_source_tags=import_source_tags, use_src_user_id=use_src_user_id)


def export_experiments(experiments, output_dir, run_start_time=None, runs_until=None, export_deleted_runs=False,
                       notebook_formats=None, use_threads=False, mlflow_client=None):
    if isinstance(experiments, dict):  # runs of each experiment: the package has that only in Python, not as a command
        for experiment, ids in experiments.items():
            export_experiment(f"id:{experiment}", pathlib.Path(output_dir) / experiment, ids, run_start_time, runs_until,
                              export_deleted_runs, mlflow_client=mlflow_client)
        return
    ferry("export-experiments", mlflow_client, experiments=experiments, output_dir=output_dir, run_start_time=run_start_time,
          runs_until=runs_until, export_deleted_runs=export_deleted_runs, use_threads=use_threads)


def import_experiments(input_dir, import_source_tags=False, use_src_user_id=False, experiment_renames=None, use_threads=False,
                       mlflow_client=None):
    with rename_file(experiment_renames) as renames:
        ferry("import-experiments", mlflow_client, input_dir=input_dir, import_source_tags=import_source_tags,
              use_src_user_id=use_src_user_id, experiment_rename_file=renames, use_threads=use_threads)


# --- registered models ---

def export_model(model_name, output_dir, stages=None, versions=None, export_latest_versions=False, export_version_model=False,
                 export_deleted_runs=False, notebook_formats=None, mlflow_client=None):
    ferry("export-model", mlflow_client, model=model_name, output_dir=output_dir, stages=stages, versions=versions,
          export_latest_versions=export_latest_versions, export_version_model=export_version_model,
          export_deleted_runs=export_deleted_runs)


def import_model(model_name, experiment_name, input_dir, delete_model=False, import_source_tags=False, verbose=False,
                 await_creation_for=None, mlflow_client=None):
    ferry("import-model", mlflow_client, model=model_name, experiment_name=experiment_name, input_dir=input_dir,
          delete_model=delete_model, import_source_tags=import_source_tags, verbose=verbose, await_creation_for=await_creation_for)


def export_models(model_names, output_dir, stages="", export_latest_versions=False, export_all_runs=False, run_start_time=None,
                  runs_until=None, export_deleted_runs=False, export_version_model=False, notebook_formats=None, use_threads=False,
                  mlflow_client=None):
    ferry("export-models", mlflow_client, models=model_names, output_dir=output_dir, stages=stages or None,
          export_latest_versions=export_latest_versions, export_all_runs=export_all_runs, run_start_time=run_start_time,
          runs_until=runs_until, export_deleted_runs=export_deleted_runs, export_version_model=export_version_model,
          use_threads=use_threads)


def import_models(input_dir, delete_model, import_source_tags=False, use_src_user_id=False, experiment_renames=None,
                  model_renames=None, verbose=False, use_threads=False, mlflow_client=None):
    with rename_file(experiment_renames) as experiments, rename_file(model_renames) as models:
        ferry("import-models", mlflow_client, input_dir=input_dir, delete_model=delete_model, import_source_tags=import_source_tags,
              use_src_user_id=use_src_user_id, experiment_rename_file=experiments, model_rename_file=models, verbose=verbose,
              use_threads=use_threads)


def export_model_version(model_name, version, output_dir, export_version_model=False, vrm_model_artifact_path="",
                         skip_download_run_artifacts=False, notebook_formats=None, mlflow_client=None):
    ferry("export-model-version", mlflow_client, model=model_name, version=version, output_dir=output_dir,
          vrm_export_version_model=export_version_model, vrm_model_artifact_path=vrm_model_artifact_path or None,
          skip_download_run_artifacts=skip_download_run_artifacts)


def import_model_version(model_name, experiment_name, input_dir, create_model=False, import_source_tags=False,
                         import_stages_and_aliases=True, import_metadata=False, mlflow_client=None):
    client = client_of(uri_of(mlflow_client))
    before = version_numbers(client, model_name)
    ferry("import-model-version", mlflow_client, model=model_name, experiment_name=experiment_name, input_dir=input_dir,
          create_model=create_model, import_source_tags=import_source_tags, import_stages_and_aliases=import_stages_and_aliases,
          import_metadata=import_metadata)
    return the_new_version(client, model_name, before)


def copy_model_version(src_model_name, src_model_version, dst_model_name, dst_experiment_name=None, src_tracking_uri=None,
                       dst_tracking_uri=None, src_registry_uri=None, dst_registry_uri=None, copy_stages_and_aliases=False,
                       copy_lineage_tags=False, verbose=False):
    source = src_registry_uri or src_tracking_uri or mlflow.get_tracking_uri()
    target = dst_registry_uri or dst_tracking_uri or mlflow.get_tracking_uri()
    before = version_numbers(client_of(target), dst_model_name)
    ferry("copy-model-version", src_model=src_model_name, src_version=src_model_version, dst_model=dst_model_name,
          dst_experiment_name=dst_experiment_name, src_registry_uri=source, dst_registry_uri=target,
          copy_stages_and_aliases=copy_stages_and_aliases, copy_lineage_tags=copy_lineage_tags, verbose=verbose)
    return (client_of(source).get_model_version(src_model_name, src_model_version),
            the_new_version(client_of(target), dst_model_name, before))


def get_model_signature(model_uri, use_get_model_info=False):
    answer = ferry("get-model-signature", model_uri=model_uri, use_get_model_info=use_get_model_info, expect=(0, NOT_FOUND))
    if answer.code == NOT_FOUND and "has no signature" in answer.err:
        return None
    return json.loads(answer.out)


# --- everything ---

def export_all(output_dir, run_start_time=None, runs_until=None, stages="", export_latest_versions=False, export_deleted_runs=False,
               export_version_model=False, notebook_formats=None, use_threads=False, mlflow_client=None):
    ferry("export-all", mlflow_client, output_dir=output_dir, run_start_time=run_start_time, runs_until=runs_until,
          stages=stages or None, export_latest_versions=export_latest_versions, export_deleted_runs=export_deleted_runs,
          export_version_model=export_version_model, use_threads=use_threads)


# --- prompts ---

def export_prompt(prompt_name, prompt_version, output_dir, mlflow_client=None):
    ferry("export-prompt", mlflow_client, prompt_name=prompt_name, prompt_version=prompt_version, output_dir=output_dir)
    return types.SimpleNamespace(**section(output_dir, "prompt.json")["prompt"])


def import_prompt(input_dir, prompt_name=None, delete_prompt=False, mlflow_client=None):
    client, name = client_of(uri_of(mlflow_client)), prompt_name or section(input_dir, "prompt.json")["prompt"]["name"]
    ferry("import-prompt", mlflow_client, input_dir=input_dir, prompt_name=prompt_name, delete_prompt=delete_prompt)
    newest = max(client.search_prompt_versions(name), key=lambda found: int(found.version))
    return newest.name, newest.version


def export_prompts(output_dir, prompt_names=None, use_threads=False, mlflow_client=None):
    ferry("export-prompts", mlflow_client, prompts=prompt_names or "all", output_dir=output_dir,
          arguments=["--use-threads"] if use_threads else [])
    return section(output_dir, "prompts_summary.json")


def import_prompts(input_dir, delete_prompt=False, use_threads=False, mlflow_client=None):
    answer = ferry("import-prompts", mlflow_client, input_dir=input_dir, delete_prompt=delete_prompt,
                   arguments=["--use-threads"] if use_threads else [])
    return counts(answer.report["kinds"]["prompt_version"])


def counts(kind):
    return {"successful_imports": kind["copied"], "skipped_imports": kind["skipped"], "failed_imports": kind["failed"]}


# --- evaluation datasets ---

def export_evaluation_dataset(output_dir, dataset_name=None, dataset_id=None, mlflow_client=None):
    answer = ferry("export-evaluation-dataset", mlflow_client, dataset_name=dataset_name, dataset_id=dataset_id,
                   output_dir=output_dir, expect=(0, SOME_FAILED, NOT_FOUND))
    if answer.code != 0:
        return None
    return types.SimpleNamespace(**section(output_dir, "evaluation_dataset.json")["evaluation_dataset"])


def import_evaluation_dataset(input_dir, dataset_name=None, delete_dataset=False, mlflow_client=None):
    answer = ferry("import-evaluation-dataset", mlflow_client, input_dir=input_dir, evaluation_dataset_name=dataset_name,
                   delete_evaluation_dataset=delete_dataset, expect=(0, SOME_FAILED, NOT_FOUND),
                   log="evaluation_dataset.import_evaluation_dataset")
    if answer.code != 0:
        return None
    name = dataset_name or section(input_dir, "evaluation_dataset.json")["evaluation_dataset"]["name"]
    (found,) = [dataset for dataset in client_of(uri_of(mlflow_client)).search_datasets() if dataset.name == name]
    return found.name, found.dataset_id


def export_evaluation_datasets(output_dir, dataset_names=None, experiment_ids=None, use_threads=False, mlflow_client=None):
    ferry("export-evaluation-datasets", mlflow_client, evaluation_datasets=dataset_names or "all", experiment_ids=experiment_ids,
          output_dir=output_dir, use_threads=use_threads)
    return section(output_dir, "evaluation_datasets_summary.json")


def import_evaluation_datasets(input_dir, delete_dataset=False, use_threads=False, mlflow_client=None):
    answer = ferry("import-evaluation-datasets", mlflow_client, input_dir=input_dir, delete_evaluation_dataset=delete_dataset,
                   use_threads=use_threads)
    return counts(answer.report["kinds"]["evaluation_dataset"])
