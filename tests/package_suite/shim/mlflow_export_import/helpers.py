"""What the tests of the package use around the code under test. Where it does something it calls MLflow, never mlferry."""

import logging

import mlflow
from mlflow.exceptions import RestException

TS_FORMAT = "%Y-%m-%d %H:%M:%S"


class MlflowExportImportException(Exception):
    pass


class ExportTags:
    PREFIX_ROOT = "mlflow_exim"
    PREFIX_FIELD = "mlflow_exim.field"
    PREFIX_MLFLOW_TAG = "mlflow_exim.mlflow_tag"


class MlflowTrackingUriTweak:
    """The process's tracking URI is that of the client inside the block."""

    def __init__(self, client):
        self.uri, self.before = client.tracking_uri, mlflow.get_tracking_uri()

    def __enter__(self):
        mlflow.set_tracking_uri(self.uri)

    def __exit__(self, *_):
        mlflow.set_tracking_uri(self.before)


def getLogger(name):
    return logging.getLogger(name)


def calling_databricks():
    return False


def dump_mlflow_client(client, title=""):
    print(title, client.tracking_uri)


def get_experiment_description(experiment):
    return experiment.tags.get("mlflow.note.content")


def has_prompt_support():
    return True


def has_evaluation_dataset_support():
    return True


def is_unity_catalog_model(_name):
    return False  # of a comparison in the tests; there are none on servers of the open-source MLflow


def list_model_versions(client, name):
    return list(client.search_model_versions(f"name='{name}'"))


def search_model_versions(client, condition):
    return [client.get_model_version(found.name, found.version) for found in client.search_model_versions(condition)]


def delete_model(client, name):
    try:
        for version in list_model_versions(client, name):
            client.delete_model_version(name, version.version)
        client.delete_registered_model(name)
    except RestException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
