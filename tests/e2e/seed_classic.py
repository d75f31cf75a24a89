"""Fills an MLflow server with ordinary work, through MLflow's own client: training runs, nested runs, logged
models, and a registered model with 12 versions and two gaps, with aliases and stages."""

import argparse
import logging
import math
import os
import pathlib
import random
import tempfile
import warnings


def seed(url, number=1, runs=10, versions=14, gaps=(4, 9)):
    """Returns the registered model's name. `versions` are made and those in `gaps` deleted."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    import mlflow
    from mlflow.entities import Metric
    from mlflow.pyfunc import PythonModel

    class Doubler(PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input * 2

    warnings.filterwarnings("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient(url)
    rng = random.Random(number)
    name = f"classic-model-{number}"
    experiment = client.create_experiment(f"classic {number}", tags={"team": "demo", "mlflow.note.content": "Ordinary work."})
    models = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for i in range(runs):
            with mlflow.start_run(experiment_id=experiment, run_name=f"train {i}", description=f"run {i} of {runs}") as run:
                mlflow.log_params({"learning_rate": rng.random(), "depth": i, "optimizer": "adam"})
                rows = [Metric("loss", math.exp(-step / 10) * rng.random(), 1_700_000_000_000 + step * 1000, step) for step in range(50)]
                client.log_batch(run.info.run_id, rows)
                mlflow.log_metric("accuracy", rng.random())
                (folder / "notes.md").write_text(f"# Run {i}\n")
                mlflow.log_artifact(str(folder / "notes.md"), "docs")
                mlflow.log_dict({"run": i, "values": [rng.random() for _ in range(5)]}, "config.json")
                mlflow.set_tag("kind", "training")
                for fold in range(2):
                    with mlflow.start_run(experiment_id=experiment, run_name=f"fold {fold}", nested=True):
                        mlflow.log_metric("loss", rng.random(), step=fold)
                if i < 3:
                    # Requirements given: without them MLflow loads the model in a process of its own to find them.
                    info = mlflow.pyfunc.log_model(name=f"model-{i}", python_model=Doubler(), pip_requirements=["mlflow"])
                    models.append((run.info.run_id, info))
        with mlflow.start_run(experiment_id=experiment, run_name="evaluation"):
            mlflow.log_input(dataset(), context="testing")
            for _, info in models:
                mlflow.log_metric("eval_accuracy", rng.random(), step=1, model_id=info.model_id)
    client.create_registered_model(name, tags={"task": "demo"}, description="Twelve versions, two gaps.")
    for i in range(versions):
        run, info = models[i % len(models)]
        client.create_model_version(name, f"models:/{info.model_id}", run_id=run, model_id=info.model_id,
                                    description=f"version {i + 1}", tags={"round": str(i)})
    for n in gaps:
        client.delete_model_version(name, str(n))
    client.set_registered_model_alias(name, "champion", str(versions))
    client.set_registered_model_alias(name, "challenger", str(versions - 1))
    for n, stage in ((1, "Archived"), (2, "Staging"), (versions, "Production")):
        client.transition_model_version_stage(name, str(n), stage)
    return name


def dataset():
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(HTTPDatasetSource(url="https://example.com/data.csv"), name="demo data", digest="d1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    seed(options.url, options.seed, options.runs)


if __name__ == "__main__":
    main()
