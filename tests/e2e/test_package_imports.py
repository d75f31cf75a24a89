"""import-* and the copies of the package mlflow-export-import: every option, every layout, twice. Judged by reading the
destination over REST."""

import json
import pathlib
import re
import shutil
import subprocess

import ferry
import pytest
from ferry import must
from proxies import Recorder
from rest import API3, Rest, RestError, proxied
from seed_small import START, Parts, Seed, plain
from servers import ROOT, environment

PEER = ROOT / "build" / "venv-peer" / "bin"


class World:
    """Two servers for the tests of this file, and the first one's directories. Tests tell their objects apart by names."""

    def __init__(self, source, target, folder):
        self.source, self.target, self.folder = source, target, folder
        self.seed = Seed(source.url)
        self.from_, self.to = Rest(source.url), Rest(target.url)
        self.ours = folder / "ours"
        must(ferry.ferry("export-all", "--src-mlflow-uri", source.url, "--output-dir", self.ours, "--no-progress"))
        self.plain = plain(self.ours, folder / "plain")
        self.parts = Parts(self.plain, self.seed, folder)
        self.archive = folder / "archive"
        must(ferry.export(source, self.archive))

    def run(self, command, *arguments, code=0, server=None, **keywords):
        """(report, what was printed)."""
        to = ["--dst-mlflow-uri", (server or self.target).url] if command.startswith("import") else []
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        result = ferry.ferry(command, *arguments, *to, "--state-dir", self.folder / "state", "--no-progress", report=report,
                             **keywords)
        assert result.code == code, f"{command} {' '.join(map(str, arguments))}: exit {result.code}\n{result.text[-4000:]}"
        if result.report is not None:
            for kind, n in result.report["kinds"].items():
                assert n["found"] == n["copied"] + n["skipped"] + n["failed"], (kind, n)
        return result.report, result

    def twice(self, command, *arguments, **keywords):
        """The first report; the same again makes nothing new."""
        first, _ = self.run(command, *arguments, **keywords)
        again, _ = self.run(command, *arguments, **keywords)
        assert created(again) == {}, again["kinds"]
        return first

    def experiment(self, name, rest=None):
        return (rest or self.to).get("experiments/get-by-name", experiment_name=name)["experiment"]

    def runs(self, experiment, rest=None):
        """By name."""
        rest = rest or self.to
        found = list(rest.pages("POST", "runs/search", "runs", experiment_ids=[self.experiment(experiment, rest)["experiment_id"]],
                                run_view_type="ALL", max_results=1000))
        by_name = {}
        for run in found:
            assert by_name.setdefault(run["info"]["run_name"], run) is run, f"two runs {run['info']['run_name']}"
        return {name: rest.get("runs/get", run_id=run["info"]["run_id"])["run"] for name, run in by_name.items()}

    def history(self, run, key, rest=None):
        rows = (rest or self.to).get("metrics/get-history", run_id=run["info"]["run_id"], metric_key=key)["metrics"]
        return sorted((r["value"], r["timestamp"], r["step"]) for r in rows)

    def file(self, uri, path, rest=None):
        return (rest or self.to).get_file(f"{proxied(uri)}/{path}").decode()

    def logged_models(self, experiment):
        found = self.to.pages("POST", "logged-models/search", "models", max_results=50,
                              experiment_ids=[self.experiment(experiment)["experiment_id"]])
        return {m["info"]["name"]: self.to.get(f"logged-models/{m['info']['model_id']}")["model"] for m in found}

    def model(self, name):
        return self.to.get("registered-models/get", name=name)["registered_model"]

    def versions(self, name, rest=None):
        found = (rest or self.to).pages("GET", "model-versions/search", "model_versions", filter=f"name='{name}'", max_results=1000)
        return {int(v["version"]): v for v in found}

    def prompt_versions(self, name):
        out = {}
        for number in range(1, 30):
            try:
                out[number] = self.to.get("model-versions/get", name=name, version=str(number))["model_version"]
            except RestError as error:
                assert error.status == 404
        return out

    def datasets(self):
        return list(self.to.pages("POST", API3 + "datasets/search", "datasets", max_results=100))

    def traces(self, experiment):
        return {t["trace_id"]: t for t in self.to.pages("POST", API3 + "traces/search", "traces", max_results=100, locations=[
            {"type": "MLFLOW_EXPERIMENT",
             "mlflow_experiment": {"experiment_id": self.experiment(experiment)["experiment_id"]}}])}

    def forget_traces(self, experiment):
        for trace in self.traces(experiment):
            self.to.post("traces/delete-traces", experiment_id=self.experiment(experiment)["experiment_id"], request_ids=[trace])


def created(report):
    return {kind: n["created"] for kind, n in report["kinds"].items() if n.get("created")}


def tags(document):
    return {t["key"]: t.get("value", "") for t in document.get("tags", [])}


def data(run, field):
    return {p["key"]: p["value"] for p in run["data"].get(field, [])}


def texts(report, severity=None):
    return " | ".join(f["text"] for f in report["findings"] if severity in (None, f["severity"]))


@pytest.fixture(scope="module")
def world(fleet, place):
    folder = place / "package imports"
    folder.mkdir()
    made = World(fleet["other"].reset(), fleet["empty"].reset(), folder)
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def same_run(world, copy, original, rest=None):
    """All of a run that REST can give back."""
    for field in ("status", "start_time", "end_time", "user_id", "run_name", "lifecycle_stage"):
        assert copy["info"].get(field) == original["info"].get(field), field
    assert data(copy, "params") == data(original, "params")
    assert data(copy, "metrics") == data(original, "metrics")
    copied = tags(copy["data"])
    for key, value in tags(original["data"]).items():
        if key != "mlflow.parentRunId":
            assert copied[key] == value, key
    inputs = lambda run: [(d["dataset"]["name"], d["dataset"]["digest"], d["dataset"].get("profile"), d.get("tags", []))  # noqa: E731
                          for d in run.get("inputs", {}).get("dataset_inputs", [])]
    assert inputs(copy) == inputs(original)


# ---- runs -------------------------------------------------------------------------------------------------------------


def test_run_with_full_history_inputs_files_and_model(world):
    part = world.parts.run("main")
    report = world.twice("import-run", "--input-dir", part, "--experiment-name", "run dst")
    assert report["kinds"]["run"]["created"] == report["kinds"]["logged_model"]["created"] == 1
    run, original = world.runs("run dst")["main"], world.runs("alpha", world.from_)["main"]
    same_run(world, run, original)
    assert world.history(run, "loss") == world.history(original, "loss", world.from_)
    assert len(world.history(run, "loss")) == 5
    assert tags(run["data"])["mlflow.user"] == "somebody"
    assert world.file(run["info"]["artifact_uri"], "notes.txt") == "notes"
    text = world.file(run["info"]["artifact_uri"], "model/MLmodel")
    assert text.startswith("# kept\n") and f"run_id: {run['info']['run_id']}\n" in text
    model = world.logged_models("run dst")["net"]
    assert run["outputs"]["model_outputs"] == [{"model_id": model["info"]["model_id"], "step": 3}]
    assert model["info"]["source_run_id"] == run["info"]["run_id"]
    assert model["data"]["metrics"][0]["value"] == 0.75
    text = world.file(model["info"]["artifact_uri"], "MLmodel")
    for line in (f"run_id: {run['info']['run_id']}", f"model_id: {model['info']['model_id']}",
                 f"artifact_path: {model['info']['artifact_uri']}"):
        assert line in text.splitlines()


def test_run_options(world):
    """--import-source-tags, --use-src-user-id, --mlmodel-fix, --dst-notebook-dir."""
    part = world.parts.run("main", models=False)
    common = ("import-run", "--input-dir", part, "--experiment-name", "run options")
    world.twice(*common, "--mlmodel-fix", "no", "--dst-notebook-dir", "")
    run = world.runs("run options")["main"]
    assert f"run_id: {world.seed.runs['main']}\n" in world.file(run["info"]["artifact_uri"], "model/MLmodel")
    assert not [key for key in tags(run["data"]) if key.startswith("mlflow_exim.")]
    # With other options it is brought up to date, not doubled.
    report = world.twice(*common, "--import-source-tags", "True", "--use-src-user-id", "yes", "--mlmodel-fix", "true")
    assert report["kinds"]["run"]["created"] == 0
    run = world.runs("run options")["main"]
    found = tags(run["data"])
    assert found["mlflow.user"] == "ann"
    assert found["mlflow_exim.mlflow_tag.user"] == "somebody"
    assert found["mlflow_exim.mlflow_tag.runName"] == "main"
    for field in ("run_id", "experiment_id", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "run_name"):
        original = world.runs("alpha", world.from_)["main"]["info"]
        assert found[f"mlflow_exim.run_info.{field}"] == str(original[field]), field
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found["mlflow_exim.run_info._start_time"])
    assert f"run_id: {run['info']['run_id']}\n" in world.file(run["info"]["artifact_uri"], "model/MLmodel")


def test_more_params_tags_and_metrics_than_one_request_takes(world):
    world.twice("import-run", "--input-dir", world.parts.run("limits"), "--experiment-name", "run limits")
    run = world.runs("run limits")["limits"]
    assert data(run, "params") == {f"p{n}": str(n) for n in range(110)}
    assert data(run, "metrics") == {f"m{n}": n / 7 for n in range(1010)}
    assert {f"t{n}": str(n) for n in range(110)}.items() <= tags(run["data"]).items()


def test_a_parent_is_linked_whenever_it_comes(world):
    report, _ = world.run("import-run", "--input-dir", world.parts.run("child"), "--experiment-name", "family")
    assert "its parent run" in texts(report, "loss")
    world.run("import-run", "--input-dir", world.parts.run("parent"), "--experiment-name", "family")
    runs = world.runs("family")
    assert tags(runs["child"]["data"])["mlflow.parentRunId"] == runs["parent"]["info"]["run_id"]


def test_a_deleted_run_stays_deleted(world):
    part = world.parts.copy("experiments", world.seed.alpha, "runs", world.seed.runs["gone"])
    world.twice("import-run", "--input-dir", part, "--experiment-name", "run gone")
    assert world.runs("run gone")["gone"]["info"]["lifecycle_stage"] == "deleted"


def test_an_experiment_that_is_there_is_added_to_and_a_deleted_one_refused(world):
    world.to.post("experiments/create", name="mine", tags=[{"key": "team", "value": "mine"}])
    world.twice("import-run", "--input-dir", world.parts.run("parent"), "--experiment-name", "mine")
    world.run("import-experiment", "--input-dir", world.parts.copy("experiments", world.seed.beta), "--experiment-name", "mine")
    assert tags(world.experiment("mine")) == {"team": "mine"}
    assert set(world.runs("mine")) == {"parent", "of beta"}
    gone = world.to.post("experiments/create", name="was deleted")["experiment_id"]
    world.to.post("experiments/delete", experiment_id=gone)
    report, _ = world.run("import-run", "--input-dir", world.parts.run("parent"), "--experiment-name", "was deleted", code=3)
    assert "deleted experiment of that name" in texts(report, "failed") and created(report) == {}


def test_side_by_side(world):
    """Commands of a script that runs several at once wait for each other."""
    command = ferry.command("import-run", "--input-dir", world.parts.run("main"), "--experiment-name", "side by side",
                            "--dst-mlflow-uri", world.target.url, "--state-dir", world.folder / "state", "--no-progress")
    jobs = [subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)]
    for job in jobs:
        _, said = job.communicate(timeout=120)
        assert job.returncode == 0, said
    assert set(world.runs("side by side")) == {"main"}


# ---- experiments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "ours"])
def test_experiment(world, form):
    part = (world.plain if form == "plain" else world.ours) / "experiments" / world.seed.alpha
    name = f"experiment {form}"
    report = world.twice("import-experiment", "--input-dir", part, "--experiment-name", name, "--import-permissions", "False",
                         "--dst-notebook-dir", "")
    assert report["kinds"]["trace"]["created"] == 2 and report["kinds"]["logged_model"]["created"] == 2
    experiment = world.experiment(name)
    assert tags(experiment)["mlflow.note.content"] == "notes" and tags(experiment)["team"] == "red"
    original = world.runs("alpha", world.from_)
    runs = world.runs(name)
    listed = set(original) if form == "ours" else set(original) - {"gone"}
    assert set(runs) == listed
    for run in listed:
        same_run(world, runs[run], original[run])
    assert tags(runs["child"]["data"])["mlflow.parentRunId"] == runs["parent"]["info"]["run_id"]
    model = world.logged_models(name)["net"]["info"]["model_id"]
    assert runs["uses the model"]["inputs"]["model_inputs"] == [{"model_id": model}]
    assert runs["main"]["outputs"]["model_outputs"][0]["model_id"] == model  # one copy, linked by both
    assert {t["trace_metadata"].get("mlflow.sourceRun") for t in world.traces(name).values()} == \
        {runs["main"]["info"]["run_id"], None}
    world.forget_traces(name)


def test_experiment_options(world):
    part = world.parts.copy("experiments", world.seed.alpha)
    common = ("import-experiment", "--input-dir", part, "--experiment-name", "experiment options")
    world.twice(*common, "--import-source-tags", "1", "--use-src-user-id", "t")
    found, original = tags(world.experiment("experiment options")), world.experiment("alpha", world.from_)
    assert found["mlflow_exim.mlflow_tag.note.content"] == "notes"
    for field in ("experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"):
        assert found[f"mlflow_exim.field.{field}"] == str(original[field]), field
    assert re.fullmatch(r"[\d: -]{19}", found["mlflow_exim.field._creation_time"])
    run = world.runs("experiment options")["main"]
    assert tags(run["data"])["mlflow.user"] == "ann"
    assert tags(run["data"])["mlflow_exim.run_info.run_id"] == world.seed.runs["main"]
    world.forget_traces("experiment options")


def test_experiments_with_a_rename_file(world, tmp_path):
    rules = tmp_path / "rules.csv"
    rules.write_text("nothing,like it\n\nalpha,bulk\n", newline="\r\n")
    part = world.parts.copy("experiments")
    report = world.twice("import-experiments", "--input-dir", part, "--experiment-rename-file", rules, "--use-threads", "true",
                         "--import-source-tags", "true", "--use-src-user-id", "true", "--import-permissions", "false")
    assert report["kinds"]["experiment"]["created"] == 3
    assert set(world.runs("bulk")) == set(world.runs("alpha", world.from_)) - {"gone"}
    assert set(world.runs("beta")) == {"of beta"}
    with pytest.raises(RestError):
        world.experiment("alpha")
    assert tags(world.experiment("bulk"))["mlflow_exim.field.name"] == "alpha"
    assert tags(world.runs("bulk")["main"]["data"])["mlflow.user"] == "ann"
    world.forget_traces("bulk")


@pytest.mark.parametrize("form", ["archive", "whole"])
def test_experiments_of_an_archive_or_a_whole_export(world, tmp_path, form):
    rules = tmp_path / "rules"
    rules.write_text(f"alpha,alpha {form}\nbeta,beta {form}\n")
    report = world.twice("import-experiments", "--input-dir", world.archive if form == "archive" else world.plain,
                         "--experiment-rename-file", rules, "--use-threads", "false")
    assert report["kinds"]["registered_model"]["found"] == report["kinds"]["prompt"]["found"] == 0
    assert "main" in world.runs(f"alpha {form}")
    world.forget_traces(f"alpha {form}")


@pytest.mark.parametrize("layout", ["V2", "V3", "V4"])
def test_older_layouts(world, tmp_path, layout):
    tree = world.parts.older(layout)
    rules = tmp_path / "rules"
    rules.write_text(f"alpha,alpha {layout}\nbeta,beta {layout}\nwine,wine {layout}\n")
    world.twice("import-models", "--input-dir", tree, "--experiment-rename-file", rules, "--model-rename-file", rules)
    run, original = world.runs(f"alpha {layout}")["main"], world.runs("alpha", world.from_)["main"]
    assert run["info"]["start_time"] == original["info"]["start_time"]
    assert world.history(run, "loss") == world.history(original, "loss", world.from_)
    assert ("inputs" in run and bool(run["inputs"].get("dataset_inputs"))) == (layout == "V2")
    assert set(world.versions(f"wine {layout}")) == {1, 4, 10}
    # One experiment of it, and one model with the runs in its folder.
    world.twice("import-experiment", "--input-dir", tree / "experiments" / world.seed.beta, "--experiment-name", f"one {layout}")
    assert set(world.runs(f"one {layout}")) == {"of beta"}
    single = tmp_path / "model"
    shutil.copytree(tree / "models/wine", single)
    shutil.copytree(tree / "experiments" / world.seed.alpha / world.seed.runs["main"], single / world.seed.runs["main"])
    world.twice("import-model", "--input-dir", single, "--model", f"single {layout}", "--experiment-name", f"one {layout}")
    assert set(world.versions(f"single {layout}")) == {1, 4, 10}


def test_the_oldest_layout(world, tmp_path):
    """V5 has no stanzas."""
    tree = tmp_path / "v5"
    shutil.copytree(ROOT / "tests/format/tree/v5", tree)
    rules = tmp_path / "rules"
    rules.write_text("wine,wine V5\n")
    report = world.twice("import-experiments", "--input-dir", tree / "experiments", "--experiment-rename-file", rules)
    assert "layout V5" in texts(report, "loss")
    assert set(world.runs("wine V5")) == {"calm"}


def test_a_directory_of_the_package_itself(world, tmp_path):
    """import-experiments of what release 1.2.0 exported."""
    environment = {"MLFLOW_TRACKING_URI": world.source.url, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([PEER / "export-experiments", "--experiments", "alpha,beta", "--output-dir", str(tmp_path / "theirs")],
                          env=environment, capture_output=True, text=True, timeout=240)
    assert (tmp_path / "theirs/experiments.json").exists(), done.stdout[-2000:] + done.stderr[-2000:]
    rules = tmp_path / "rules"
    rules.write_text("alpha,alpha of theirs\nbeta,beta of theirs\n")
    world.twice("import-experiments", "--input-dir", tmp_path / "theirs", "--experiment-rename-file", rules)
    runs, original = world.runs("alpha of theirs"), world.runs("alpha", world.from_)
    assert set(runs) == set(original) - {"gone"}
    assert world.history(runs["main"], "loss") == world.history(original["main"], "loss", world.from_)
    assert runs["main"]["info"]["end_time"] == START + 1234


# ---- models -----------------------------------------------------------------------------------------------------------


def check_wine(world, name, numbers=(1, 3, 4, 10)):
    original, versions = world.versions("wine", world.from_), world.versions(name)
    assert set(versions) == set(numbers)
    for number, version in versions.items():
        for field in ("description", "current_stage", "status"):
            assert version.get(field) == original[number].get(field), (number, field)
        assert tags(version)["n"] == str(number)
    assert {a["alias"]: a["version"] for a in world.model(name).get("aliases", [])} == {"champ": "1", "next": "3"}
    return versions


def test_model_keeps_numbers_shares_runs_and_points_to_the_copies(world):
    part = world.parts.model()
    report = world.twice("import-model", "--input-dir", part, "--model", "model a", "--experiment-name", "models",
                         "--delete-model", "false", "--import-permissions", "false", "--await-creation-for", "5")
    assert report["kinds"]["run"]["created"] == report["kinds"]["logged_model"]["created"] == 1
    versions = check_wine(world, "model a")
    run = world.runs("models")["main"]
    for number in (1, 4, 10):
        assert versions[number]["run_id"] == run["info"]["run_id"]
        assert versions[number]["source"] == run["info"]["artifact_uri"] + "/model"
    model = world.logged_models("models")["net"]["info"]["model_id"]
    assert versions[3]["source"] == f"models:/{model}"
    assert world.model("model a")["description"] == "about wine" and tags(world.model("model a"))["owner"] == "me"
    # Under a second name: its runs are there already.
    report, _ = world.run("import-model", "--input-dir", part, "--model", "model b", "--experiment-name", "models")
    assert report["kinds"]["run"]["created"] == 0
    check_wine(world, "model b")


def test_model_options(world):
    """--import-source-tags, --verbose without secrets, --delete-model in the place of a stranger's model."""
    part = world.parts.model()
    world.to.post("registered-models/create", name="model o")
    world.to.post("model-versions/create", name="model o", source="s3://me:secret@bucket/x?sig=hidden")
    report, _ = world.run("import-model", "--input-dir", part, "--model", "model o", "--experiment-name", "models o", code=3)
    assert "another version of this number" in texts(report, "failed")
    for _ in range(2):
        report, result = world.run("import-model", "--input-dir", part, "--model", "model o", "--experiment-name", "models o",
                                   "--delete-model", "true", "--import-source-tags", "true", "--verbose", "true")
        versions = check_wine(world, "model o")
    assert report["kinds"]["run"]["created"] == 0
    found = tags(versions[1])
    assert found["mlflow_exim.field.version"] == "1" and found["mlflow_exim.field.aliases"] == '["champ"]'
    assert found["mlflow_exim.field.run_id"] == world.seed.runs["main"]
    assert tags(world.model("model o"))["mlflow_exim.field.name"] == "wine"
    table = [line.split() for line in result.out.splitlines() if line.startswith("model o")]
    assert len(table) == 4 and "champ" in table[0]
    quiet, result = world.run("import-model", "--input-dir", part, "--model", "model o", "--experiment-name", "models o")
    assert not [line for line in result.out.splitlines() if line.startswith("model o ")]


def test_nothing_is_deleted_for_a_model_that_cannot_be_imported(world):
    part = world.parts.model()
    world.run("import-model", "--input-dir", part, "--model", "model d", "--experiment-name", "models d")
    shutil.rmtree(part / world.seed.runs["main"])
    shutil.rmtree(part / world.seed.model)
    report, _ = world.run("import-model", "--input-dir", part, "--model", "model d", "--experiment-name", "elsewhere d",
                          "--delete-model", "true", code=3)
    assert "nothing was deleted" in texts(report, "failed")
    check_wine(world, "model d")


@pytest.mark.parametrize("pending, code", [(2, 0), (10**9, 3)])
def test_await_creation(world, pending, code):
    """A server that needs time for a version: it is waited for, but not longer than was said."""
    answers = []

    def rewrite(path, body):
        if "/model-versions/get?" not in path or len(answers) >= pending:
            return body
        answers.append(path)
        return body.replace(b'"READY"', b'"PENDING_REGISTRATION"')

    part = world.parts.model()
    with Recorder(world.target.url, rewrite=rewrite) as slow:
        report, result = world.run("import-model", "--input-dir", part, "--model", f"slow {pending}", "--experiment-name", "slow",
                                   "--await-creation-for", "1", server=slow, code=code)
    if code:
        assert report["kinds"]["model_version"]["failed"] == 4
        assert "not READY after 1 s (--await-creation-for): the destination says PENDING_REGISTRATION" in texts(report, "failed")
    else:
        assert report["kinds"]["model_version"]["created"] == 4 and len(answers) == 2


@pytest.mark.parametrize("form", ["plain", "archive"])
def test_models_with_renames(world, tmp_path, form):
    experiments, models = tmp_path / "experiments", tmp_path / "models"
    experiments.write_text(f"alpha,all alpha {form}\nbeta,all beta {form}\n")
    models.write_text(f"wine,all wine {form}\n")
    tree = world.archive if form == "archive" else world.plain
    common = ("import-models", "--input-dir", tree, "--experiment-rename-file", experiments, "--model-rename-file", models,
              "--use-threads", "True")
    report = world.twice(*common, "--import-permissions", "false", "--use-src-user-id", "true")
    assert report["kinds"]["prompt"]["found"] == report["kinds"]["evaluation_dataset"]["found"] == 0
    versions = check_wine(world, f"all wine {form}")
    run = world.runs(f"all alpha {form}")["main"]
    assert versions[10]["run_id"] == run["info"]["run_id"] and tags(run["data"])["mlflow.user"] == "ann"
    _, result = world.run(*common, "--delete-model", "true", "--import-source-tags", "true", "--verbose", "yes")
    check_wine(world, f"all wine {form}")
    assert f"all wine {form}" in result.out
    world.forget_traces(f"all alpha {form}")


def test_model_version_gets_the_next_number(world):
    common = ["--model", "versions", "--experiment-name", "versions"]
    _, result = world.run("import-model-version", "--input-dir", world.parts.version(4), *common, code=3)
    assert "was not to be created" in result.text
    report = world.twice("import-model-version", "--input-dir", world.parts.version(4), *common, "--create-model", "true")
    assert report["kinds"]["model_version"]["created"] == 1
    (number, version), = world.versions("versions").items()
    assert (number, version["current_stage"], version["description"]) == (1, "None", "number 4")
    assert tags(world.model("versions")).keys() & {"owner"} == set() and not world.model("versions").get("aliases")
    # Of a logged model, with everything.
    world.twice("import-model-version", "--input-dir", world.parts.version(3), "--model", "versions", "--experiment-name",
                "versions fresh", "--import-stages-and-aliases", "true", "--import-metadata", "true", "--import-source-tags",
                "true", "--import-permissions", "false")
    version = world.versions("versions")[2]
    model = world.logged_models("versions fresh")["net"]["info"]["model_id"]
    assert version["source"] == f"models:/{model}" and version["current_stage"] == "Staging"
    assert tags(version)["mlflow_exim.field.version"] == "3"
    assert [(a["alias"], a["version"]) for a in world.model("versions")["aliases"]] == [("next", "2")]
    assert world.model("versions")["description"] == "about wine"
    assert tags(world.experiment("versions fresh"))["team"] == "red"
    assert "team" not in tags(world.experiment("versions"))


# ---- logged models, traces --------------------------------------------------------------------------------------------


def test_logged_model_alone_has_a_run_in_place_of_its_own(world):
    part = world.parts.copy("experiments", world.seed.alpha, "logged_models", world.seed.model)
    report = world.twice("import-logged-model", "--input-dir", part, "--experiment-name", "logged", "--mlmodel-fix", "true")
    assert "stands in for it" in texts(report, "loss")
    model = world.logged_models("logged")["net"]
    assert model["data"]["metrics"][0]["value"] == 0.75 and model["info"]["status"] == "LOGGED_MODEL_READY"
    (run,) = world.runs("logged").values()
    assert model["info"]["source_run_id"] == run["info"]["run_id"]
    assert f"model_id: {model['info']['model_id']}" in world.file(model["info"]["artifact_uri"], "MLmodel")
    # The run itself takes its place.
    world.run("import-run", "--input-dir", world.parts.run("main"), "--experiment-name", "logged")
    (run,) = [r for r in world.runs("logged").values()]
    assert data(run, "metrics")["loss"] == 0.2 and tags(run["data"])["team"] == "blue"
    world.run("import-logged-model", "--input-dir", part, "--experiment-name", "logged as it is", "--mlmodel-fix", "false")
    model = world.logged_models("logged as it is")["net"]
    assert f"model_id: {world.seed.model}" in world.file(model["info"]["artifact_uri"], "MLmodel")
    free = world.parts.copy("experiments", world.seed.alpha, "logged_models", world.seed.free)
    world.twice("import-logged-model", "--input-dir", free, "--experiment-name", "logged free")
    assert world.runs("logged free") == {} and set(world.logged_models("logged free")) == {"free"}


def renamed_index(part, file, name):
    path = part / file
    document = json.loads(path.read_bytes())
    document["mlflow"]["experiments"][0]["name"] = name
    path.write_text(json.dumps(document))
    return part


def test_logged_models(world):
    part = renamed_index(world.parts.copy("experiments", world.seed.alpha, "logged_models"), "logged_models.json", "all logged")
    report = world.twice("import-logged-models", "--input-dir", part)
    assert report["kinds"]["logged_model"]["created"] == 2
    assert set(world.logged_models("all logged")) == {"net", "free"}


def test_trace_and_traces(world):
    part = world.parts.copy("experiments", world.seed.alpha, "traces", world.seed.traces[0])
    # The package leaves out spans that are in the server's database; ours has them.
    ours = world.ours / "experiments" / world.seed.alpha / "traces" / world.seed.traces[0]
    world.twice("import-trace", "--input-dir", ours, "--experiment-name", "traced")
    (trace,) = world.traces("traced").values()
    assert trace["trace_id"] == world.seed.traces[0] and trace["tags"]["mlflow.traceName"] == "predict"
    # With the run in its experiment the trace names the copy.
    world.run("import-run", "--input-dir", world.parts.run("main"), "--experiment-name", "traced")
    world.run("import-trace", "--input-dir", ours, "--experiment-name", "traced")
    (trace,) = world.traces("traced").values()
    assert trace["trace_metadata"]["mlflow.sourceRun"] == world.runs("traced")["main"]["info"]["run_id"]
    # A server has an id once: in a second experiment the copy has another, and always the same.
    report = world.twice("import-trace", "--input-dir", ours, "--experiment-name", "traced again")
    (copy,) = world.traces("traced again").values()
    assert copy["trace_id"] not in world.seed.traces and copy["trace_id"] in texts(report, "loss")
    status, spans = world.to.raw("GET", f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={copy['trace_id']}")
    assert status == 200 and [s["name"] for s in json.loads(spans)["spans"]] == ["predict"]
    assert part.exists()
    world.forget_traces("traced")
    world.forget_traces("traced again")
    folder = world.parts.new()
    shutil.copytree(world.ours / "experiments" / world.seed.alpha / "traces", folder)
    renamed_index(folder, "traces.json", "all traced")
    report = world.twice("import-traces", "--input-dir", folder)
    assert set(world.traces("all traced")) == set(world.seed.traces) and report["kinds"]["trace"]["created"] == 2
    world.forget_traces("all traced")


# ---- prompts, datasets ------------------------------------------------------------------------------------------------


def test_prompt_alone(world):
    part = world.parts.copy("prompts", "greet_v3")
    world.twice("import-prompt", "--input-dir", part, "--prompt-name", "hello")
    world.twice("import-prompt", "--input-dir", world.parts.copy("prompts", "greet_v1"), "--prompt-name", "hello",
                "--delete-prompt", "false")
    versions = world.prompt_versions("hello")
    assert {n: tags(v)["mlflow.prompt.text"] for n, v in versions.items()} == {1: "Hi {{who}} 3", 2: "Hi {{who}} 1"}
    for _ in range(2):
        world.run("import-prompt", "--input-dir", part, "--prompt-name", "hello", "--delete-prompt", "true")
        versions = world.prompt_versions("hello")
        assert {n: tags(v)["mlflow.prompt.text"] for n, v in versions.items()} == {1: "Hi {{who}} 3"}


@pytest.mark.parametrize("form", ["plain", "ours", "archive"])
def test_prompts_keep_their_numbers(world, form):
    tree = {"plain": world.plain / "prompts", "ours": world.ours, "archive": world.archive}[form]
    report = world.twice("import-prompts", "--input-dir", tree, "--use-threads")
    assert report["kinds"]["run"]["found"] == 0
    texts_of = lambda: {n: tags(v)["mlflow.prompt.text"] for n, v in world.prompt_versions("greet").items()}  # noqa: E731
    wanted = {n: f"Hi {{{{who}}}} {n}" for n in range(1, 12)}
    assert texts_of() == wanted
    world.run("import-prompts", "--input-dir", tree, "--delete-prompt", "true")
    assert texts_of() == wanted
    assert not (pathlib.Path(tree) / "import_summary.json").exists()
    world.to.delete("registered-models/delete", name="greet")


def test_evaluation_dataset(world):
    (part,) = (world.plain / "evaluation_datasets").glob("qa_*")
    common = ("import-evaluation-dataset", "--input-dir", part)
    report = world.twice(*common, "--evaluation-dataset-name", "qa two", "--delete-evaluation-dataset", "false")
    assert report["kinds"]["evaluation_dataset"]["created"] == 1
    assert "not linked with it" in texts(report, "loss")  # no id of another server's experiment
    (made,) = [d for d in world.datasets() if d["name"] == "qa two"]
    world.run(*common, "--evaluation-dataset-name", "qa two", "--delete-evaluation-dataset", "true")
    (again,) = [d for d in world.datasets() if d["name"] == "qa two"]
    assert again["dataset_id"] != made["dataset_id"]
    records = json.loads(world.to.get(API3 + f"datasets/{again['dataset_id']}/records", max_results=10)["records"])
    assert {r["inputs"]["q"] for r in records} == {"2+2", "1+3"}
    world.twice(*common)
    assert [d["name"] for d in world.datasets() if d["name"] == "qa"] == ["qa"]


@pytest.mark.parametrize("form", ["plain", "archive"])
def test_evaluation_datasets(world, form):
    tree = world.archive if form == "archive" else world.plain / "evaluation_datasets"
    world.twice("import-evaluation-datasets", "--input-dir", tree, "--use-threads", "true")
    world.run("import-evaluation-datasets", "--input-dir", tree, "--delete-evaluation-dataset", "true")
    assert [d["name"] for d in world.datasets() if d["name"] == "qa"] == ["qa"]


# ---- import-all -------------------------------------------------------------------------------------------------------


def test_import_all_with_the_packages_options(world, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text("alpha,everything alpha\nbeta,everything beta\nwine,everything wine\n")
    common = ("import-all", "--input-dir", world.plain, "--experiment-rename-file", rules, "--model-rename-file", rules,
              "--import-source-tags", "true", "--use-src-user-id", "true", "--use-threads", "true", "--import-permissions", "no")
    world.twice(*common)
    for _ in range(2):
        _, result = world.run(*common, "--delete-model", "true", "--delete-prompt", "true", "--delete-evaluation-dataset", "true",
                              "--verbose", "true")
        check_wine(world, "everything wine")
        assert len(world.prompt_versions("greet")) == 11
        assert [d["name"] for d in world.datasets()].count("qa") == 1
    assert "everything wine" in result.out
    run = world.runs("everything alpha")["main"]
    assert tags(run["data"])["mlflow.user"] == "ann"
    assert tags(run["data"])["mlflow_exim.run_info.run_id"] == world.seed.runs["main"]
    world.forget_traces("everything alpha")


# ---- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["another server", "the same server"])
def test_copy_run(world, where):
    to = world.target if where == "another server" else world.source
    rest = Rest(to.url)
    arguments = ["--run-id", world.seed.runs["main"], "--experiment-name", "copied run"]
    # Both ends are MLFLOW_TRACKING_URI unless they are named.
    if where == "another server":
        arguments += ["--dst-mlflow-uri", to.url]
    env = {"MLFLOW_TRACKING_URI": world.source.url}
    report = world.twice("copy-run", *arguments, env=env)
    assert report["kinds"]["run"]["created"] == report["kinds"]["logged_model"]["created"] == 1
    (run,) = world.runs("copied run", rest).values()
    original = world.runs("alpha", world.from_)["main"]
    same_run(world, run, original)
    assert world.history(run, "loss", rest) == world.history(original, "loss", world.from_)
    assert world.file(run["info"]["artifact_uri"], "notes.txt", rest) == "notes"
    assert run["outputs"]["model_outputs"][0]["model_id"] != world.seed.model
    gone = ["--run-id", world.seed.runs["gone"], "--experiment-name", "copied gone", "--src-mlflow-uri", world.source.url,
            "--dst-mlflow-uri", to.url]
    world.twice("copy-run", *gone)
    assert world.runs("copied gone", rest)["gone"]["info"]["lifecycle_stage"] == "deleted"


def ends(world, to):
    return ["--src-registry-uri", world.source.url, "--dst-registry-uri", to.url]


def test_copy_model_version_deep(world):
    common = ["--src-model", "wine", "--dst-model", "copied", "--dst-experiment-name", "copied versions", *ends(world, world.target)]
    report = world.twice("copy-model-version", "--src-version", "10", *common)
    assert report["kinds"]["run"]["created"] == report["kinds"]["model_version"]["created"] == 1
    version = world.versions("copied")[1]
    run = world.runs("copied versions")["main"]
    assert version["run_id"] == run["info"]["run_id"] and version["source"] == run["info"]["artifact_uri"] + "/model"
    assert version["current_stage"] == "None" and tags(version)["n"] == "10"
    world.twice("copy-model-version", "--src-version", "3", *common, "--copy-stages-and-aliases", "true", "--copy-lineage-tags",
                "true", "--copy-permissions", "false")
    version = world.versions("copied")[2]
    assert version["current_stage"] == "Staging"
    assert [(a["alias"], a["version"]) for a in world.model("copied")["aliases"]] == [("next", "2")]
    found = tags(version)
    assert found["mlflow_exim.src_version.name"] == "wine" and found["mlflow_exim.src_version.version"] == "3"
    assert found["mlflow_exim.src_version.run_id"] == world.seed.runs["main"]
    assert found["mlflow_exim.src_client.tracking_uri"] == world.source.url
    assert found["mlflow_exim.mlflow_exim.dst_client.tracking_uri"] == world.target.url
    assert found["mlflow_exim.src_run.mlflow.user"] == "somebody"
    assert version["source"] == f"models:/{world.logged_models('copied versions')['net']['info']['model_id']}"


def test_copy_model_version_shallow(world):
    common = ["--src-model", "wine", "--src-version", "10", "--dst-model", "linked", "--verbose", "true"]
    report = world.twice("copy-model-version", *common, *ends(world, world.source))
    assert report["kinds"]["run"]["found"] == 0
    (version,) = world.versions("linked", world.from_).values()
    original = world.versions("wine", world.from_)[10]
    assert version["run_id"] == original["run_id"] and version["source"] == original["source"]
    _, result = world.run("copy-model-version", *common, *ends(world, world.source))
    assert [line.split()[0] for line in result.out.splitlines() if re.match("(wine|linked) ", line)] == ["wine", "linked"]
    _, result = world.run("copy-model-version", *common, *ends(world, world.target), code=2)
    assert "--dst-experiment-name" in result.error_line()


# ---- what is refused --------------------------------------------------------------------------------------------------

BOOLS = {
    "import-run": ["--import-source-tags", "--use-src-user-id", "--mlmodel-fix"],
    "import-experiment": ["--import-permissions", "--import-source-tags", "--use-src-user-id"],
    "import-experiments": ["--import-permissions", "--import-source-tags", "--use-src-user-id", "--use-threads"],
    "import-model": ["--delete-model", "--import-permissions", "--import-source-tags", "--verbose"],
    "import-models": ["--delete-model", "--import-permissions", "--import-source-tags", "--use-src-user-id", "--use-threads",
                      "--verbose"],
    "import-model-version": ["--create-model", "--import-permissions", "--import-source-tags", "--import-stages-and-aliases",
                             "--import-metadata"],
    "import-logged-model": ["--mlmodel-fix"],
    "import-logged-models": [],
    "import-trace": [],
    "import-traces": [],
    "import-prompt": ["--delete-prompt"],
    "import-prompts": ["--delete-prompt"],
    "import-evaluation-dataset": ["--delete-evaluation-dataset"],
    "import-evaluation-datasets": ["--delete-evaluation-dataset", "--use-threads"],
    "import-all": ["--delete-model", "--import-permissions", "--import-source-tags", "--use-src-user-id", "--use-threads",
                   "--verbose", "--delete-prompt", "--delete-evaluation-dataset"],
    "copy-model-version": ["--copy-permissions", "--copy-stages-and-aliases", "--copy-lineage-tags", "--verbose"],
}
OTHERS = {
    "import-run": ["--input-dir", "--experiment-name", "--dst-notebook-dir"],
    "import-experiment": ["--input-dir", "--experiment-name", "--dst-notebook-dir"],
    "import-experiments": ["--input-dir", "--experiment-rename-file"],
    "import-model": ["--input-dir", "--model", "--experiment-name", "--await-creation-for"],
    "import-models": ["--input-dir", "--experiment-rename-file", "--model-rename-file"],
    "import-model-version": ["--model", "--experiment-name", "--input-dir"],
    "import-prompt": ["--input-dir", "--prompt-name"],
    "import-prompts": ["--input-dir", "--use-threads"],
    "import-evaluation-dataset": ["--input-dir", "--evaluation-dataset-name"],
    "import-all": ["--input-dir", "--experiment-rename-file", "--model-rename-file"],
    "copy-run": ["--run-id", "--experiment-name", "--src-mlflow-uri", "--dst-mlflow-uri"],
    "copy-model-version": ["--src-model", "--src-version", "--dst-model", "--src-registry-uri", "--dst-registry-uri",
                           "--dst-experiment-name"],
}


@pytest.mark.parametrize("command", sorted(BOOLS.keys() | OTHERS.keys()))
def test_every_option_is_shown_and_checked(command):
    shown = must(ferry.ferry(command, "--help")).out
    for option in BOOLS.get(command, []) + OTHERS.get(command, []):
        assert re.search(rf"^\s+{option}\b", shown, re.M), option
    for option in BOOLS.get(command, []):
        result = ferry.ferry(command, option, "perhaps")
        assert result.code == 2 and "neither true nor false" in result.error_line(), option


@pytest.mark.parametrize("command, arguments, code, words", [
    ("import-run", ["--experiment-name", "x"], 2, ["--input-dir"]),
    ("import-run", ["--input-dir", "RUN"], 2, ["--experiment-name"]),
    ("import-run", ["--input-dir", "RUN", "--experiment-name", ""], 2, ["--experiment-name", "is empty"]),
    ("import-run", ["--input-dir", "RUN", "--experiment-name", "x", "--dst-notebook-dir", "/a"], 2, ["--dst-notebook-dir", "Databricks"]),
    ("import-run", ["--input-dir", "/nowhere", "--experiment-name", "x"], 4, ["/nowhere", "no directory of mlflow-export-import"]),
    ("import-run", ["--input-dir", "WHOLE", "--experiment-name", "x"], 4, ["mlferry import-all"]),
    ("import-run", ["--input-dir", "ARCHIVE", "--experiment-name", "x"], 2, ["is an archive", "import-all"]),
    ("import-experiment", ["--input-dir", "RUN", "--experiment-name", "x"], 4, ["one run (export-run)", "mlferry import-run"]),
    ("import-experiment", ["--input-dir", "RUN", "--experiment-name", "x", "--import-permissions", "true"], 2,
     ["--import-permissions needs a Databricks server"]),
    ("import-all", ["--input-dir", "RUN"], 4, ["mlferry import-run"]),
    ("import-all", ["--input-dir", "WHOLE", "--import-permissions", "true"], 2, ["--import-permissions needs a Databricks server"]),
    ("import-model", ["--input-dir", "RUN", "--model", "m", "--experiment-name", "x", "--await-creation-for", "soon"], 2,
     ["--await-creation-for"]),
    ("import-model", ["--input-dir", "RUN", "--model", "m", "--experiment-name", "x", "--await-creation-for", "-1"], 2,
     ["--await-creation-for"]),
    ("import-models", ["--input-dir", "WHOLE", "--model-rename-file", "/nowhere"], 2, ["--model-rename-file", "cannot read"]),
    ("import-experiments", ["--input-dir", "WHOLE", "--experiment-rename-file", "RULES"], 2, ["line 2 has no comma"]),
    ("import-prompts", ["--input-dir", "RUN"], 4, ["mlferry import-run"]),
    ("copy-run", ["--run-id", "0" * 32, "--experiment-name", "x", "--src-mlflow-uri", "URL", "--dst-mlflow-uri", "URL"], 4,
     ["0" * 32, "is not on"]),
    ("copy-model-version", ["--src-model", "wine", "--src-version", "one", "--dst-model", "d", "--src-registry-uri", "URL",
                            "--dst-registry-uri", "URL"], 2, ["'one' is no version number"]),
    ("copy-model-version", ["--src-model", "wine", "--src-version", "99", "--dst-model", "d", "--src-registry-uri", "URL",
                            "--dst-registry-uri", "URL"], 4, ["version 99 of model 'wine'"]),
    ("copy-model-version", ["--src-model", "wine", "--src-version", "1", "--dst-model", "d", "--src-registry-uri", "databricks-uc",
                            "--dst-registry-uri", "URL"], 2, ["Databricks comes later"]),
    ("copy-model-version", ["--src-model", "wine", "--src-version", "1", "--dst-model", "d", "--src-registry-uri", "URL",
                            "--dst-registry-uri", "URL", "--copy-permissions", "true"], 2, ["--copy-permissions needs"]),
])
def test_mistakes(world, tmp_path, command, arguments, code, words):
    rules = tmp_path / "rules"
    rules.write_text("a,b\nno rule\n")
    stand_for = {"RUN": world.plain / "experiments" / world.seed.alpha / "runs" / world.seed.runs["main"], "WHOLE": world.plain,
                 "ARCHIVE": world.archive, "RULES": rules, "URL": world.source.url}
    _, result = world.run(command, *(stand_for.get(a, a) for a in arguments), code=code)
    assert all(word in result.error_line() for word in words), result.error_line()


def test_a_dry_run_makes_nothing(world):
    report, _ = world.run("import-model", "--input-dir", world.parts.model(), "--model", "only planned", "--experiment-name",
                          "only planned", "--delete-model", "true", "--dry-run")
    assert report["kinds"]["model_version"]["created"] == 4
    with pytest.raises(RestError):
        world.model("only planned")
    with pytest.raises(RestError):
        world.experiment("only planned")
