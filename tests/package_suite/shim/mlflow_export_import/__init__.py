"""Stands in for the Python package mlflow-export-import under its own tests: the functions that these call, each translated into
a command of mlferry. Nothing here filters, renames, reads exports to import them or writes to a server.

    ferry.py     runs a command, with a journal of what it answered
    commands.py  the functions that are commands of mlferry, too
    listings.py  functions of the package that list or rename, reached through commands
    helpers.py   what the tests use around the code under test: constants, a context manager, MLflow calls in a row
"""

import importlib
import sys
import types

# The package's modules, and what the tests take from each. The objects are in the module of ours that is named.
PLACES = {
    "run.export_run": ("commands", "export_run"),
    "run.import_run": ("commands", "import_run"),
    "experiment.export_experiment": ("commands", "export_experiment"),
    "experiment.import_experiment": ("commands", "import_experiment"),
    "model.export_model": ("commands", "export_model"),
    "model.import_model": ("commands", "import_model", "_extract_model_path", "_path_join"),
    "model_version.export_model_version": ("commands", "export_model_version"),
    "model_version.import_model_version": ("commands", "import_model_version"),
    "prompt.export_prompt": ("commands", "export_prompt"),
    "prompt.import_prompt": ("commands", "import_prompt"),
    "evaluation_dataset.export_evaluation_dataset": ("commands", "export_evaluation_dataset"),
    "evaluation_dataset.import_evaluation_dataset": ("commands", "import_evaluation_dataset"),
    "bulk.export_all": ("commands", "export_all"),
    "bulk.export_experiments": ("commands", "export_experiments"),
    "bulk.import_experiments": ("commands", "import_experiments"),
    "bulk.export_models": ("commands", "export_models"),
    "bulk.import_models": ("commands", "import_models"),
    "bulk.export_prompts": ("commands", "export_prompts"),
    "bulk.import_prompts": ("commands", "import_prompts"),
    "bulk.export_evaluation_datasets": ("commands", "export_evaluation_datasets"),
    "bulk.import_evaluation_datasets": ("commands", "import_evaluation_datasets"),
    "copy.copy_run": ("commands", "copy", "_copy"),
    "copy.copy_model_version": ("commands", "copy"),
    "tools.signature_utils": ("commands", "get_model_signature"),
    "common.find_artifacts": ("commands", "find_run_model_names"),
    "bulk.bulk_utils": ("listings", "get_experiment_ids", "get_model_names"),
    "bulk.rename_utils": ("listings", "rename"),
    "common.iterators": ("listings", "SearchExperimentsIterator", "SearchRegisteredModelsIterator", "SearchRunsIterator"),
    "common": ("helpers", "MlflowExportImportException"),
    "common.utils": ("helpers", "getLogger", "calling_databricks"),
    "common.model_utils": ("helpers", "delete_model", "search_model_versions", "list_model_versions", "is_unity_catalog_model",
                           "model_names_same_registry"),
    "common.mlflow_utils": ("helpers", "MlflowTrackingUriTweak", "get_experiment_description"),
    "common.source_tags": ("helpers", "ExportTags"),
    "common.dump_utils": ("helpers", "dump_mlflow_client"),
    "common.timestamp_utils": ("helpers", "TS_FORMAT"),
    "common.version_utils": ("helpers", "has_prompt_support", "has_evaluation_dataset_support"),
    # Internals with no counterpart; tests of them are not run (not_applicable.txt), but their files import them.
    "bulk.experiments_merge_utils": ("helpers",),
    "common.uc_permissions_utils": ("helpers", "_mk_update_changes", "_mk_unrolled_changes"),
    "common.ws_permissions_utils": ("helpers", "_map_acl_element", "map_acl"),
}
OTHER_NAMES = {("copy.copy_run", "copy"): "copy_run", ("copy.copy_run", "_copy"): "copy_run_of_clients",
               ("copy.copy_model_version", "copy"): "copy_model_version"}


def no_counterpart(*_, **__):
    raise NotImplementedError("an internal of the package that mlferry does not have")


def module(place):
    """The module of that name, and those above it, made when they are not there."""
    name = f"{__name__}.{place}"
    if name not in sys.modules:
        made = sys.modules[name] = types.ModuleType(name)
        made.__path__ = []
        above, _, last = place.rpartition(".")
        setattr(module(above) if above else sys.modules[__name__], last, made)
    return sys.modules[name]


for place, (ours, *names) in PLACES.items():
    for name in names:
        there = importlib.import_module(f"{__name__}.{ours}")
        setattr(module(place), name, getattr(there, OTHER_NAMES.get((place, name), name), no_counterpart))
    module(place)
