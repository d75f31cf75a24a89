"""What users of the package mlflow-export-import rely on, one behaviour after the other: exported from one real server,
imported into another, and judged by the independent comparison. docs/package-tests.md says which test shows which."""

import concurrent.futures
import contextlib
import copy
import json
import shutil
import sqlite3
import subprocess
import types

import ferry
import pytest
from conftest import assert_equal
from proxies import Recorder
from rest import API3, Rest, parallel, proxied
from seed_small import IS_PROMPT, tags
from servers import environment, python_of
from snapshot import Snapshot

NOON = 1_700_049_600_000  # 2023-11-15 12:00:00 UTC
HOUR = 3_600_000
STAGES = ("Production", "Staging", "Archived", "None")
# (stages in the order in which versions get them, whether existing versions of the stage are archived, what they are then)
ARCHIVING = [((stage,) * n, False, (stage,) * n) for stage in STAGES for n in (1, 2)] + \
    [((stage,), True, (stage,)) for stage in STAGES[:2]] + [((stage,) * 2, True, ("Archived", stage)) for stage in STAGES[:2]]

LOG_MODELS = """
import sys, tempfile
import mlflow, mlflow.sklearn
from sklearn.tree import DecisionTreeRegressor
more = dict(serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
model = DecisionTreeRegressor(random_state=1).fit([[0.5, i % 3] for i in range(9)] + [[i, 1] for i in range(9)], range(18))
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("predicts")
with mlflow.start_run(run_name="predicts"), tempfile.TemporaryDirectory() as folder:
    mlflow.sklearn.save_model(model, folder + "/model", **more)
    mlflow.log_artifacts(folder + "/model", "model")
    mlflow.sklearn.log_model(model, name="net", **more)
"""
PREDICT = """
import json, sys
import mlflow, mlflow.pyfunc
rows = [[0.5, i % 3] for i in range(4)] + [[i + 0.25, 1] for i in range(9)]
predicted = []
for argument in sys.argv[1:]:
    server, uri = argument.split()
    mlflow.set_tracking_uri(server)
    predicted.append(list(map(float, mlflow.pyfunc.load_model(uri).predict(rows))))
print(json.dumps(predicted))
"""


def python(program, *arguments):
    done = subprocess.run([python_of(None), "-c", program, *arguments], capture_output=True, text=True, timeout=120,
                          env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1] if done.stdout.strip() else ""


# ---- what there is ----------------------------------------------------------------------------------------------------


class Seed:
    def __init__(self, server):
        self.server, self.rest, self.runs, self.uris, self.ids = server, Rest(server.url), {}, {}, {}
        with concurrent.futures.ThreadPoolExecutor(1) as beside:
            models = beside.submit(python, LOG_MODELS, server.url)
            for name in ("red", "blue"):
                self.experiment(name, mlflow__note__content="notes on " + name, mlflow__experimentKind="custom", team=name)
            for name in ("stages", "places"):
                self.experiment(name)
            parallel(lambda n: self.full_run(n.split()[0], n, NOON + (int(n[-1]) - 1) * 2 * HOUR),
                     [f"{name} {n}" for name in ("red", "blue") for n in range(4)], 4)
            self.full_run("stages", "staged", NOON)
            self.full_run("stages", "dead", NOON + 1)
            self.places()
            self.versions()
            self.delete_run("red 3")
            self.delete_run("dead")
            self.prompts_and_datasets()
            models.result()
        self.snapshot = Snapshot(server.url)
        self.runs["predicts"] = next(i for i, r in self.snapshot.runs.items() if r["info"]["run_name"] == "predicts")

    def experiment(self, name, **values):
        self.ids[name] = self.rest.post("experiments/create", name=name, tags=tags(**values))["experiment_id"]

    def run(self, experiment, name, start, files=(), run_tags=()):
        info = self.rest.post("runs/create", experiment_id=self.ids[experiment], run_name=name, start_time=start, user_id="ann",
                              tags=list(run_tags))["run"]["info"]
        self.runs[name], self.uris[name] = info["run_id"], info["artifact_uri"]
        for path, text in dict(files).items():
            self.rest.put_file(f"{proxied(info['artifact_uri'])}/{path}", text.replace("RUN", info["run_id"]).encode())
        return info["run_id"]

    def full_run(self, experiment, name, start):
        """With everything in it when it is called 1 or staged."""
        full = name in ("red 1", "staged")
        more = {"info/notes.txt": "notes", "data/deep/a b.csv": name, "model/sklearn/MLmodel": "run_id: RUN\n"} if full else {}
        run = self.run(experiment, name, start, {"model/MLmodel": "# kept\nrun_id: RUN\n", "model/model.pkl": name * 99, **more},
                       tags(mlflow__user="somebody", mlflow__source__name="train.py", mlflow__source__git__commit="c0ffee", my_tag=name))
        self.rest.post("runs/log-batch", run_id=run, params=[{"key": "lr", "value": "0.1"}, {"key": "text", "value": name}],
                       metrics=[{"key": "loss", "value": 1 / (s + 3), "timestamp": start + s, "step": s} for s in range(5)] +
                               [{"key": "back", "value": s / 7, "timestamp": start - s, "step": 7 - s} for s in range(3)])
        if full:
            self.rest.post("runs/log-inputs", run_id=run, datasets=[
                {"dataset": {"name": "train", "digest": "d1", "source_type": "local", "source": "{}", "schema": "{}", "profile": '{"rows": 3}'},
                 "tags": tags(mlflow__data__context="training")}])
        self.rest.post("runs/update", run_id=run, status="FAILED" if name.endswith("1") else "FINISHED", end_time=start + 1234)

    def delete_run(self, name):
        self.rest.post("runs/delete", run_id=self.runs[name])

    def places(self):
        """Runs by where in them models are."""
        self.models_of = {"no model": [], "at the root": [""], "one": ["model"], "two": ["model", "model-onnx"],
                          "nested": ["model", "other_models/model-onnx"]}
        def one(name):
            paths = self.models_of[name]
            files = {f"{path}/MLmodel".lstrip("/"): "artifact_path: x\nrun_id: RUN\n" for path in paths}
            self.run("places", name, NOON, {**files, "MLmodel.txt": "none"})
            self.rest.post("runs/update", run_id=self.runs[name], status="FINISHED", end_time=NOON + 1)

        parallel(one, self.models_of, 4)

    def model(self, name, *versions, archive=False):
        """versions: (run, stage, path below the run's artifacts)"""
        post = self.rest.post
        post("registered-models/create", name=name, description=f"about {name}", tags=tags(owner="ann", k__dotted="v"))
        for number, (run, stage, path) in enumerate(versions, 1):
            post("model-versions/create", name=name, source=self.uris[run] + path, run_id=self.runs[run],
                 description=f"{name} {number}", tags=tags(n=str(number)))
            if stage:
                post("model-versions/transition-stage", name=name, version=str(number), stage=stage, archive_existing_versions=archive)

    def versions(self):
        self.model("staged", *((run, stage, "/model") for run, stage in zip(("red 0", "red 1", "blue 0", "blue 1"), STAGES)))
        for alias, number in (("champ", "1"), ("next", "2"), ("last", "4")):
            self.rest.post("registered-models/alias", name="staged", alias=alias, version=number)
        self.model("pair", ("red 2", None, "/model"), ("blue 2", "Staging", "/model"))
        self.model("half", ("staged", "Production", "/model"), ("dead", "Staging", "/model"))
        self.model("paths", *(("staged", None, path) for path in ("", "/", "/model", "/model/sklearn")))
        parallel(lambda n: self.model(f"archiving {n}", *(("staged", stage, "/model") for stage in ARCHIVING[n][0]), archive=ARCHIVING[n][1]),
                 range(len(ARCHIVING)), 4)

    def prompts_and_datasets(self):
        for n in range(3):
            post, name = self.rest.post, f"prompt {n}"
            post("registered-models/create", name=name, description=f"about {name}", tags=IS_PROMPT + tags(team="red"))
            for v in range(n + 1):
                post("model-versions/create", name=name, source="dummy-source", description=f"commit {v}", tags=IS_PROMPT + [
                    {"key": "mlflow.prompt.text", "value": f"Say {{{{word}}}} {n} {v}"}, {"key": "lang", "value": "en"}])
            post("registered-models/alias", name=name, alias="prod", version=str(n + 1))
            made = post(API3 + "datasets/create", name=f"set {n}", experiment_ids=[], tags=json.dumps({"team": "red"}))
            dataset = made["dataset"]["dataset_id"]
            post(API3 + f"datasets/{dataset}/records", dataset_id=dataset, records=json.dumps(
                [{"inputs": {"q": f"{n} {i}"}, "expectations": {"a": i}, "tags": {"t": "u"}} for i in range(n + 2)]))


@pytest.fixture(scope="module")
def made(fleet):
    return Seed(fleet["other"].reset())


def part(made, *experiments, runs=None, deleted=False, experiment_tags=True, models=None, numbers=None, prompts=(), datasets=(), renamed=None):
    """What of the source should be in the destination: experiments by name with their active runs or those with these names,
    registered models, all their versions or those with these numbers, prompts, datasets; under new names."""
    whole, name_of = made.snapshot, lambda name: (renamed or {}).get(name, name)
    got = copy.copy(whole)
    got.experiments = {i: {**e, "name": name_of(e["name"]), "tags": e.get("tags", []) if experiment_tags else []}
                       for i, e in whole.experiments.items() if e["name"] in (*experiments, "Default")}
    taken = None if runs is None else {made.runs[name] for name in runs}
    got.runs = {i: r for i, r in whole.runs.items() if r["info"]["experiment_id"] in got.experiments and (
        i in taken if taken is not None else deleted or r["info"]["lifecycle_stage"] == "active")}
    assert taken is None or len(got.runs) == len(taken)
    got.run_files = {i: whole.run_files[i] for i in got.runs}
    got.models = {i: m for i, m in whole.models.items() if m["info"].get("source_run_id") in got.runs}
    got.model_files = {i: whole.model_files[i] for i in got.models}
    of_model = lambda name, number: name in (models or ()) and (numbers is None or number in numbers)  # noqa: E731
    got.versions = {(name_of(n), v): doc for (n, v), doc in whole.versions.items() if of_model(n, v)}
    got.registered = {name_of(n): {**m, "aliases": [a for a in m.get("aliases", []) if of_model(n, int(a["version"]))]}
                      for n, m in whole.registered.items() if n in (models or ())}
    got.prompts = {name_of(n): m for n, m in whole.prompts.items() if n in prompts}
    got.prompt_versions = {(name_of(n), v): doc for (n, v), doc in whole.prompt_versions.items() if n in prompts}
    got.datasets = [{**d, "name": name_of(d["name"])} for d in whole.datasets if d["name"] in datasets]
    return got


def only(snapshot, experiment):
    """One experiment of a snapshot, without registered models."""
    got = copy.copy(snapshot)
    got.experiments = {i: e for i, e in snapshot.experiments.items() if e["name"] in (experiment, "Default")}
    got.runs = {i: r for i, r in snapshot.runs.items() if r["info"]["experiment_id"] in got.experiments}
    got.models = {i: m for i, m in snapshot.models.items() if m["info"]["experiment_id"] in got.experiments}
    got.run_files = {i: snapshot.run_files[i] for i in got.runs}
    got.model_files = {i: snapshot.model_files[i] for i in got.models}
    got.registered, got.versions = {}, {}
    return got


class Travel:
    """From the source into a directory, and from there into an empty server."""

    def __init__(self, made, target, folder):
        self.made, self.target, self.rest, self.folder, self.number = made, target, Rest(target.url), folder, 0
        self.tree = folder / "tree"

    def run(self, *arguments, code=0, **more):
        self.number += 1
        result = ferry.ferry(*arguments, "--no-progress", report=self.folder / f"{self.number}.json", **more)
        assert result.code == code, f"{' '.join(map(str, arguments))}: exit {result.code}\n{result.text[-3000:]}"
        return result.report

    def export(self, what, *arguments, **more):
        return self.run(f"export-{what}", "--src-mlflow-uri", self.made.server.url, "--output-dir", self.tree, *arguments, **more)

    def bring(self, what, *arguments, **more):
        return self.run(f"import-{what}", "--dst-mlflow-uri", self.target.url, "--input-dir", self.tree, *arguments, **more)

    def there(self):
        snapshot = Snapshot(self.target.url)
        for experiment in snapshot.experiments.values():  # one that --experiment-name made is no copy of another
            experiment["tags"] = [t for t in experiment.get("tags", []) if (t["key"], t["value"]) != ("mlferry.source.id", "into")]
        return snapshot

    def arrived(self, wanted):
        return assert_equal(wanted, self.there())

    def read(self, uri, path):
        return self.rest.get_file(f"{proxied(uri)}/{path}").decode()

    def again(self, folder):
        """Another directory, and the destination empty."""
        self.tree = self.folder / folder
        self.target.reset()
        return self


@pytest.fixture
def travel(made, fleet, tmp_path):
    return Travel(made, fleet["empty"].reset(), tmp_path)


def failed(report):
    return {f["id"] for f in report["findings"] if f["severity"] == "failed"}


def pairs(document):
    return {t["key"]: t.get("value", "") for t in document.get("tags", [])}


def without_source_tags(snapshot):
    """(the snapshot without mlflow_exim.* tags, those of each experiment, run and version)"""
    found = {}
    for key, holder in (*snapshot.experiments.items(), *((i, r["data"]) for i, r in snapshot.runs.items()), *snapshot.registered.items(),
                        *snapshot.versions.items()):
        found[key] = {k: v for k, v in pairs(holder).items() if k.startswith("mlflow_exim.")}
        holder["tags"] = [t for t in holder.get("tags", []) if not t["key"].startswith("mlflow_exim.")]
    return snapshot, found


def source_tags(document):
    """What the mlflow.* tags of a source become."""
    return {"mlflow_exim.mlflow_tag." + k.removeprefix("mlflow."): v for k, v in pairs(document).items() if k.startswith("mlflow.")}


def of_kind(tags_there, prefix):
    return {k: v for k, v in tags_there.items() if k.startswith(prefix)}


# ---- runs -------------------------------------------------------------------------------------------------------------


def test_a_run(made, travel):
    """As it is, and with what its copy cannot be given as tags."""
    run = made.runs["red 1"]
    travel.export("run", "--run-id", run)
    travel.bring("run", "--experiment-name", "copies")
    travel.bring("run", "--experiment-name", "tagged", "--import-source-tags", "true")
    there = travel.there()
    (got,) = (pairs(r["data"]) for r in runs_in(there, "copies"))
    assert of_kind(got, "mlflow_exim.") == {}
    there, found = without_source_tags(there)
    for name in ("copies", "tagged"):
        assert_equal(part(made, "red", runs=["red 1"], experiment_tags=False, renamed={"red": name}), only(there, name))
    original = made.snapshot.runs[run]
    assert {k: len(points) for k, points in original["history"].items()} == {"loss": 5, "back": 3}
    assert len(made.snapshot.run_files[run]) == 5 and original["inputs"]["dataset_inputs"]
    (got,) = (found[r["info"]["run_id"]] for r in runs_in(there, "tagged"))
    assert of_kind(got, "mlflow_exim.mlflow_tag.") == source_tags(original["data"])
    assert len(source_tags(original["data"])) == 4
    for field in ("run_id", "experiment_id", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "run_name"):
        assert got["mlflow_exim.run_info." + field] == str(original["info"][field]), field
    assert got["mlflow_exim.run_info._start_time"] == "2023-11-15 12:00:00"


def test_models_in_runs(made, travel):
    """None, one at the root, one below, two, nested ones: they are found, arrive in their places, and name the copy."""
    files = {name: [f"{path}/MLmodel".lstrip("/") for path in paths] for name, paths in made.models_of.items()}
    for name, wanted in files.items():
        found = ferry.ferry_ok("find-artifacts", "--run-id", made.runs[name], "--target", "MLmodel", env={"MLFLOW_TRACKING_URI": made.server.url})
        assert found.out.split() == wanted, name
    travel.export("experiment", "--experiment", "places")
    travel.bring("experiment", "--experiment-name", "places")
    there = travel.there()
    assert_equal(part(made, "places"), there)
    for run, doc in there.runs.items():
        texts = {path: text for path, (_, _, text) in there.run_files[run].items() if text is not None}
        assert texts == dict.fromkeys(files[doc["info"]["run_name"]], f"artifact_path: x\nrun_id: {run}\n".encode())


def test_predictions(made, travel):
    """Pickled models in a run, as a logged model and as a version predict the same, imported and copied."""
    travel.export("run", "--run-id", made.runs["predicts"])
    travel.bring("run", "--experiment-name", "imported")
    ends = ["--src-mlflow-uri", made.server.url, "--dst-mlflow-uri", travel.target.url]
    travel.run("copy-run", "--run-id", made.runs["predicts"], "--experiment-name", "copied", *ends)
    there = travel.there()
    (model,) = (m for m, doc in made.snapshot.models.items() if doc["info"]["source_run_id"] == made.runs["predicts"])
    copies = [f"runs:/{run}/model" for run in there.runs] + [f"models:/{copied}" for copied in there.models]
    wanted, *got = json.loads(python(PREDICT, *(f"{made.server.url} {uri}" for uri in (f"runs:/{made.runs['predicts']}/model", f"models:/{model}")),
                                     *(f"{travel.target.url} {uri}" for uri in copies)))
    assert len(copies) == 4 and len(set(wanted)) > 5
    assert got == [wanted] * 5
    for name in ("imported", "copied"):  # every byte of every file
        assert_equal(part(made, "predicts", experiment_tags=False, renamed={"predicts": name}), only(there, name))


# ---- experiments ------------------------------------------------------------------------------------------------------


def test_an_experiment(made, travel):
    """As it is, and with what its copy cannot be given as tags."""
    travel.export("experiment", "--experiment", "blue")  # has another id there
    travel.bring("experiment", "--experiment-name", "copies")
    travel.bring("experiment", "--experiment-name", "tagged", "--import-source-tags", "true")
    there = travel.there()
    original = made.snapshot.experiments[made.ids["blue"]]
    for number, experiment in there.experiments.items():
        if experiment["name"] != "Default":
            assert proxied(experiment["artifact_location"]) == number and pairs(original).items() <= pairs(experiment).items()
        if experiment["name"] != "tagged":
            assert of_kind(pairs(experiment), "mlflow_exim.") == {}
    assert proxied(original["artifact_location"]) == made.ids["blue"]
    there, found = without_source_tags(there)
    for name in ("copies", "tagged"):
        assert assert_equal(part(made, "blue", renamed={"blue": name}), only(there, name))["compared"]["run"] == 4
    (tagged,) = (found[i] for i, e in there.experiments.items() if e["name"] == "tagged")
    assert of_kind(tagged, "mlflow_exim.mlflow_tag.") == source_tags(original)
    assert source_tags(original) == {"mlflow_exim.mlflow_tag.note.content": "notes on blue", "mlflow_exim.mlflow_tag.experimentKind": "custom"}
    for field in ("experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"):
        assert tagged["mlflow_exim.field." + field] == str(original[field]), field
    for run in runs_in(there, "tagged"):
        source = made.snapshot.runs[pairs(run["data"])["mlferry.source.id"]]
        assert of_kind(found[run["info"]["run_id"]], "mlflow_exim.mlflow_tag.") == source_tags(source["data"])


def test_deleted_runs(made, travel):
    """Of one experiment, and of several."""
    travel.export("experiment", "--experiment", "red", "--export-deleted-runs", "true")
    travel.bring("experiment", "--experiment-name", "one")
    travel.tree = travel.folder / "several"
    travel.export("experiments", "--experiments", "red,blue", "--export-deleted-runs", "true")
    travel.bring("experiments")
    there = travel.there()
    for name, wanted in (("one", "red"), ("red", "red"), ("blue", "blue")):
        assert_equal(part(made, wanted, deleted=True, renamed={wanted: name}), only(there, name))
    stages = [r["info"]["lifecycle_stage"] for r in runs_in(there, "red")]
    assert sorted(stages) == ["active"] * 3 + ["deleted"]


DAY = "2023-11-15"
ZONES = ("JST-9", "EST5", "UTC0")
WINDOWS = [  # runs started at 10:00, 12:00 and 14:00
    ("all", [], [0, 1, 2]),
    ("from between two", ["--run-start-time", f"{DAY} 11:59:59"], [1, 2]),
    ("from exactly one", ["--run-start-time", f"{DAY} 12:00:00"], [1, 2]),
    ("from before all", ["--run-start-time", f"{DAY} 09:59:59"], [0, 1, 2]),
    ("until between two", ["--runs-until", f"{DAY} 12:00:01"], [0, 1]),
    ("around the middle", ["--run-start-time", f"{DAY} 11:30:00", "--runs-until", f"{DAY} 12:30:00"], [1]),
    ("past", ["--run-start-time", "2001-01-01", "--runs-until", "2001-01-02 01:00:00"], []),
]


def test_runs_of_a_time(made, travel):
    """Times are UTC wherever the machine is. Where no run is, the experiment arrives without."""
    for number, (name, options, numbers) in enumerate(WINDOWS):
        travel.tree = travel.folder / name
        zone = {"TZ": ZONES[number % len(ZONES)]}
        travel.export("experiment", "--experiment", "red", *options, env=zone)
        travel.bring("experiment", "--experiment-name", name, env=zone)
    experiments = travel.rest.post("experiments/search", max_results=100)["experiments"]
    assert {e["name"] for e in experiments} == {name for name, *_ in WINDOWS} | {"Default"}
    by_name = {e["name"]: e["experiment_id"] for e in experiments}
    for name, _, numbers in WINDOWS:
        runs = travel.rest.post("runs/search", experiment_ids=[by_name[name]], run_view_type="ALL").get("runs", [])
        assert {r["info"]["run_name"]: r["info"]["start_time"] for r in runs} == {f"red {n}": NOON + (n - 1) * 2 * HOUR for n in numbers}, name


def test_chosen_runs(made, travel):
    """Of two experiments; the unknown and those of another are told, and the others arrive."""
    unknown, of_another = "0" * 32, made.runs["blue 0"]
    rows = [("two", "red", ["red 0", "red 2"], []), ("nonexistent", "red", ["red 1"], [unknown]), ("of another", "red", ["red 1"], [of_another]),
            ("other experiment", "blue", ["blue 1", "blue 3"], [])]
    for name, experiment, good, bad in rows:
        travel.tree = travel.folder / name
        report = travel.export("experiment", "--experiment", experiment, "--run-ids", ",".join([made.runs[n] for n in good] + bad),
                               code=3 if bad else 0)
        assert failed(report) == set(bad) and report["kinds"]["run"]["copied"] == len(good)
        travel.bring("experiment", "--experiment-name", name)
    there = travel.there()
    for name, experiment, good, _ in rows:
        assert_equal(part(made, experiment, runs=good, renamed={experiment: name}), only(there, name))


# ---- many experiments -------------------------------------------------------------------------------------------------


def stanzas(tree):
    """What the package's files say, without times and folders of the job."""
    found = {str(path.relative_to(tree)): json.loads(path.read_bytes())["mlflow"] for path in tree.glob("**/*.json") if ".mlferry" not in path.parts}
    for document in found.values():
        document.pop("duration", None)
        for name in ("runs", "experiments"):
            if name in document:
                document[name] = sorted(({**d, "duration": 0} if isinstance(d, dict) else d for d in document[name]), key=str)
    return found


def test_experiments(made, travel):
    """Names, ids, files of either: the same directories, which arrive whole; and all."""
    wanted = None
    for form in ("names", "ids", "file of ids", "file of names"):
        items = [made.ids[name] if form.endswith("ids") else name for name in ("red", "blue")]
        text = ",".join(items)
        if form.startswith("file"):
            text = travel.folder / "list.txt"
            text.write_text("\n".join(items) + "\n")
        travel.tree = travel.folder / form
        travel.export("experiments", "--experiments", text, "--use-threads", "false")
        found = stanzas(travel.tree)
        wanted = wanted or found
        assert len(found) == 1 + 2 + 7 and found == wanted, form
    travel.bring("experiments", "--use-threads", "false")
    assert travel.arrived(part(made, "red", "blue"))["compared"]["run"] == 7
    travel.tree = travel.folder / "all"
    travel.export("experiments", "--experiments", "all")
    assert {p.parent.name for p in travel.tree.glob("*/experiment.json")} == set(made.snapshot.experiments)


def test_experiments_beside_an_unknown_one_with_threads_and_new_names(made, travel):
    """A rule that fits renames, another does nothing."""
    report = travel.export("experiments", "--experiments", "red,nowhere,blue", "--use-threads", "true", code=3)
    assert failed(report) == {"nowhere"}
    rules = travel.folder / "rules"
    rules.write_text("red,crimson\nyellow,gold\n")
    travel.bring("experiments", "--experiment-rename-file", rules, "--use-threads", "true")
    travel.arrived(part(made, "red", "blue", renamed={"red": "crimson"}))


# ---- registered models ------------------------------------------------------------------------------------------------


def used_by(made, *models):
    """Names of the runs of their versions."""
    return [name for name, run in made.runs.items() if any(
        v["run_id"] == run for (model, _), v in made.snapshot.versions.items() if model in models)]


def test_versions_of_stages_and_numbers(made, travel):
    rows = [(["--stages", "Production"], [1]), (["--stages", "Production,Staging"], [1, 2]), (["--stages", ",".join(STAGES)], [1, 2, 3, 4]),
            (["--versions", "1,2"], [1, 2]), (["--versions", "2,3,4"], [2, 3, 4])]
    for row, (options, _) in enumerate(rows):
        travel.tree = travel.folder / f"tree{row}"
        travel.export("model", "--model", "staged", *options)
        travel.bring("model", "--model", f"copy {row}", "--experiment-name", f"runs {row}", "--import-source-tags", "true")
    there = travel.there()
    for row, (_, numbers) in enumerate(rows):
        check_versions(made, there, numbers, "staged", f"copy {row}", f"runs {row}")
        for (name, number), version in there.versions.items():
            assert pairs(version)["mlflow_exim.field.version"] == str(number)


def check_versions(made, there, numbers, model, name="copy", experiment="runs"):
    """The versions of a model, copied as `name` with their runs into an experiment. Gives the copies of the runs."""
    versions = {n: v for (copied, n), v in there.versions.items() if copied == name}
    assert sorted(versions) == sorted(numbers)
    original = made.snapshot.registered[model]
    copied = there.registered[name]
    assert copied["description"] == original["description"] and pairs(original).items() <= pairs(copied).items()
    assert {a["alias"]: a["version"] for a in copied.get("aliases", [])} == \
        {a["alias"]: a["version"] for a in original.get("aliases", []) if int(a["version"]) in numbers}
    for number, version in versions.items():
        source = made.snapshot.versions[model, number]
        for field in ("current_stage", "description", "status"):
            assert version[field] == source[field], (number, field)
        assert pairs(source).items() <= pairs(version).items()
        run, source_run = there.runs[version["run_id"]], made.snapshot.runs[source["run_id"]]
        assert pairs(run["data"])["mlferry.source.id"] == source["run_id"]
        assert version["source"] == run["info"]["artifact_uri"] + source["source"].removeprefix(source_run["info"]["artifact_uri"])
        for field in ("run_name", "status", "start_time", "end_time", "user_id", "lifecycle_stage"):
            assert run["info"][field] == source_run["info"][field], field
        assert run["history"] == source_run["history"]
        assert pairs(source_run["data"]).items() <= pairs(run["data"]).items()
        mine, theirs = (files[i] for files, i in ((there.run_files, version["run_id"]), (made.snapshot.run_files, source["run_id"])))
        assert {p: f[:2] for p, f in mine.items() if f[2] is None} == {p: f[:2] for p, f in theirs.items() if f[2] is None}
        assert mine.keys() == theirs.keys()
        for path, (_, _, text) in mine.items():
            if text is not None:
                assert text == theirs[path][2].replace(source["run_id"].encode(), version["run_id"].encode())
    runs = runs_in(there, experiment)
    assert sorted(pairs(r["data"])["mlferry.source.id"] for r in runs) == sorted({made.snapshot.versions[model, n]["run_id"] for n in numbers})
    return runs


def runs_in(there, experiment):
    (number,) = (i for i, e in there.experiments.items() if e["name"] == experiment)
    return [r for r in there.runs.values() if r["info"]["experiment_id"] == number]


def test_a_model_with_deleted_runs(made, travel):
    """A version whose run is deleted arrives with it; or, without deleted runs, with its files in a run that carries them."""
    rows = [("half", "true"), ("pair", "true"), ("pair", "false"), ("half", "false")]
    for model, deleted in rows:
        travel.tree = travel.folder / f"{model} {deleted}"
        travel.export("model", "--model", model, "--export-deleted-runs", deleted)
        travel.bring("model", "--model", f"{model} {deleted}", "--experiment-name", f"runs {model} {deleted}")
    there = travel.there()
    for model, deleted in rows[:3]:
        runs = check_versions(made, there, [1, 2], model, f"{model} {deleted}", f"runs {model} {deleted}")
        stages = sorted(r["info"]["lifecycle_stage"] for r in runs)
        assert stages == (["active", "deleted"] if model == "half" else ["active", "active"])
    first, second = there.versions["half false", 1], there.versions["half false", 2]
    assert second["current_stage"] == "Staging" and second["description"] == "half 2" and ("half false", 3) not in there.versions
    assert travel.read(second["source"], "model.pkl") == "dead" * 99
    runs = runs_in(there, "runs half false")
    assert [r["info"]["run_id"] for r in runs if r["info"]["run_name"] == "staged"] == [first["run_id"]]
    assert made.runs["dead"] not in [pairs(r["data"]).get("mlferry.source.id") for r in runs]


def test_places_of_versions_in_their_runs(made, travel):
    """The run's folder itself, with and without a slash, one below it and two."""
    travel.export("model", "--model", "paths")
    travel.bring("model", "--model", "copy", "--experiment-name", "runs")
    check_versions(made, travel.there(), [1, 2, 3, 4], "paths")


@pytest.fixture(scope="module")
def archived(made, fleet, place):
    """Models whose versions got their stages with and without archiving of others, in another server."""
    folder = place / "package archiving"
    folder.mkdir()
    travel = Travel(made, fleet["empty"].reset(), folder)
    env = {"XDG_STATE_HOME": str(folder / "state")}
    travel.export("models", "--models", "archiving*", env=env)
    travel.bring("models", "--delete-model", "true", env=env)
    yield travel.there()
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", range(len(ARCHIVING)), ids=lambda n: f"{' '.join(ARCHIVING[n][0])} {'archiving' if ARCHIVING[n][1] else ''}")
def test_stages_with_and_without_archiving(made, archived, number):
    wanted = dict(enumerate(ARCHIVING[number][2], 1))
    for snapshot in (made.snapshot, archived):
        assert {n: v["current_stage"] for (name, n), v in snapshot.versions.items() if name == f"archiving {number}"} == wanted


def test_one_model_with_archived_versions(made, travel):
    (number,) = (n for n, row in enumerate(ARCHIVING) if row[2] == ("Archived", "Production"))
    travel.export("model", "--model", f"archiving {number}")
    travel.bring("model", "--model", "copy", "--experiment-name", "runs")
    check_versions(made, travel.there(), [1, 2], f"archiving {number}")


def test_metadata_stages_and_aliases_of_a_version(made, travel):
    """Each comes when it is asked for, and not otherwise."""
    travel.export("model-version", "--model", "staged", "--version", "2")
    source, experiment = made.snapshot.versions["staged", 2], made.snapshot.experiments[made.ids["red"]]
    for metadata in ("false", "true"):
        for stages in ("false", "true"):
            name = f"metadata {metadata} stages {stages}"
            travel.bring("model-version", "--model", name, "--experiment-name", name, "--create-model", "true", "--import-metadata",
                         metadata, "--import-stages-and-aliases", stages)
            model = travel.rest.get("registered-models/get", name=name)["registered_model"]
            version = travel.rest.get("model-versions/get", name=name, version="1")["model_version"]
            there = travel.rest.get("experiments/get-by-name", experiment_name=name)["experiment"]
            own = {k: v for k, v in pairs(model).items() if not k.startswith("mlferry.")}
            described = {k: v for k, v in pairs(there).items() if not k.startswith("mlferry.")}
            if metadata == "true":
                assert model["description"] == "about staged" and own == pairs(made.snapshot.registered["staged"])
                assert described == pairs(experiment)
            else:
                assert not model.get("description") and own == {} and described == {}
            assert version["description"] == source["description"] and pairs(source).items() <= pairs(version).items()
            assert version["current_stage"] == ("Staging" if stages == "true" else "None")
            assert [(a["alias"], a["version"]) for a in model.get("aliases", [])] == ([("next", "1")] if stages == "true" else [])
            run = travel.rest.get("runs/get", run_id=version["run_id"])["run"]
            assert run["info"]["run_name"] == "red 1" and run["info"]["start_time"] == NOON


# ---- many registered models -------------------------------------------------------------------------------------------


def test_models_with_source_tags(made, travel):
    travel.export("models", "--models", "staged,pair")
    travel.bring("models", "--import-source-tags", "true")
    there, found = without_source_tags(travel.there())
    assert_equal(part(made, "red", "blue", runs=used_by(made, "staged", "pair"), models=["staged", "pair"]), there)
    for run, doc in there.runs.items():
        source = made.snapshot.runs[pairs(doc["data"])["mlferry.source.id"]]
        assert of_kind(found[run], "mlflow_exim.mlflow_tag.") == source_tags(source["data"]) != {}
    for key in there.versions:
        assert found[key]["mlflow_exim.field.run_id"] == made.snapshot.versions[key]["run_id"]
    for number, experiment in there.experiments.items():
        if experiment["name"] != "Default":
            original = made.snapshot.experiments[made.ids[experiment["name"]]]
            assert of_kind(found[number], "mlflow_exim.mlflow_tag.") == source_tags(original) != {}


def test_models_beside_an_unknown_one(made, travel):
    """With the runs of their versions, and no others."""
    report = travel.export("models", "--models", "staged,none,pair", code=3)
    assert failed(report) == {"none"}
    travel.bring("models")
    summary = travel.arrived(part(made, "red", "blue", models=["staged", "pair"], runs=used_by(made, "staged", "pair")))
    assert summary["compared"]["run"] == summary["compared"]["version"] == 6


def test_models_with_all_runs(made, travel):
    travel.export("models", "--models", "pair", "--export-all-runs", "true")
    travel.bring("models")
    assert travel.arrived(part(made, "red", "blue", models=["pair"]))["compared"]["run"] == 7


def test_all_models(made, travel):
    names = set(made.snapshot.registered)
    assert len(names) == 4 + len(ARCHIVING)
    for text in ("all", "*"):
        travel.tree = travel.folder / str(len(text))
        travel.export("models", "--models", text)
        models = json.loads((travel.tree / "models" / "models.json").read_bytes())["mlflow"]["models"]
        assert len(models) == len(names) and set(models) == names
        assert {p.parent.name for p in travel.tree.glob("models/*/model.json")} == names


def test_models_with_a_deleted_run_and_new_names(made, travel):
    """Rules that fit rename models and experiments, others do nothing; a deleted run stays deleted."""
    travel.export("models", "--models", "half,pair", "--export-deleted-runs", "true")
    experiments, models = travel.folder / "experiments", travel.folder / "models"
    experiments.write_text("red,crimson\nyellow,gold\n")
    models.write_text("pair,couple\nnone,nothing\n")
    travel.bring("models", "--experiment-rename-file", experiments, "--model-rename-file", models)
    travel.arrived(part(made, "red", "blue", "stages", models=["half", "pair"], runs=["red 2", "blue 2", "staged", "dead"],
                        renamed={"red": "crimson", "pair": "couple"}))
    version = travel.rest.get("model-versions/get", name="half", version="2")["model_version"]
    assert travel.rest.get("runs/get", run_id=version["run_id"])["run"]["info"]["lifecycle_stage"] == "deleted"


@pytest.mark.parametrize("threads", ["false", "true"])
def test_everything(made, travel, threads):
    """All experiments and models of a whole export; then all else, too."""
    travel.export("all", "--use-threads", threads, "--export-deleted-runs", "true")
    if threads == "false":
        travel.bring("models", "--use-threads", threads)
        summary = travel.arrived(part(made, *made.ids, "predicts", deleted=True, models=made.snapshot.registered))
    else:
        travel.bring("all", "--use-threads", threads)
        summary = travel.arrived(made.snapshot)
        assert summary["compared"]["dataset"] == 3 and summary["compared"]["prompt version"] == 6
    assert summary["compared"]["run"] == 16 and summary["compared"]["version"] > 25
    assert made.snapshot.runs[made.runs["dead"]]["info"]["lifecycle_stage"] == "deleted"


# ---- copies -----------------------------------------------------------------------------------------------------------


def test_copy_of_a_run(made, travel):
    """To another server, and from there within it: servers that are not named are MLFLOW_TRACKING_URI."""
    travel.run("copy-run", "--run-id", made.runs["red 1"], "--experiment-name", "first", "--dst-mlflow-uri", travel.target.url,
               env={"MLFLOW_TRACKING_URI": made.server.url})
    wanted = lambda name: part(made, "red", runs=["red 1"], experiment_tags=False, renamed={"red": name})  # noqa: E731
    travel.arrived(wanted("first"))
    first = travel.there()
    (run,) = first.runs
    travel.run("copy-run", "--run-id", run, "--experiment-name", "second", env={"MLFLOW_TRACKING_URI": travel.target.url})
    there = travel.there()
    (second,) = there.runs.keys() - {run}
    assert len(there.experiments) == 3 and there.runs[run] == first.runs[run]
    one, two = there.runs[run], there.runs[second]
    for field in ("run_name", "status", "start_time", "end_time", "user_id", "lifecycle_stage"):
        assert one["info"][field] == two["info"][field], field
    plain = lambda run: {k: v for k, v in pairs(run["data"]).items() if not k.startswith("mlferry.")}  # noqa: E731
    assert plain(one) == plain(two) and one["history"] == two["history"] and one["inputs"] == two["inputs"]
    assert one["data"]["params"] == two["data"]["params"]
    assert {p: f[:2] for p, f in there.run_files[run].items() if f[2] is None} == \
        {p: f[:2] for p, f in there.run_files[second].items() if f[2] is None}
    assert there.run_files[second]["model/MLmodel"][2].decode() == f"# kept\nrun_id: {second}\n"


def ends(source, target):
    return ["--src-registry-uri", source.url, "--dst-registry-uri", target.url]


def test_copies_of_a_version_with_its_run(made, travel):
    rows = [(f"copy {stages} {lineage}", stages, lineage) for stages in (False, True) for lineage in (False, True)]
    for name, stages, lineage in rows:
        travel.run("copy-model-version", "--src-model", "staged", "--src-version", "2", "--dst-model", name, "--dst-experiment-name", name,
                   "--copy-stages-and-aliases", str(stages), "--copy-lineage-tags", str(lineage), *ends(made.server, travel.target))
    there = travel.there()
    source = made.snapshot.versions["staged", 2]
    assert sorted(there.versions) == sorted((name, 1) for name, *_ in rows) and len(there.runs) == 4
    for name, stages, lineage in rows:
        version = there.versions[name, 1]
        assert (version["description"], version["status"]) == (source["description"], "READY")
        assert version["current_stage"] == ("Staging" if stages else "None")
        assert [(a["alias"], a["version"]) for a in there.registered[name].get("aliases", [])] == ([("next", "1")] if stages else [])
        found = {k: v for k, v in pairs(version).items() if not k.startswith("mlferry.")}
        lines = of_kind(found, "mlflow_exim.")
        assert {k: v for k, v in found.items() if k not in lines} == pairs(source)
        if lineage:
            assert lines["mlflow_exim.src_version.name"] == "staged" and lines["mlflow_exim.src_version.version"] == "2"
            assert lines["mlflow_exim.src_version.run_id"] == source["run_id"]
            assert lines["mlflow_exim.src_client.tracking_uri"] == made.server.url
        else:
            assert lines == {}
        (run,) = runs_in(there, name)
        assert version["run_id"] == run["info"]["run_id"] and version["source"] == run["info"]["artifact_uri"] + "/model"
        one = only(there, name)
        assert_equal(part(made, "red", runs=["red 1"], experiment_tags=False, renamed={"red": name}), one)


def test_copy_of_a_version_within_a_server(made, travel):
    """Without an experiment: of the same run. With one: of a new run."""
    travel.export("model", "--model", "staged", "--versions", "2")
    travel.bring("model", "--model", "first", "--experiment-name", "first")
    (run,) = travel.there().runs
    common = ["copy-model-version", "--src-model", "first", "--src-version", "2", "--dst-model", "second", *ends(travel.target, travel.target)]
    travel.run(*common)
    travel.run(*common, "--dst-experiment-name", "second")
    there = travel.there()
    original, shallow, deep = (there.versions[key] for key in (("first", 2), ("second", 1), ("second", 2)))
    assert shallow["run_id"] == original["run_id"] == run and shallow["source"] == original["source"]
    (new,) = there.runs.keys() - {run}
    assert deep["run_id"] == new and deep["source"] == there.runs[new]["info"]["artifact_uri"] + "/model"
    assert there.runs[new]["history"] == there.runs[run]["history"]
    for version in (shallow, deep):
        assert version["description"] == "staged 2" and pairs(version)["n"] == "2" and version["current_stage"] == "None"


# ---- prompts and datasets ---------------------------------------------------------------------------------------------


def test_one_prompt_under_a_new_name(made, travel):
    travel.export("prompt", "--prompt-name", "prompt 0", "--prompt-version", "1")
    travel.bring("prompt", "--prompt-name", "prompt new")
    travel.arrived(part(made, prompts=["prompt 0"], renamed={"prompt 0": "prompt new"}))


def test_prompts(made, travel):
    """Two of three by name, then all."""
    for names, versions in ((["prompt 0", "prompt 2"], 4), (["prompt 0", "prompt 1", "prompt 2"], 6)):
        travel.again(str(versions))
        report = travel.export("prompts", "--prompts", "all" if versions == 6 else ",".join(names))
        assert json.loads((travel.tree / "prompts_summary.json").read_bytes())["mlflow"] == \
            {"total_prompts": versions, "successful_exports": versions, "failed_exports": 0}
        assert (report["kinds"]["prompt"]["copied"], report["kinds"]["prompt_version"]["copied"]) == (len(names), versions)
        assert report["kinds"]["prompt"]["failed"] == report["kinds"]["prompt_version"]["failed"] == 0
        report = travel.bring("prompts", "--state-dir", travel.folder / f"state {versions}")
        assert (report["kinds"]["prompt"]["created"], report["kinds"]["prompt_version"]["created"]) == (len(names), versions)
        travel.arrived(part(made, prompts=names))


def test_one_dataset_under_a_new_name(made, travel):
    travel.export("evaluation-dataset", "--dataset-name", "set 1")
    travel.bring("evaluation-dataset", "--evaluation-dataset-name", "set new")
    travel.arrived(part(made, datasets=["set 1"], renamed={"set 1": "set new"}))


def test_datasets(made, travel):
    """Two of three by name, then all."""
    for names in (["set 0", "set 2"], ["set 0", "set 1", "set 2"]):
        travel.again(str(len(names)))
        report = travel.export("evaluation-datasets", "--evaluation-datasets", "all" if len(names) == 3 else ",".join(names))
        assert report["kinds"]["evaluation_dataset"]["copied"] == len(names) and report["kinds"]["evaluation_dataset"]["failed"] == 0
        report = travel.bring("evaluation-datasets", "--state-dir", travel.folder / f"state {len(names)}")
        assert report["kinds"]["evaluation_dataset"]["created"] == len(names)
        travel.arrived(part(made, datasets=names))


def test_a_dataset_that_is_not_there(made, travel):
    result = ferry.ferry("export-evaluation-dataset", "--dataset-name", "none", "--src-mlflow-uri", made.server.url, "--output-dir", travel.tree)
    assert result.code == 4 and "no such evaluation dataset" in result.error_line() and not travel.tree.exists()
    travel.tree.mkdir()
    result = ferry.ferry("import-evaluation-dataset", "--input-dir", travel.tree, "--dst-mlflow-uri", travel.target.url)
    assert result.code == 4 and str(travel.tree) in result.error_line()
    assert travel.there().datasets == []


def test_a_dataset_of_another_mlflow(made, travel):
    """What a version of MLflow that does not exist yet has written is read as far as it is known, and a warning says so."""
    travel.export("evaluation-dataset", "--dataset-name", "set 1")
    path = travel.tree / "evaluation_dataset.json"
    document = json.loads(path.read_bytes())
    document["system"]["mlflow_version"] = "99.0.0"
    document["mlflow"]["mlflow_version"] = "99.0.0"
    document["mlflow"]["evaluation_dataset"]["not_known_yet"] = 1
    document.pop("mlferry", None)
    path.write_text(json.dumps(document))
    plan = ferry.ferry_ok("import-evaluation-dataset", "--dst-mlflow-uri", travel.target.url, "--input-dir", travel.tree, "--dry-run")
    assert "the source is of MLflow 99.0.0, the destination is MLflow " in plan.err
    travel.bring("evaluation-dataset")
    travel.arrived(part(made, datasets=["set 1"]))


# ---- listings ---------------------------------------------------------------------------------------------------------


def fill(server, experiments=(), runs=(), models=(), deleted=0):
    """Puts those numbers into the database, far faster than by requests; so many of each are deleted."""
    stage = lambda n: "deleted" if n < deleted else "active"  # noqa: E731
    with contextlib.closing(sqlite3.connect(server.database)) as database, database:
        database.executemany("INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?, 'default')", (
            (n + 1, f"e{n}", f"mlflow-artifacts:/{n + 1}", stage(n), NOON, NOON) for n in experiments))
        database.executemany("INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id, "
                             "source_type, user_id) VALUES (?, ?, 'FINISHED', ?, ?, ?, ?, 0, 'LOCAL', 'ann')", (
                                 (f"{n:032x}", f"r{n}", NOON + n // 3, NOON + n, stage(n), f"mlflow-artifacts:/0/{n:032x}/artifacts")
                                 for n in runs))
        database.executemany("INSERT INTO registered_models VALUES (?, ?, ?, NULL, 'default')", (
            (f"{'ab'[n % 2]}{n:04}", NOON, NOON) for n in models))


@pytest.fixture
def listed(fleet, tmp_path):
    """How many of a kind a dry run finds; with a call: and how often it is made."""
    server = fleet["empty"].reset()

    def count(kind, command, *arguments, call=None):
        with Recorder(server.url) if call else contextlib.nullcontext(server) as asked:
            result = ferry.must(ferry.ferry(command, "--src-mlflow-uri", asked.url, "--dry-run", "--no-progress", *arguments,
                                            report=tmp_path / "report.json"))
        found = result.report["kinds"][kind]["found"]
        return (found, sum(path.split("?")[0].endswith(call) for _, path in asked.requests)) if call else found

    return types.SimpleNamespace(server=server, count=count, folder=tmp_path / "out")


def test_listing_experiments(listed):
    """One fewer than a page, a page, one more."""
    for there, more in ((999, 998), (1000, 1), (1001, 1)):
        fill(listed.server, experiments=range(there - 1 - more, there - 1))  # and Default
        found, pages = listed.count("experiment", "export-all", "--archive", listed.folder, "--kinds", "experiment", call="experiments/search")
        assert found == there and pages >= (there + 999) // 1000


def test_listing_deleted_experiments(listed):
    fill(listed.server, experiments=range(30), deleted=7)
    for arguments, wanted in (((), 31), (("--lifecycle", "all"), 31), (("--lifecycle", "active"), 24)):
        assert listed.count("experiment", "export-all", "--archive", listed.folder, "--kinds", "experiment", *arguments) == wanted, arguments
    for deleted, wanted in (("false", 24), ("true", 31)):
        folder = listed.folder / deleted
        ferry.ferry_ok("export-experiments", "--experiments", "all", "--export-deleted-runs", deleted, "--src-mlflow-uri", listed.server.url,
                       "--output-dir", folder, "--no-progress")
        stages = [json.loads(p.read_bytes())["mlflow"]["experiment"]["lifecycle_stage"] for p in folder.glob("*/experiment.json")]
        assert len(stages) == wanted and stages.count("deleted") == wanted - 24


def test_listing_models(listed):
    """A page, one more; and by the beginning of their names. Fewer than a page: test_all_models."""
    for there, more in ((100, 100), (101, 1)):
        fill(listed.server, models=range(there - more, there))
        found, pages = listed.count("registered_model", "export-all", "--archive", listed.folder, "--kinds", "registered_model",
                                    call="registered-models/search")
        assert found == there and pages >= (there + 99) // 100
    assert listed.count("registered_model", "export-models", "--models", "b*", "--output-dir", listed.folder) == 50


def test_listing_more_models_than_a_page(listed):
    fill(listed.server, models=range(1001))
    result = ferry.must(ferry.ferry("list-registered-models", "--src-mlflow-uri", listed.server.url))
    names = [m["name"] for m in json.loads(result.out)["registered_models"]]
    assert sorted(names) == sorted(f"{'ab'[n % 2]}{n:04}" for n in range(1001))


def test_listing_runs(listed):
    """None; more than a page, some of them deleted."""
    everything = ("run", "export-all", "--archive", listed.folder, "--kinds", "run")
    assert listed.count(*everything) == 0
    fill(listed.server, runs=range(1001), deleted=20)
    found, pages = listed.count(*everything, call="runs/search")
    assert found == 1001 and pages >= 2
    for lifecycle, wanted in (("all", 1001), ("active", 981), ("deleted", 20)):
        assert listed.count(*everything, "--lifecycle", lifecycle) == wanted, lifecycle
    for deleted, wanted in (("false", 981), ("true", 1001)):
        assert listed.count("run", "export-experiment", "--experiment", "Default", "--output-dir", listed.folder, "--export-deleted-runs",
                            deleted) == wanted


# ---- signatures -------------------------------------------------------------------------------------------------------

SIGNATURE = {"inputs": [{"type": "long", "name": "a", "required": True}, {"type": "string", "name": "b", "required": True}],
             "outputs": [{"type": "double", "name": "y", "required": True}], "params": None}


@pytest.fixture
def sheets(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "out.csv").write_text("y\n0.5\n1.5\n")
    return ["--input-file", tmp_path / "in.csv", "--output-file", tmp_path / "out.csv"]


def signature(uri, server=None, *more):
    env = {"MLFLOW_TRACKING_URI": server.url} if server else {}
    return json.loads(ferry.ferry_ok("get-model-signature", "--model-uri", uri, *more, env=env).out)


def test_signature_of_a_run_and_the_version_made_from_it(made, travel, sheets):
    travel.export("run", "--run-id", made.runs["one"])
    travel.bring("run", "--experiment-name", "signed")
    (run,) = travel.there().runs.values()
    run, uri = run["info"]["run_id"], run["info"]["artifact_uri"]
    env = {"MLFLOW_TRACKING_URI": travel.target.url}
    travel.rest.post("registered-models/create", name="signed")
    travel.rest.post("model-versions/create", name="signed", source=uri + "/model", run_id=run)
    refused = ferry.ferry("set-model-signature", "--model-uri", "models:/signed/1", *sheets, env=env)
    assert refused.code == 2 and "not to be changed" in refused.error_line()
    assert ferry.ferry("get-model-signature", "--model-uri", "models:/signed/1", env=env).code == 4
    ferry.ferry_ok("set-model-signature", "--model-uri", f"runs:/{run}/model", *sheets, env=env)
    for place in (f"runs:/{run}/model", "models:/signed/1"):
        for way in ("false", "true"):
            assert signature(place, travel.target, "--use-get-model-info", way) == SIGNATURE, (place, way)


def test_signature_of_an_exported_model(made, travel, sheets):
    """By its path and by file: URIs; it is that of the imported model."""
    travel.export("run", "--run-id", made.runs["one"])
    folder = travel.tree / "artifacts" / "model"
    before = (folder / "MLmodel").read_text()
    for scheme in ("file:", "file://", ""):
        (folder / "MLmodel").write_text(before)
        ferry.ferry_ok("set-model-signature", "--model-uri", f"{scheme}{folder}", *sheets)
        for way in ("", "file:", "file://"):
            assert signature(f"{way}{folder}") == SIGNATURE, (scheme, way)
        assert [line for line in (folder / "MLmodel").read_text().splitlines() if line in before.splitlines()] == before.splitlines()
    travel.bring("run", "--experiment-name", "signed")
    (run,) = travel.there().runs
    assert signature(f"runs:/{run}/model", travel.target) == SIGNATURE
