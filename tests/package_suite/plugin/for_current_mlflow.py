"""pytest plugin: what the package's tests need to run with a current MLflow, whatever code they test. See README.md."""

import os
import pathlib
import shutil
import tempfile

import mlflow
import mlflow.genai.datasets
import mlflow.sklearn
import pytest
from mlflow.exceptions import RestException
from tests import utils_test
from tests.open_source import oss_utils_test

PICKLE = mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE


def log_model(model, artifact_path):
    """As before MLflow 3: the model is among the run's artifacts, at any path, with its run's id in its MLmodel."""
    about = mlflow.models.Model(artifact_path=artifact_path, run_id=mlflow.active_run().info.run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model")
        mlflow.sklearn.save_model(model, path, mlflow_model=about, serialization_format=PICKLE, pip_requirements=["scikit-learn"])
        mlflow.log_artifacts(path, artifact_path or None)


if os.environ.get("PACKAGE_SUITE_LOGGED_MODELS"):
    # MLflow's default format became skops, which refuses these models; the tests look for model.pkl.
    assert mlflow.sklearn._get_default_serialization_format
    mlflow.sklearn._get_default_serialization_format = lambda: PICKLE
else:
    mlflow.sklearn.log_model = log_model

# The tests count `dataset.records`, which newer handles refuse.
mlflow.genai.datasets.EvaluationDataset.records = property(lambda self: self._mlflow_dataset.records)

of_one_server = mlflow.MlflowClient.download_artifacts


def download_artifacts(client, run_id, *more, **options):
    """Some tests ask one server's client for files of a run at the other, which older clients had in a cache of the process."""
    try:
        return of_one_server(client, run_id, *more, **options)
    except RestException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    (other,) = {os.environ[f"MLFLOW_TRACKING_URI_{end}"] for end in ("SRC", "DST")} - {client.tracking_uri}
    return of_one_server(mlflow.MlflowClient(other), run_id, *more, **options)


mlflow.MlflowClient.download_artifacts = download_artifacts

# Tests of experiments put two empty folders into the one that they export into; mlferry only writes into its own or an empty one.
oss_utils_test.init_output_dirs = utils_test.create_output_dir


@pytest.fixture(autouse=True)
def same_tracking_uri():
    """Tests of prompts and datasets leave the process with the other server's URI, and those after them do not set it."""
    before = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture(autouse=True)
def empty_output_folder(request):
    """The tests export into one folder, over what earlier ones left there; mlferry refuses the folder of another export."""
    if "mlflow_context" in request.fixturenames:
        folder = pathlib.Path(request.getfixturevalue("mlflow_context").output_dir)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
