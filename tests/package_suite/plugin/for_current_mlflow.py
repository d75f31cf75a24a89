"""pytest plugin: what the package's tests need to run with a current MLflow, whatever code they test. See README.md."""

import pathlib
import shutil

import mlflow
import mlflow.genai.datasets
import mlflow.sklearn
import pytest

# The tests log a model without naming a format and look for its model.pkl; MLflow's default became skops, which refuses trees.
assert mlflow.sklearn._get_default_serialization_format
mlflow.sklearn._get_default_serialization_format = lambda: mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE

# The tests count `dataset.records`, which newer handles refuse.
mlflow.genai.datasets.EvaluationDataset.records = property(lambda self: self._mlflow_dataset.records)


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
