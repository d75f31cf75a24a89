"""The export commands of the package mlflow-export-import, each with all its options, on one real server; and their
directories beside those of the package itself."""

import fnmatch
import json
import pathlib
import re
import types

import pytest

import ferry
from rest import API3, Rest, proxied
from test_roundtrip import assert_adds_up, created
from test_tree import peer, seed_plain

MIDNIGHT = 1_700_006_400_000  # 2023-11-15 00:00:00 UTC


# --- what there is to export ---------------------------------------------------------------------------------------


class Seeder:
    def __init__(self, url):
        self.rest = Rest(url)

    def put(self, uri, path, data):
        self.rest.put_file(f"{proxied(uri)}/{path}", data)

    def experiment(self, name):
        return self.rest.post("experiments/create", name=name, tags=[{"key": "z", "value": "1"}, {"key": "a", "value": "é"}])["experiment_id"]

    def run(self, experiment, name, start, parent=None, files=True):
        tags = [{"key": "mlflow.user", "value": "me"}] + ([{"key": "mlflow.parentRunId", "value": parent}] if parent else [])
        info = self.rest.post("runs/create", experiment_id=experiment, run_name=name, start_time=start, user_id="me", tags=tags)["run"]["info"]
        run = info["run_id"]
        self.rest.post("runs/log-batch", run_id=run, params=[{"key": "lr", "value": "0.1"}],
                       metrics=[{"key": "loss", "value": 1 / (s + 1), "timestamp": start + s, "step": s} for s in range(3)])
        if files:
            self.put(info["artifact_uri"], "model/MLmodel", f"run_id: {run}\n".encode())
            self.put(info["artifact_uri"], "model/weights.bin", run.encode() * 3)
        self.rest.post("runs/update", run_id=run, status="FINISHED", end_time=start + 1000)
        return types.SimpleNamespace(id=run, uri=info["artifact_uri"], name=name)

    def logged_model(self, experiment, name, run=None):
        info = self.rest.post("logged-models", experiment_id=experiment, name=name, **({"source_run_id": run} if run else {}),
                              params=[{"key": "p", "value": "v"}])["model"]["info"]
        self.put(info["artifact_uri"], "MLmodel", f"model_id: {info['model_id']}\n".encode())
        self.rest.patch(f"logged-models/{info['model_id']}", model_id=info["model_id"], status="LOGGED_MODEL_READY")
        return info["model_id"]

    def version(self, model, source, stage=None, **more):
        number = self.rest.post("model-versions/create", name=model, source=source, **more)["model_version"]["version"]
        if stage:
            self.rest.post("model-versions/transition-stage", name=model, version=number, stage=stage, archive_existing_versions=False)
        return number

    def prompt(self, name, texts):
        tag = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
        self.rest.post("registered-models/create", name=name, tags=tag + [{"key": "team", "value": "blue"}], description="what it is for")
        for text in texts:
            self.version(name, "dummy-source", tags=tag + [{"key": "mlflow.prompt.text", "value": text}, {"key": "lang", "value": "en"}],
                         description="commit " + text)

    def trace(self, experiment, number, run=None):
        """Spans in the database."""
        trace, start = f"{number:032x}", 1_700_000_000_000_000_000
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": trace, "spanId": f"{s + 1:016x}", **({"parentSpanId": f"{s:016x}"} if s else {}), "name": f"span {s}",
             "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 9)} for s in range(2)]}]}]}
        status, text = self.rest.raw("POST", "/v1/traces", json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "X-MLflow-Experiment-Id": experiment})
        assert status == 200, text
        self.rest.post(API3 + "traces", trace={"trace_info": {
            "trace_id": "tr-" + trace, "request_time": "2023-11-15T00:00:05Z", "state": "OK", "execution_duration": "0.5s",
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
            "trace_metadata": {"mlflow.sourceRun": run} if run else {},
            "tags": {"mlflow.traceName": f"trace {number}", "mlflow.trace.spansLocation": "TRACKING_STORE"}}})
        return "tr-" + trace

    def dataset(self, name, experiments):
        made = self.rest.post(API3 + "datasets/create", name=name, experiment_ids=experiments,
                              tags=json.dumps({"team": "blue"}))["dataset"]["dataset_id"]
        records = [{"inputs": {"q": i}, "expectations": {"a": i * 2}, "tags": {}} for i in range(3)]
        self.rest.post(API3 + f"datasets/{made}/records", dataset_id=made, records=json.dumps(records))
        return made


def seed(url):
    s, w = Seeder(url), types.SimpleNamespace()
    w.wine, w.one = s.experiment("wine"), s.experiment("1")  # whose name is the id of the first
    assert w.wine == "1"
    w.other, w.gone = s.experiment("wine/other"), s.experiment("gone")
    # Runs, one of them exactly at midnight; nested ones; deleted ones.
    w.parent = s.run(w.wine, "parent", MIDNIGHT)
    w.child = s.run(w.wine, "child", MIDNIGHT + 1, w.parent.id)
    w.grandchild = s.run(w.wine, "grandchild", MIDNIGHT + 2, w.child.id)
    w.early = s.run(w.wine, "early", MIDNIGHT - 1)
    w.late = s.run(w.wine, "late", MIDNIGHT + 86_400_000, files=False)
    w.dead = s.run(w.wine, "dead", MIDNIGHT + 3, w.parent.id)
    w.elsewhere = s.run(w.other, "elsewhere", MIDNIGHT)
    w.in_gone = s.run(w.gone, "in gone", MIDNIGHT)
    # Logged models: of runs, of none, of another experiment.
    w.of_parent = s.logged_model(w.wine, "of parent", w.parent.id)
    w.of_early = s.logged_model(w.wine, "of early", w.early.id)
    w.of_none = s.logged_model(w.wine, "of none")
    w.of_other = s.logged_model(w.other, "of other", w.elsewhere.id)
    s.rest.post("runs/outputs", run_id=w.parent.id, models=[{"model_id": w.of_parent, "step": 2}])
    s.rest.post("runs/log-inputs", run_id=w.parent.id, models=[{"model_id": w.of_other}])
    w.traces = [s.trace(w.wine, 1, w.parent.id), s.trace(w.wine, 2, w.early.id), s.trace(w.wine, 3), s.trace(w.other, 4)]
    # A registered model: stages, a version whose run is deleted, one without a run, one of a logged model.
    s.rest.post("registered-models/create", name="wine_m", description="d", tags=[{"key": "k", "value": "v"}])
    s.version("wine_m", f"{w.parent.uri}/model", "Production", run_id=w.parent.id)
    s.version("wine_m", f"{w.dead.uri}/model", "Staging", run_id=w.dead.id)
    s.version("wine_m", f"models:/{w.of_none}", "Staging", model_id=w.of_none)
    s.version("wine_m", f"models:/{w.of_early}", run_id=w.early.id, model_id=w.of_early)
    s.version("wine_m", f"{w.parent.uri}/model", "Production", run_id=w.parent.id)
    s.rest.post("registered-models/alias", name="wine_m", alias="champ", version="5")
    s.rest.post("registered-models/create", name='wine\'s "x')
    s.rest.post("registered-models/create", name="beer")
    s.version("beer", f"{w.elsewhere.uri}/model", run_id=w.elsewhere.id)
    s.prompt("greet", ["Hi {{who}}", "Hello {{who}}"])
    s.rest.post("registered-models/alias", name="greet", alias="prod", version="1")
    s.prompt("bye", ["Bye"])
    w.qa, w.qb = s.dataset("qa", [w.wine]), s.dataset("qb", [w.other])
    s.rest.post("runs/delete", run_id=w.dead.id)
    s.rest.post("experiments/delete", experiment_id=w.gone)
    w.rest = s.rest
    return w


@pytest.fixture(scope="module")
def there(fleet):
    server = fleet["other"].reset()
    world = seed(server.url)
    world.url = server.url
    return world


class Export:
    """Runs a command into one folder."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder

    def __call__(self, command, *arguments, code=0, **more):
        report = self.folder.parent / (self.folder.name + ".report.json")
        report.unlink(missing_ok=True)
        result = ferry.ferry(command, "--src-mlflow-uri", self.world.url, "--output-dir", self.folder, "--no-progress", *arguments,
                             report=report, **more)
        assert result.code == code, f"exit {result.code}\n{result.text[-3000:]}"
        if result.report:
            assert_adds_up(result.report)
        self.report = result.report
        return result

    def json(self, name):
        return json.loads((self.folder / name).read_bytes())

    def mlflow(self, name):
        return self.json(name)["mlflow"]

    def names(self, folder=""):
        """Entries of a folder, without ours."""
        return {p.name for p in (self.folder / folder).iterdir()} - {".mlferry"}

    def failed(self):
        return {f["id"] for f in self.report["findings"] if f["severity"] == "failed"}

    def unfinished(self):
        return (self.folder / ".mlferry" / "unfinished").exists()


@pytest.fixture
def export(there, tmp_path):
    return Export(there, tmp_path / "out")


@pytest.fixture
def more_exports(there, tmp_path):
    """Another folder for each call."""
    number = iter(range(99))
    return lambda: Export(there, tmp_path / f"out{next(number)}")


def again_nothing(export, *command):
    """The same command again makes and doubles nothing."""
    before = {str(p.relative_to(export.folder)): p.read_bytes() for p in export.folder.rglob("*") if p.is_file()}
    export(*command)
    assert created(export.report) == {}
    after = {str(p.relative_to(export.folder)): p.read_bytes() for p in export.folder.rglob("*") if p.is_file()}
    assert before.keys() == after.keys()
    assert not export.unfinished()
    for name in before:
        if not name.endswith(".json") or "/artifacts/" in name:
            assert before[name] == after[name], name


# --- runs ----------------------------------------------------------------------------------------------------------


def test_run(there, export):
    command = ("export-run", "--run-id", there.parent.id)
    export(*command)
    assert export.names() == {"run.json", "artifacts", there.of_parent, there.of_other}
    run = export.mlflow("run.json")
    assert run["info"]["run_id"] == there.parent.id and run["params"] == {"lr": "0.1"} and len(run["metrics"]["loss"]) == 3
    assert run["inputs"]["model_inputs"] == [{"model_id": there.of_other}]
    assert run["outputs"]["model_outputs"] == [{"model_id": there.of_parent, "step": 2}]
    assert (export.folder / "artifacts/model/weights.bin").read_bytes() == there.parent.id.encode() * 3
    model = export.mlflow(f"{there.of_other}/logged_model.json")
    assert model["model_id"] == there.of_other and model["experiment_id"] == there.other
    assert (export.folder / there.of_other / "artifacts/MLmodel").exists()
    kinds = export.report["kinds"]
    assert kinds["run"]["copied"] == 1 and kinds["logged_model"]["copied"] == 2 and kinds["artifact"]["copied"] == 4
    again_nothing(export, *command)


def test_run_changes_and_its_folder_with_it(there, export):
    run = Seeder(there.url).run(there.one, "changing", MIDNIGHT)
    export("export-run", "--run-id", run.id)
    there.rest.post("runs/set-tag", run_id=run.id, key="new", value="tag")
    there.rest.call("DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{proxied(run.uri)}/model/weights.bin")
    export("export-run", "--run-id", run.id)
    assert export.mlflow("run.json")["tags"]["new"] == "tag" and export.names("artifacts/model") == {"MLmodel"}
    export("export-run", "--run-id", run.id, "--full", "--notebook-formats", "")
    assert export.names() == {"run.json", "artifacts"}
    there.rest.post("runs/delete", run_id=run.id)
    export("export-run", "--run-id", run.id)  # the package refuses deleted ones (C1)
    assert export.mlflow("run.json")["info"]["lifecycle_stage"] == "deleted"


def test_another_export_is_not_written_into_a_folder(there, export):
    export("export-run", "--run-id", there.late.id)
    for command in (("export-run", "--run-id", there.early.id), ("export-experiment", "--experiment", "wine"),
                    ("export-all",)):
        result = export(*command, code=1)
        assert "give a new folder" in result.error_line()
    assert export.mlflow("run.json")["info"]["run_id"] == there.late.id


# --- experiments ---------------------------------------------------------------------------------------------------


def ids(*objects):
    return {o.id for o in objects}


def test_experiment(there, export):
    command = ("export-experiment", "--experiment", "wine", "--export-deleted-runs", "false", "--export-permissions", "no",
               "--check-nested-runs", "false", "--notebook-formats", "")
    export(*command)
    assert export.names() == {"experiment.json", "runs", "logged_models", "traces"}
    file = export.json("experiment.json")
    experiment = file["mlflow"]
    live = ids(there.parent, there.child, there.grandchild, there.early, there.late)
    assert experiment["experiment"]["name"] == "wine" and list(experiment["experiment"]["tags"]) == ["a", "z"]
    assert set(experiment["runs"]) == live == export.names("runs") and len(experiment["runs"]) == 5
    assert set(experiment["logged_models"]) == {there.of_parent, there.of_early, there.of_none}
    assert set(experiment["traces"]) == set(there.traces[:3])
    assert file["info"] == {"num_total_runs": 5, "num_ok_runs": 5, "num_failed_runs": 0, "failed_runs": [], "ok_logged_models": 3,
                            "failed_logged_models": 0, "ok_traces": 3, "failed_traces": 0}
    spans = json.loads((export.folder / "traces" / there.traces[0] / "artifacts/traces.json").read_bytes())["spans"]
    assert len(spans) == 2  # T1: the package leaves out those that are in the database
    again_nothing(export, *command)


def test_experiment_deleted_runs(there, export, more_exports):
    export("export-experiment", "--experiment", "wine", "--export-deleted-runs", "TRUE")
    assert there.dead.id in export.mlflow("experiment.json")["runs"]
    assert export.mlflow(f"runs/{there.dead.id}/run.json")["info"]["lifecycle_stage"] == "deleted"
    gone = more_exports()
    gone("export-experiment", "--experiment", "gone")
    assert gone.mlflow("experiment.json")["runs"] == [] and "is deleted" in " ".join(gone.report["notes"])
    gone = more_exports()
    gone("export-experiment", "--experiment", f"id:{there.gone}", "--export-deleted-runs", "true")
    assert gone.mlflow("experiment.json")["runs"] == [there.in_gone.id]


def test_experiment_name_and_id(there, export, more_exports):
    """E7: an experiment called 1 hides the one with id 1 in the package."""
    result = export("export-experiment", "--experiment", "1", code=2)
    assert "name:1 or id:1" in result.error_line() and not export.folder.exists()
    for text, name in (("id:1", "wine"), ("name:1", "1"), (there.other, "wine/other")):
        one = more_exports()
        one("export-experiment", "--experiment", text)
        assert one.mlflow("experiment.json")["experiment"]["name"] == name


def test_experiment_time_window(there, export, more_exports):
    """From a time on, itself included (E1), in UTC (E2), and what belongs to the runs comes and goes with them (E5)."""
    export("export-experiment", "--experiment", "wine", "--run-start-time", "2023-11-15", env={"TZ": "America/New_York"})
    experiment = export.mlflow("experiment.json")
    assert set(experiment["runs"]) == ids(there.parent, there.child, there.grandchild, there.late)
    assert set(experiment["logged_models"]) == {there.of_parent, there.of_none}
    assert set(experiment["traces"]) == {there.traces[0], there.traces[2]}
    until = more_exports()
    until("export-experiment", "--experiment", "wine", "--runs-until", "2023-11-15 00:00:00")
    experiment = until.mlflow("experiment.json")
    assert experiment["runs"] == [there.early.id]
    assert experiment["logged_models"] == [there.of_early] and experiment["traces"] == [there.traces[1]]
    both = more_exports()
    both("export-experiment", "--experiment", "wine", "--run-start-time", "2023-11-15T00:00:00Z", "--runs-until", "2023-11-16")
    assert set(both.mlflow("experiment.json")["runs"]) == ids(there.parent, there.child, there.grandchild)


def test_experiment_run_ids(there, export, more_exports):
    command = ("export-experiment", "--experiment", "wine", "--run-ids", f" {there.parent.id} ,{there.parent.id},{there.late.id}")
    export(*command)
    experiment = export.mlflow("experiment.json")
    assert sorted(experiment["runs"]) == sorted(ids(there.parent, there.late))  # trimmed, and each once (E12)
    assert experiment["logged_models"] == [there.of_parent] and experiment["traces"] == [there.traces[0]]
    again_nothing(export, *command)
    nested = more_exports()
    nested("export-experiment", "--experiment", "wine", "--run-ids", f"{there.parent.id},{there.child.id}", "--check-nested-runs", "True")
    runs = nested.mlflow("experiment.json")["runs"]
    assert sorted(runs) == sorted(ids(there.parent, there.child, there.grandchild))  # no run twice (E4)
    deleted = more_exports()
    deleted("export-experiment", "--experiment", "wine", "--run-ids", there.parent.id, "--check-nested-runs", "1", "--export-deleted-runs", "1")
    assert there.dead.id in deleted.mlflow("experiment.json")["runs"]
    some = more_exports()
    some("export-experiment", "--experiment", "wine", "--run-ids", f"{there.late.id},{there.dead.id},{there.elsewhere.id},nonsense", code=3)
    assert some.failed() == {there.dead.id, there.elsewhere.id, "nonsense"}
    assert some.mlflow("experiment.json")["runs"] == [there.late.id]


def test_experiments(there, export, more_exports):
    command = ("export-experiments", "--experiments", f"wine, {there.other},", "--use-threads", "true", "--export-permissions", "0",
               "--notebook-formats", "")
    export(*command)
    assert export.names() == {"experiments.json", there.wine, there.other}
    file = export.json("experiments.json")
    assert {(e["id"], e["name"], e["ok_runs"], e["failed_runs"]) for e in file["mlflow"]["experiments"]} == \
        {(there.wine, "wine", 5, 0), (there.other, "wine/other", 1, 0)}
    options = file["info"]["options"]
    assert options["experiments"] == f"wine, {there.other}," and options["use_threads"] is True and not options["export_deleted_runs"]
    assert file["info"]["status"]["total_runs"] == file["info"]["status"]["ok_runs"] == 6
    again_nothing(export, *command)  # the package merges, and lists each experiment twice (B3)
    everything = more_exports()
    everything("export-experiments", "--experiments", "all", "--use-threads", "false")
    assert everything.names() == {"experiments.json", "0", there.wine, there.one, there.other}
    assert everything.json("experiments.json")["info"]["options"]["use_threads"] is False
    deleted = more_exports()  # E11: the package finds no deleted experiment
    deleted("export-experiments", "--experiments", "all", "--export-deleted-runs", "true")
    assert there.gone in deleted.names() and there.dead.id in deleted.names(f"{there.wine}/runs")
    prefix = more_exports()  # B6: names count, too
    prefix("export-experiments", "--experiments", "win*", "--run-start-time", "2023-11-16", "--runs-until", "2023-11-17")
    assert prefix.names() == {"experiments.json", there.wine, there.other}
    assert prefix.names(f"{there.wine}/runs") == {there.late.id}
    listed = more_exports()
    names = listed.folder.parent / "names.txt"
    names.write_text("wine/other\n\n  nowhere \nname:1\n")
    listed("export-experiments", "--experiments", names, code=3)
    assert listed.failed() == {"nowhere"}  # B2: the rest is whole, and the numbers are right
    assert listed.names() == {"experiments.json", there.other, there.one}


# --- models --------------------------------------------------------------------------------------------------------


def versions_of(export, file="model.json"):
    return [v["version"] for v in export.mlflow(file)["registered_model"]["versions"]]


def test_model(there, export):
    command = ("export-model", "--model", "wine_m", "--export-permissions", "false", "--notebook-formats", "")
    export(*command)
    assert versions_of(export) == ["1", "2", "3", "4", "5"]
    # The files of versions whose run is deleted, or that have none, are not lost (M3).
    assert export.names() == {"model.json", "version_models", there.parent.id, there.early.id, there.of_early, there.of_none}
    assert export.names("version_models") == {"2"}
    assert (export.folder / "version_models/2/weights.bin").read_bytes() == there.dead.id.encode() * 3
    assert (export.folder / there.parent.id / "artifacts/model/MLmodel").exists()
    file = export.json("model.json")
    assert file["info"] == {"num_target_stages": 0, "num_target_versions": 0, "num_src_versions": 5, "num_dst_versions": 5,
                            "failed_versions": [], "export_latest_versions": False, "export_permissions": False}
    first, *_, last = file["mlflow"]["registered_model"]["versions"]
    assert first["_run_artifact_uri"] == there.parent.uri and first["_experiment_name"] == "wine" and last["aliases"] == ["champ"]
    again_nothing(export, *command)


def test_model_versions_and_stages(there, more_exports):
    for options, versions, runs in (
            (("--stages", "production"), "15", {there.parent.id}),
            (("--stages", "Staging, none"), "234", {there.early.id, there.of_early, there.of_none}),
            (("--export-latest-versions", "true"), "345", {there.parent.id, there.early.id, there.of_early, there.of_none}),
            (("--stages", "Staging", "--export-latest-versions", "true"), "3", {there.of_none}),
            (("--versions", "5, 1"), "15", {there.parent.id}),
            (("--versions", "2", "--export-deleted-runs", "true"), "2", {there.dead.id}),
            (("--stages", "Archived"), "", set())):
        one = more_exports()
        one("export-model", "--model", "wine_m", *options)
        assert "".join(versions_of(one)) == versions, options
        assert one.names() - {"model.json", "version_models"} == runs, options
        info = one.json("model.json")["info"]
        assert info["num_src_versions"] == 5 and info["num_dst_versions"] == len(versions)  # M8
        assert info["num_target_stages"] == len([w for o, w in zip(options, options[1:]) if o == "--stages" for _ in w.split(",")])
    missing = more_exports()
    missing("export-model", "--model", "wine_m", "--versions", "1,99", code=3)
    assert missing.failed() == {"wine_m/99"} and versions_of(missing) == ["1"]  # M22: not without a word
    assert missing.json("model.json")["info"]["failed_versions"] == [{"message": "no such version", "version": {"name": "wine_m", "version": "99"}}]
    quoted = more_exports()  # G10
    quoted("export-model", "--model", 'wine\'s "x')
    assert quoted.mlflow("model.json")["registered_model"]["name"] == 'wine\'s "x'


def test_model_with_copies_of_its_versions(there, export):
    command = ("export-model", "--model", "wine_m", "--export-version-model", "true")
    export(*command)
    assert export.names("version_models") == {"1", "2", "3", "4", "5"}
    assert (export.folder / "version_models/1/weights.bin").read_bytes() == there.parent.id.encode() * 3
    assert export.mlflow("model.json")["registered_model"]["versions"][0]["_download_uri"] == "models:/wine_m/1"
    again_nothing(export, *command)


def test_models(there, export, more_exports):
    command = ("export-models", "--models", "wine_m,beer", "--export-permissions", "false", "--notebook-formats", "", "--use-threads", "1",
               "--export-all-runs", "false", "--export-deleted-runs", "false", "--export-latest-versions", "false")
    export(*command)
    assert export.names() == {"manifest.json", "experiments", "models"} and export.names("models") == {"models.json", "wine_m", "beer"}
    # Runs of versions, each once, and what belongs to them; nothing twice on disk (M15, M16).
    assert export.names(f"experiments/{there.wine}/runs") == ids(there.parent, there.early)
    assert export.names(f"experiments/{there.other}/runs") == ids(there.elsewhere)
    assert set(export.mlflow(f"experiments/{there.wine}/experiment.json")["logged_models"]) == {there.of_parent, there.of_early, there.of_none}
    assert set(export.mlflow(f"experiments/{there.wine}/experiment.json")["traces"]) == set(there.traces[:2])
    assert export.names("models/wine_m") == {"model.json", "version_models"} and export.names("models/wine_m/version_models") == {"2"}
    assert set(export.mlflow("models/models.json")["models"]) == {"wine_m", "beer"}
    info = export.json("manifest.json")["info"]
    assert info["model_names"] == "wine_m,beer" and info["export_all_runs"] is False and info["models"]["num_ok_models"] == 2
    assert export.json("experiments/experiments.json")["info"]["options"]["experiments"] == \
        {there.wine: sorted(ids(there.parent, there.early, there.dead)), there.other: [there.elsewhere.id]}
    again_nothing(export, *command)

    narrow = more_exports()
    narrow("export-models", "--models", "win*", "--stages", "Production", "--export-version-model", "yes")
    assert narrow.names("models") == {"models.json", "wine_m", 'wine\'s "x'}
    assert narrow.names(f"experiments/{there.wine}/runs") == ids(there.parent)
    assert narrow.names("models/wine_m/version_models") == {"1", "5"}
    latest = more_exports()
    latest("export-models", "--models", "wine_m", "--export-latest-versions", "t")
    assert versions_of(latest, "models/wine_m/model.json") == ["3", "4", "5"]
    whole = more_exports()
    whole("export-models", "--models", "all", "--export-all-runs", "true", "--export-deleted-runs", "true")
    assert len(whole.names(f"experiments/{there.wine}/runs")) == 6 and whole.names("models/wine_m") == {"model.json"}
    # A window takes runs away, and no version with them (M17).
    window = more_exports()
    window("export-models", "--models", "wine_m", "--run-start-time", "2023-11-15", "--runs-until", "2023-11-16")
    assert window.names(f"experiments/{there.wine}/runs") == ids(there.parent)
    assert versions_of(window, "models/wine_m/model.json") == ["1", "2", "3", "4", "5"]
    listed = more_exports()
    names = listed.folder.parent / "models.txt"
    names.write_text("beer\n\nnone\n")
    listed("export-models", "--models", names, code=3)
    assert listed.failed() == {"none"} and listed.json("manifest.json")["info"]["model_names"] == ["beer", "none"]


def test_model_version(there, export, more_exports):
    command = ("export-model-version", "--model", "wine_m", "--version", "1", "--export-permissions", "false", "--notebook-formats", "")
    export(*command)
    assert export.names() == {"version.json", "model.json", "experiment.json", "run"}
    version = export.mlflow("version.json")["model_version"]
    assert version["version"] == "1" and version["current_stage"] == "Production" and "_experiment_name" not in version
    assert "versions" not in export.mlflow("model.json")["registered_model"]
    experiment = export.mlflow("experiment.json")["experiment"]
    assert experiment["tags"] == [{"key": "z", "value": "1"}, {"key": "a", "value": "é"}] or \
        experiment["tags"] == [{"key": "a", "value": "é"}, {"key": "z", "value": "1"}]
    assert export.names("run/artifacts/model") == {"MLmodel", "weights.bin"}
    again_nothing(export, *command)

    copied = more_exports()
    copied("export-model-version", "--model", "wine_m", "--version", "1", "--vrm-export-version-model", "true",
           "--skip-download-run-artifacts", "true")
    assert copied.names() == {"version.json", "model.json", "experiment.json", "run", "version_model"}
    assert copied.names("run") == {"run.json"} and copied.names("version_model") == {"MLmodel", "weights.bin"}
    assert copied.json("version.json")["info"]["vrm_export_version_model"] is True
    below = more_exports()
    below("export-model-version", "--model", "wine_m", "--version", "1", "--vrm-export-version-model", "true",
          "--vrm-model-artifact-path", "deep/registered")
    assert below.names("run/artifacts/deep/registered") == {"MLmodel", "weights.bin"} and "version_model" not in below.names()
    version = below.mlflow("version.json")["model_version"]
    assert version["source"] == "deep/registered" and version["_source"] == f"{there.parent.uri}/model"
    of_model = more_exports()  # the folder has the model's name, and not its run's (M19)
    of_model("export-model-version", "--model", "wine_m", "--version", "4")
    assert of_model.names() == {"version.json", "model.json", "experiment.json", "run", there.of_early}
    no_run = more_exports()
    no_run("export-model-version", "--model", "wine_m", "--version", "3", "--vrm-export-version-model", "true", "--vrm-model-artifact-path", "a")
    assert no_run.names() == {"version.json", "model.json", "version_model", there.of_none}


# --- logged models, traces, prompts, datasets ----------------------------------------------------------------------


def test_logged_model(there, export):
    command = ("export-logged-model", "--model-id", there.of_none)
    export(*command)
    assert export.names() == {"logged_model.json", "artifacts"} and export.mlflow("logged_model.json")["model_id"] == there.of_none
    again_nothing(export, *command)


def test_logged_models(there, export, more_exports):
    command = ("export-logged-models", "--experiment-ids", f"{there.wine},{there.other}")
    export(*command)
    assert export.names() == {"logged_models.json", there.of_parent, there.of_early, there.of_none, there.of_other}
    file = export.json("logged_models.json")
    assert file["info"] == {"num_total_logged_models": 4, "num_ok_logged_models": 4, "num_failed_logged_models": 0, "failed_logged_models": []}
    assert {e["name"]: set(e["logged_models"]) for e in file["mlflow"]["experiments"]} == \
        {"wine": {there.of_parent, there.of_early, there.of_none}, "wine/other": {there.of_other}}
    again_nothing(export, *command)
    for text, models in (("all", 4), (f"{there.wine}*", 3), (there.one, 0)):  # L8: a file also where there is none
        one = more_exports()
        one("export-logged-models", "--experiment-ids", text)
        assert one.json("logged_models.json")["info"]["num_total_logged_models"] == models, text
    one = more_exports()
    one("export-logged-models", "--experiment-ids", f"{there.other},99", code=3)
    assert one.failed() == {"99"}


def test_trace(there, export):
    command = ("export-trace", "--request-id", there.traces[0])
    export(*command)
    assert export.names() == {"trace.json", "artifacts"} and export.names("artifacts") == {"traces.json"}
    trace = export.mlflow("trace.json")
    assert trace["info"]["trace_id"] == there.traces[0] and [s["name"] for s in trace["data"]] == ["span 0", "span 1"]
    again_nothing(export, *command)


def test_traces(there, export, more_exports):
    command = ("export-traces", "--experiment-ids", there.wine)
    export(*command)
    assert export.names() == {"traces.json", *there.traces[:3]}
    file = export.json("traces.json")
    assert file["info"] == {"num_total_trace": 3, "num_ok_traces": 3, "num_failed_traces": 0, "failed_traces": []}
    assert [set(e["traces"]) for e in file["mlflow"]["experiments"]] == [set(there.traces[:3])]
    again_nothing(export, *command)
    everything = more_exports()
    everything("export-traces", "--experiment-ids", "all")
    assert everything.names() == {"traces.json", *there.traces}
    prefix = more_exports()
    prefix("export-traces", "--experiment-ids", f"{there.other}*")
    assert prefix.names() == {"traces.json", there.traces[3]}


def test_prompt(there, export):
    command = ("export-prompt", "--prompt-name", "greet", "--prompt-version", "1")
    export(*command)
    assert export.names() == {"prompt.json"}
    file = export.json("prompt.json")
    prompt = file["mlflow"]["prompt"]
    assert (prompt["name"], prompt["version"], prompt["template"], prompt["tags"]) == ("greet", 1, "Hi {{who}}", {"lang": "en"})
    kept = json.dumps(file["mlferry"])  # P5: aliases, tags and description of the prompt itself
    assert '"prod"' in kept and '"team"' in kept and '"what it is for"' in kept
    again_nothing(export, *command)


def test_prompts(there, export, more_exports):
    command = ("export-prompts", "--prompts", "ALL", "--use-threads")
    export(*command)
    assert {"prompts_summary.json", "greet_v1", "greet_v2", "bye_v1"} <= export.names()
    assert export.mlflow("prompts_summary.json") == {"total_prompts": 3, "successful_exports": 3, "failed_exports": 0}
    again_nothing(export, *command)
    named = more_exports()  # all versions (P4)
    named("export-prompts", "--prompts", " greet ,nothing", code=3)
    assert {"greet_v1", "greet_v2"} <= named.names() and "bye_v1" not in named.names() and named.failed() == {"nothing"}
    listed = more_exports()
    names = listed.folder.parent / "prompts.txt"
    names.write_text("bye\n")
    listed("export-prompts", "--prompts", names)
    assert "bye_v1" in listed.names() and "greet_v1" not in listed.names()


def test_dataset(there, export, more_exports):
    command = ("export-evaluation-dataset", "--dataset-name", "qa")
    export(*command)
    assert export.names() == {"evaluation_dataset.json"}
    dataset = export.mlflow("evaluation_dataset.json")["evaluation_dataset"]
    assert dataset["name"] == "qa" and len(dataset["records"]) == 3 and dataset["experiment_ids"] == [there.wine]
    again_nothing(export, *command)
    by_id = more_exports()  # the id counts more than the name
    by_id("export-evaluation-dataset", "--dataset-id", there.qb, "--dataset-name", "qa")
    assert by_id.mlflow("evaluation_dataset.json")["evaluation_dataset"]["name"] == "qb"


def test_datasets(there, export, more_exports):
    command = ("export-evaluation-datasets", "--evaluation-datasets", "all", "--use-threads", "false")
    export(*command)
    assert export.names() == {"evaluation_datasets_summary.json", f"qa_{there.qa}", f"qb_{there.qb}"}
    summary = export.mlflow("evaluation_datasets_summary.json")
    assert summary["total_datasets"] == summary["successful_exports"] == 2
    again_nothing(export, *command)
    of_experiment = more_exports()
    of_experiment("export-evaluation-datasets", "--evaluation-datasets", "all", "--experiment-ids", f"{there.wine},99", code=3)
    assert of_experiment.names() == {"evaluation_datasets_summary.json", f"qa_{there.qa}"} and of_experiment.failed() == {"99"}
    named = more_exports()
    named("export-evaluation-datasets", "--evaluation-datasets", "qb, none", code=3)
    assert named.names() == {"evaluation_datasets_summary.json", f"qb_{there.qb}"} and named.failed() == {"none"}
    listed = more_exports()
    names = listed.folder.parent / "sets.txt"
    names.write_text("qa\n")
    listed("export-evaluation-datasets", "--evaluation-datasets", names, "--use-threads", "true")
    assert listed.names() == {"evaluation_datasets_summary.json", f"qa_{there.qa}"}


# --- export-all with the package's options -------------------------------------------------------------------------


def test_all(there, export, more_exports):
    export("export-all", "--export-permissions", "false", "--notebook-formats", "", "--use-threads", "true")
    runs = f"experiments/{there.wine}/runs"
    experiment = export.json(f"experiments/{there.wine}/experiment.json")
    assert there.dead.id in export.names(runs) and experiment["mlferry"]["deleted_runs"] == [there.dead.id]  # all, as ever
    assert there.gone in export.names("experiments")
    live = more_exports()
    live("export-all", "--export-deleted-runs", "false", "--export-version-model", "true")
    assert there.dead.id not in live.names(runs) and there.gone not in live.names("experiments")
    assert live.names("models/wine_m/version_models") == {"1", "2", "3", "4", "5"}
    deleted = more_exports()
    deleted("export-all", "--export-deleted-runs", "true")
    assert there.dead.id in deleted.mlflow(f"experiments/{there.wine}/experiment.json")["runs"]
    part = more_exports()
    command = ("export-all", "--stages", "Production", "--export-latest-versions", "true", "--run-start-time", "2023-11-15",
               "--runs-until", "2023-11-16")
    part(*command)
    assert versions_of(part, "models/wine_m/model.json") == ["5"]
    assert part.names(runs) == ids(there.parent, there.child, there.grandchild, there.dead)
    options = part.json("manifest.json")["info"]["options"]  # B4: what was asked for
    assert (options["stages"], options["export_latest_versions"], options["run_start_time"], options["runs_until"]) == \
        ("Production", True, "2023-11-15", "2023-11-16")
    again_nothing(part, *command)


# --- mistakes ------------------------------------------------------------------------------------------------------

NO_DATABRICKS = [(c, *o) for c, needed in (
    ("export-run", ("--run-id", "x")), ("export-experiment", ("--experiment", "x")), ("export-experiments", ("--experiments", "x")),
    ("export-model", ("--model", "x")), ("export-models", ("--models", "x")),
    ("export-model-version", ("--model", "x", "--version", "1")), ("export-all", ()))
    for o in ([needed + ("--notebook-formats", "SOURCE")] + ([needed + ("--export-permissions", "true")] if c != "export-run" else []))]


@pytest.mark.parametrize("arguments", NO_DATABRICKS, ids=" ".join)
def test_databricks_is_refused(there, export, arguments):
    result = export(*arguments, code=2)
    assert "needs a Databricks server" in result.error_line() and not export.folder.exists()


@pytest.mark.parametrize("arguments, code, text", [
    (("export-run", "--run-id", "0" * 32), 4, "no such run"),
    (("export-run",), 2, "--run-id is required"),
    (("export-experiment", "--experiment", "none"), 4, "no such experiment"),
    (("export-experiment", "--experiment", "all"), 4, "no such experiment"),
    (("export-experiment", "--experiment", "wine", "--run-start-time", "yesterday"), 2, "--run-start-time: 'yesterday' is no time"),
    (("export-experiment", "--experiment", "wine", "--runs-until", "2023-13-01"), 2, "--runs-until"),
    (("export-experiment", "--experiment", "wine", "--run-start-time", "2024-01-01", "--runs-until", "2024-01-01"), 2, "no run would be exported"),
    (("export-experiment", "--experiment", "wine", "--check-nested-runs", "true"), 2, "--run-ids"),
    (("export-experiment", "--experiment", "wine", "--run-ids", ","), 2, "--run-ids names nothing"),
    (("export-experiment", "--experiment", "wine", "--export-deleted-runs", "maybe"), 2, "--export-deleted-runs"),
    (("export-experiments", "--experiments", "a,b"), 4, "no such experiment"),
    (("export-experiments", "--experiments", ","), 2, "--experiments"),
    (("export-experiments", "--experiments", "none.txt"), 2, "cannot read the file none.txt"),
    (("export-experiments", "--experiments", "wine,1"), 2, "name:1 or id:1"),
    (("export-model", "--model", "none"), 4, "no such registered model"),
    (("export-model", "--model", "greet"), 4, "no such registered model"),
    (("export-model", "--model", "wine_m", "--stages", "Prod"), 2, "'Prod' is none of Production"),
    (("export-model", "--model", "wine_m", "--stages", "None", "--versions", "1"), 2, "not both"),
    (("export-model", "--model", "wine_m", "--versions", "one"), 2, "'one' is no version number"),
    (("export-model", "--model", "wine_m", "--versions", "99"), 4, "has none of them"),
    (("export-models", "--models", "none"), 4, "no such registered model"),
    (("export-model-version", "--model", "wine_m", "--version", "99"), 4, "no such version"),
    (("export-model-version", "--model", "wine_m", "--version", "x"), 2, "no version number"),
    (("export-model-version", "--model", "wine_m", "--version", "1", "--vrm-model-artifact-path", "a"), 2, "--vrm-export-version-model"),
    (("export-model-version", "--model", "wine_m", "--version", "1", "--vrm-export-version-model", "true",
      "--vrm-model-artifact-path", "../a"), 2, "no path below"),
    (("export-logged-model", "--model-id", "m-" + "0" * 32), 4, "no such logged model"),
    (("export-logged-models", "--experiment-ids", "wine"), 4, "ids are asked for"),
    (("export-trace", "--request-id", "tr-none"), 4, "no such trace"),
    (("export-traces", "--experiment-ids", "99"), 4, "no such experiment"),
    (("export-prompt", "--prompt-name", "wine_m", "--prompt-version", "1"), 4, "no such prompt"),
    (("export-prompt", "--prompt-name", "greet", "--prompt-version", "9"), 4, "no such version"),
    (("export-prompts", "--prompts", "none"), 4, "no such prompt"),
    (("export-evaluation-dataset",), 2, "--dataset-name or --dataset-id"),
    (("export-evaluation-dataset", "--dataset-name", "none"), 4, "no such evaluation dataset"),
    (("export-evaluation-datasets", "--evaluation-datasets", "none"), 4, "no such evaluation dataset"),
    (("export-evaluation-datasets", "--evaluation-datasets", "qa", "--experiment-ids", "1"), 2, "--evaluation-datasets all"),
    (("export-all", "--stages", "x"), 2, "is none of Production"),
    (("export-all", "--since", "2024-01-01", "--run-start-time", "2024-01-01"), 2, "--since"),
    (("export-all", "--lifecycle", "deleted", "--export-deleted-runs", "false"), 2, "--lifecycle"),
], ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "")
def test_mistakes(there, export, arguments, code, text):
    """Each is told in one sentence, and nothing is written."""
    result = export(*arguments, code=code)
    assert text in result.error_line(), result.text[-500:]
    assert not export.folder.exists()


def test_a_dry_run_writes_nothing(there, export):
    for command in (("export-run", "--run-id", there.parent.id), ("export-model-version", "--model", "wine_m", "--version", "1"),
                    ("export-experiments", "--experiments", "wine"), ("export-prompts", "--prompts", "all")):
        export(*command, "--dry-run")
        assert sum(kind["copied"] for kind in export.report["kinds"].values()) > 1 and not export.folder.exists(), command


def test_an_interrupted_export_does_not_look_complete(there, export):
    """Killed again and again: until the command came to its end once, there is no file that makes the directory whole."""
    arguments = ("export-experiment", "--experiment", "wine")
    seconds = 0.02
    for _ in range(6):
        killed = ferry.ferry_killed(seconds, *arguments, "--src-mlflow-uri", there.url, "--output-dir", export.folder, "--no-progress",
                                    "--tpslimit", "60")
        if not killed:
            break
        if export.folder.exists():
            assert not (export.folder / "experiment.json").exists() or not export.unfinished()
        seconds *= 2
    export(*arguments)
    assert not export.unfinished() and len(export.mlflow("experiment.json")["runs"]) == 5
    assert not list((export.folder / ".mlferry" / "tmp").iterdir())


# --- the package itself --------------------------------------------------------------------------------------------

# Where files of release 1.2.0 (layout V3) and ours may differ, `file:path`, with the number of its defect, or "none": what is
# no defect, and why it differs. G9: layouts V3 and V1 differ and say the same version of themselves. Times and folders of the
# job itself are left out before.
ALLOWED = {
    "experiment.json:info.*_logged_models": "G9: V1 has it",
    "experiment.json:info.*_traces": "G9: V1 has it",
    "experiment.json:mlflow.logged_models": "G9: V1 has it",
    "experiment.json:mlflow.traces": "G9: V1 has it",
    "run.json:mlflow.inputs": "G9: V1 has it",
    "run.json:mlflow.outputs": "G9: V1 has it",
    "model.json:info.export_*": "G9: V1 has it",
    "model.json:mlflow.registered_model._*_timestamp": "G9: V1 has it",
    "model.json:mlflow.registered_model.versions[]._*_timestamp": "G9: V1 has it",
    "models.json:info.export_run": "G9: V3 only",
    "experiments.json:info.*": "G9: flat in V3, with options and status in V1",
    "manifest.json:info.*": "G9: flat in V3, with options and status in V1",
    "model.json:info.num_target_stages": "B4: its export-all passes all four stages on",
    "models.json:info.stages": "B4: its export-all writes a constant",
    "models.json:info.notebook_formats": "M9: not split",
    # It writes what its client's classes have, not what the server answered.
    "experiment.json:mlflow.experiment.workspace": "none: a field that its client does not know",
    "run.json:mlflow.info.run_uuid": "none: a field of MLflow 2's client",
    "model.json:mlflow.registered_model.versions[].status_message": "none: '' of its client for what the server does not send",
    "model.json:mlflow.registered_model.versions[].user_id": "none: '' of its client for what the server does not send",
    "models.json:info.use_threads": "none: ours is parallel unless it is told otherwise",
}
assert all(re.match(r"([A-Z]\d+|none): ", reason) for reason in ALLOWED.values())


def sorted_as_sets(value):
    """Lists of objects without an order of their own: runs come newest first there (E6), experiments in any order (B1)."""
    if isinstance(value, dict):
        return {key: sorted(map(sorted_as_sets, item), key=lambda v: json.dumps(v, sort_keys=True))
                if key in ("runs", "experiments", "models", "model_names") and isinstance(item, list) else sorted_as_sets(item)
                for key, item in value.items() if key not in ("duration", "output_dir")}
    return [sorted_as_sets(item) for item in value] if isinstance(value, list) else value


def differing(theirs, ours, path):
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs.keys() | ours.keys():
            at = f"{path}.{key}" if path[-1] != ":" else path + key
            if key in theirs and key in ours:
                yield from differing(theirs[key], ours[key], at)
            else:
                yield at
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for one, other in zip(theirs, ours):
            yield from differing(one, other, path + "[]")
    elif json.dumps(theirs) != json.dumps(ours):  # NaN is itself
        yield path


def in_layout_v1(folder):
    """Files of a directory of the package by where layout V1 has them: runs of an experiment in `runs` (V3: beside it)."""
    files = {}
    for path in folder.rglob("*"):
        if not path.is_file() or ".mlferry" in path.parts:
            continue
        name = path.relative_to(folder)
        for up in path.relative_to(folder).parents:
            parent = up.parent
            if (folder / up / "run.json").exists() and up.parts and up.parent.name != "runs" and (folder / parent / "experiment.json").exists():
                name = parent / "runs" / name.relative_to(parent)
        files[str(name)] = path
    return files


def test_our_directories_beside_those_of_the_package(fleet, tmp_path):
    """The same server, the same content: every file of export-run, -experiment, -model and -all, and of the bulk commands."""
    server = seed_plain(fleet["empty"].reset())
    rest = Rest(server.url)
    experiment = rest.get("experiments/get-by-name", experiment_name="plain 0")["experiment"]["experiment_id"]
    run = rest.post("runs/search", experiment_ids=[experiment])["runs"][0]["info"]["run_id"]
    used, found = set(), []
    for command, *arguments in (("export-run", "--run-id", run), ("export-experiment", "--experiment", "plain 0"),
                                ("export-model", "--model", "plain_model"), ("export-all",),
                                ("export-models", "--models", "plain_model"), ("export-experiments", "--experiments", "plain 0")):
        peer(command, server, *arguments, "--output-dir", tmp_path / "theirs" / command)
        ours = Export(server, tmp_path / "ours" / command)
        ours(command, *arguments)
        theirs, ours = in_layout_v1(tmp_path / "theirs" / command), in_layout_v1(tmp_path / "ours" / command)
        only_ours = {name for name in ours.keys() - theirs.keys() if not name.startswith(("prompts/", "evaluation_datasets/"))}
        assert theirs.keys() - ours.keys() == only_ours == set(), command
        assert len(theirs) >= (3 if command == "export-run" else 10), command
        for name, path in theirs.items():
            if not name.endswith(".json") or "/artifacts/" in name or name.startswith("artifacts/"):
                assert path.read_bytes() == ours[name].read_bytes(), name
                continue
            one, other = (sorted_as_sets(json.loads(p.read_bytes())) for p in (path, ours[name]))
            assert one.pop("system").keys() - other.pop("system").keys() == set()
            other.pop("mlferry", None)
            for difference in differing(one, other, pathlib.Path(name).name + ":"):
                reasons = {pattern for pattern in ALLOWED if fnmatch.fnmatchcase(difference, pattern.replace("[]", "[[]]"))}
                used |= reasons
                if not reasons:
                    found.append(f"{command}: {name}: {difference}")
    assert found == []
    assert used == ALLOWED.keys()
