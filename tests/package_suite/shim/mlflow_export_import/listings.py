"""Functions of the package that list or rename. mlferry does that inside its commands; so what is listed is what an export
takes, and a name is what an import makes of it. Page sizes are mlferry's own: `max_results` goes nowhere."""

import json
import os
import tempfile
import types

import mlflow
from mlflow.entities import ViewType

from .commands import export_experiments, export_models, import_experiments, section
from .ferry import ferry

LIFECYCLES = {ViewType.ACTIVE_ONLY: "active", ViewType.DELETED_ONLY: "deleted", ViewType.ALL: "all"}


def exported(client, kind, view_type, **selection):
    """The objects of a kind that export-all takes, as `mlferry ls` lists them."""
    with tempfile.TemporaryDirectory() as folder:
        ferry("export-all", client, archive=folder, kinds=kind, lifecycle=LIFECYCLES[view_type], **selection)
        listed = ferry("ls", archive=folder, arguments=[kind, "--json"])
    return [types.SimpleNamespace(**json.loads(line)) for line in listed.out.splitlines()]


class SearchExperimentsIterator:
    def __init__(self, client, view_type=ViewType.ACTIVE_ONLY, max_results=None):
        self.client, self.view_type = client, view_type

    def __iter__(self):
        return iter(exported(self.client, "experiment", self.view_type))


class SearchRegisteredModelsIterator:
    def __init__(self, client, max_results=None, filter=None):
        self.client, self.names = client, None
        if filter is not None:  # "name like 'prefix%'", as the glob that --models takes
            self.names = filter.removeprefix("name like '").removesuffix("'").replace("%", "*")

    def __iter__(self):
        return iter(exported(self.client, "registered_model", ViewType.ALL, models=self.names))


class SearchRunsIterator:
    def __init__(self, client, experiment_id, max_results=None, view_type=ViewType.ACTIVE_ONLY):
        self.client, self.experiment, self.view_type = client, experiment_id, view_type

    def __iter__(self):
        """Runs as far as the tests look at them: info.run_id."""
        found = exported(self.client, "run", self.view_type, experiments=self.experiment)
        return iter([types.SimpleNamespace(info=types.SimpleNamespace(run_id=run.id)) for run in found])


def get_experiment_ids(client, experiments):
    with tempfile.TemporaryDirectory() as folder:
        export_experiments(experiments, folder, mlflow_client=client)
        return [experiment["id"] for experiment in section(folder, "experiments.json")["experiments"]]


def get_model_names(client, names):
    with tempfile.TemporaryDirectory() as folder:
        export_models(names, folder, mlflow_client=client)
        return section(os.path.join(folder, "models"), "models.json")["models"]


def rename(name, renames):
    """What import-experiments calls an experiment of that name."""
    source, target = (mlflow.MlflowClient(os.environ[f"MLFLOW_TRACKING_URI_{end}"]) for end in ("SRC", "DST"))
    source.create_experiment(name)
    with tempfile.TemporaryDirectory() as folder:
        export_experiments(f"name:{name}", folder, mlflow_client=source)
        before = names(target)
        import_experiments(folder, experiment_renames=renames, mlflow_client=target)
    (new,) = [experiment for name, experiment in names(target).items() if name not in before]
    for client, left in ((source, source.get_experiment_by_name(name)), (target, new)):  # room for the next test of that name
        client.rename_experiment(left.experiment_id, f"{left.name} of {left.experiment_id}")
        client.delete_experiment(left.experiment_id)
    return new.name


def names(client):
    return {experiment.name: experiment for experiment in client.search_experiments(view_type=ViewType.ALL)}
