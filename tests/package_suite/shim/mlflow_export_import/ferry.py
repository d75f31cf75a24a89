"""Runs mlferry as a user would. Every command that does not end with 0 is noted in the journal that the runner prints, so no
failure can hide behind a function that returns anyway, as the package's do."""

import json
import logging
import os
import subprocess
import tempfile

import mlflow

from .helpers import MlflowExportImportException

SOME_FAILED, NOT_FOUND = 3, 4
NO_REPORT = {"get-model-signature", "find-artifacts", "list-registered-models", "ls"}


class Answer:
    def __init__(self, code, out, err, report):
        self.code, self.out, self.err, self.report = code, out, err, report


def uri_of(client):
    return client.tracking_uri if client is not None else mlflow.get_tracking_uri()


def text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def ferry(command, client=None, expect=(0, SOME_FAILED), log=None, arguments=(), **options):
    """Options that are None are not given. Standard error goes to the logger of that module of the package. Other exit codes
    than `expect` are the package's exception; it logs failures of single objects and goes on, so those are expected."""
    line = [os.environ["MLFERRY_BIN"], command, *map(str, arguments)]
    for name, value in options.items():
        if value is not None:
            line += ["--" + name.replace("_", "-"), text(value)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        if command not in NO_REPORT:
            line += ["--no-progress", "--report", path]
        done = subprocess.run(line, env={**os.environ, "MLFLOW_TRACKING_URI": uri_of(client)}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=600)
        report = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
    if done.returncode != 0:
        with open(os.environ["PACKAGE_SUITE_JOURNAL"], "a", encoding="utf-8") as journal:
            failed = [finding["text"] for finding in (report or {}).get("findings", []) if finding["severity"] == "failed"]
            journal.write(json.dumps({"test": os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0], "command": line[1:],
                                      "code": done.returncode, "error": "; ".join([done.stderr[-2000:].strip(), *failed[:5]])}) + "\n")
    print(f"mlferry {' '.join(line[1:])}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    logger = logging.getLogger(f"mlflow_export_import.{log}" if log else "mlflow_export_import")
    for message in done.stderr.splitlines():
        logger.warning("%s", message)
    if done.returncode not in expect:
        raise MlflowExportImportException(f"mlferry {command}: exit {done.returncode}: {done.stderr[-2000:]}")
    return Answer(done.returncode, done.stdout, done.stderr, report)
