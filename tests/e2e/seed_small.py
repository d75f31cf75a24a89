"""A server with a little of everything that the package mlflow-export-import knows, and its directories made of ours.

`plain()` takes mlferry's own stanza away, so that what is left is read as the package's; `single()` and its like put the
parts of such a directory together as the commands for single objects write them."""

import json
import pathlib
import shutil

from rest import API3, Rest, proxied

START = 1_700_000_000_000
IS_PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]


def tags(**values):
    return [{"key": k.replace("__", "."), "value": v} for k, v in values.items()]


class Seed:
    """What was made, by name."""

    def __init__(self, url):
        self.rest, self.runs, self.uris = Rest(url), {}, {}
        post = self.rest.post
        self.alpha = post("experiments/create", name="alpha", tags=tags(mlflow__note__content="notes", team="red"))["experiment_id"]
        self.beta = post("experiments/create", name="beta")["experiment_id"]
        main = self.run("main", user="ann", status="FAILED", tags=tags(team="blue", mlflow__user="somebody"))
        for step in range(5):
            post("runs/log-batch", run_id=main, metrics=[
                {"key": "loss", "value": 1 / (step + 1), "timestamp": START + step, "step": step}])
        post("runs/log-inputs", run_id=main, datasets=[
            {"dataset": {"name": "train", "digest": "d1", "source_type": "local", "source": "{}", "profile": '{"rows": 3}'},
             "tags": tags(mlflow__data__context="training")}])
        self.put("main", "notes.txt", b"notes")
        self.put("main", "model/MLmodel", f"# kept\nrun_id: {main}\nartifact_path: model\nmodel_uuid: {'ab' * 16}\n".encode())
        self.run("parent")
        self.run("child", tags=tags(mlflow__parentRunId=self.runs["parent"]))
        # Apart: the package asks for each metric by itself.
        self.gamma = post("experiments/create", name="gamma")["experiment_id"]
        limits = self.run("limits", experiment=self.gamma)
        for i in range(0, 110, 55):
            post("runs/log-batch", run_id=limits, params=[{"key": f"p{n}", "value": str(n)} for n in range(i, i + 55)])
            post("runs/log-batch", run_id=limits, tags=[{"key": f"t{n}", "value": str(n)} for n in range(i, i + 55)])
        for i in range(0, 1010, 505):
            post("runs/log-batch", run_id=limits, metrics=[
                {"key": f"m{n}", "value": n / 7, "timestamp": START, "step": 0} for n in range(i, i + 505)])
        self.run("gone")
        self.run("of beta", experiment=self.beta)
        self.model = self.logged_model("net", main)
        post("runs/outputs", run_id=main, models=[{"model_id": self.model, "step": 3}])
        user = self.run("uses the model")
        post("runs/log-inputs", run_id=user, models=[{"model_id": self.model}])
        self.free = self.logged_model("free", None)
        self.traces = [self.trace(1, main), self.trace(2, None)]
        self.registry()
        self.prompts_and_dataset()
        post("runs/delete", run_id=self.runs["gone"])

    def run(self, name, user="me", status="FINISHED", experiment=None, tags=()):
        info = self.rest.post("runs/create", experiment_id=experiment or self.alpha, start_time=START + len(self.runs),
                              user_id=user, run_name=name, tags=list(tags))["run"]["info"]
        self.rest.post("runs/update", run_id=info["run_id"], status=status, end_time=START + 1234)
        self.runs[name], self.uris[name] = info["run_id"], info["artifact_uri"]
        return info["run_id"]

    def put(self, run, path, data):
        self.rest.put_file(f"{proxied(self.uris[run])}/{path}", data)

    def logged_model(self, name, run):
        info = self.rest.post("logged-models", experiment_id=self.alpha, name=name, params=[{"key": "depth", "value": "4"}],
                              tags=tags(k="v"), **({"source_run_id": run} if run else {}))["model"]["info"]
        model, root = info["model_id"], proxied(info["artifact_uri"])
        self.rest.put_file(f"{root}/MLmodel", (f"# kept\nartifact_path: {info['artifact_uri']}\nmodel_id: {model}\n"
                                               + (f"run_id: {run}\n" if run else "")).encode())
        if run:
            self.rest.post("runs/log-batch", run_id=run, metrics=[
                {"key": "acc", "value": 0.75, "timestamp": START, "step": 1, "model_id": model}])
        self.rest.patch(f"logged-models/{model}", model_id=model, status="LOGGED_MODEL_READY")
        return model

    def trace(self, number, run):
        trace = f"{number:032x}"
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": trace, "spanId": "00000000000000a1", "name": "predict", "startTimeUnixNano": str(START * 10**6),
             "endTimeUnixNano": str(START * 10**6 + 9), "attributes": [{"key": "a", "value": {"stringValue": "b"}}]}]}]}]}
        status, text = self.rest.raw("POST", "/v1/traces", json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "X-MLflow-Experiment-Id": self.alpha})
        assert status == 200, text
        self.rest.post("/api/3.0/mlflow/traces", trace={"trace_info": {
            "trace_id": "tr-" + trace, "request_time": "2026-01-02T03:04:05.678Z", "state": "OK", "execution_duration": "0.5s",
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.alpha}},
            "trace_metadata": {"mlflow.sourceRun": run} if run else {},
            "tags": {"mlflow.traceName": "predict", "mlflow.trace.spansLocation": "TRACKING_STORE"}}})
        return "tr-" + trace

    def registry(self):
        """Versions 1 (of a run), 2 (deleted), 3 (a logged model), 4 and 10 (of the same run as 1)."""
        post, run, uri = self.rest.post, self.runs["main"], self.uris["main"]
        post("registered-models/create", name="wine", description="about wine", tags=tags(owner="me"))
        for n in range(1, 11):
            more = {"source": f"{uri}/model", "run_id": run}
            if n == 3:
                more = {"source": f"models:/{self.model}", "model_id": self.model, "run_id": run}
            post("model-versions/create", name="wine", description=f"number {n}", tags=tags(n=str(n)), **more)
        for n in (2, 5, 6, 7, 8, 9):
            self.rest.delete("model-versions/delete", name="wine", version=str(n))
        for n, stage in ((1, "Production"), (3, "Staging"), (4, "Archived"), (10, "Production")):
            post("model-versions/transition-stage", name="wine", version=str(n), stage=stage)
        post("registered-models/alias", name="wine", alias="champ", version="1")
        post("registered-models/alias", name="wine", alias="next", version="3")

    def prompts_and_dataset(self):
        post = self.rest.post
        post("registered-models/create", name="greet", tags=IS_PROMPT)
        for n in range(1, 12):
            post("model-versions/create", name="greet", source="dummy-source", description=f"commit {n}",
                 tags=IS_PROMPT + [{"key": "mlflow.prompt.text", "value": f"Hi {{{{who}}}} {n}"}, {"key": "n", "value": str(n)}])
        made = post(API3 + "datasets/create", name="qa", experiment_ids=[self.alpha], tags=json.dumps({"team": "blue"}))
        self.dataset = made["dataset"]["dataset_id"]
        post(API3 + f"datasets/{self.dataset}/records", dataset_id=self.dataset, records=json.dumps(
            [{"inputs": {"q": q}, "expectations": {"a": "4"}} for q in ("2+2", "1+3")]))


def plain(tree, into):
    """A copy without anything that only mlferry writes."""
    shutil.copytree(tree, into, ignore=shutil.ignore_patterns(".mlferry", "*.prompt.json"))
    for path in into.rglob("*.json"):
        if "artifacts" in path.relative_to(into).parts:
            continue
        document = json.loads(path.read_bytes())
        document.pop("mlferry", None)
        path.write_text(json.dumps(document, indent=2) + "\n")
    return into


class Parts:
    """The directories of single objects, in a new folder each."""

    def __init__(self, tree, seed, folder):
        self.tree, self.seed, self.folder, self.made = pathlib.Path(tree), seed, pathlib.Path(folder), 0
        self.alpha = self.tree / "experiments" / seed.alpha

    def new(self):
        self.made += 1
        return self.folder / f"part {self.made}"

    def run(self, name="main", models=True):
        into, run = self.new(), self.seed.runs[name]
        (found,) = self.tree.glob(f"experiments/*/runs/{run}")
        shutil.copytree(found, into)
        named = json.loads((into / "run.json").read_bytes())["mlflow"]
        for link in named["outputs"]["model_outputs"] + named["inputs"]["model_inputs"]:
            if models:
                shutil.copytree(self.alpha / "logged_models" / link["model_id"], into / link["model_id"])
        return into

    def copy(self, *path):
        into = self.new()
        shutil.copytree(self.tree.joinpath(*path), into)
        return into

    def model(self):
        """As export-model writes it."""
        into = self.copy("models", "wine")
        for version in json.loads((into / "model.json").read_bytes())["mlflow"]["registered_model"]["versions"]:
            shutil.copytree(self.alpha / "runs" / version["run_id"], into / version["run_id"], dirs_exist_ok=True)
        shutil.copytree(self.alpha / "logged_models" / self.seed.model, into / self.seed.model)
        return into

    def version(self, number):
        """As export-model-version writes it."""
        into = self.new()
        into.mkdir()
        document = json.loads((self.tree / "models/wine/model.json").read_bytes())
        model = document["mlflow"]["registered_model"]
        version = next(v for v in model.pop("versions") if v["version"] == str(number))
        for name, part in (("version", {"model_version": version}), ("model", {"registered_model": model})):
            (into / f"{name}.json").write_text(json.dumps({"system": document["system"], "mlflow": part}))
        experiment = json.loads((self.alpha / "experiment.json").read_bytes())["mlflow"]["experiment"]
        experiment["tags"] = [{"key": k, "value": v} for k, v in experiment["tags"].items()]
        (into / "experiment.json").write_text(json.dumps({"mlflow": {"experiment": experiment}}))
        shutil.copytree(self.alpha / "runs" / version["run_id"], into / "run")
        if version["source"].startswith("models:/"):
            shutil.copytree(self.alpha / "logged_models" / self.seed.model, into / version["run_id"])
        return into

    def older(self, layout):
        """The whole directory in layout V2, V3 or V4."""
        into = self.copy()
        for experiment in (into / "experiments").iterdir():
            if not experiment.is_dir():
                continue
            for run in (experiment / "runs").glob("*"):
                shutil.move(run, experiment / run.name)
            for path in experiment.glob("*/run.json"):
                document = json.loads(path.read_bytes())
                run = document["mlflow"]
                run["inputs"] = run["inputs"]["dataset_inputs"]
                del run["outputs"]
                if layout != "V2":
                    del run["inputs"]
                path.write_text(json.dumps(document))
            path = experiment / "experiment.json"
            document = json.loads(path.read_bytes())
            for field in ("logged_models", "traces"):
                document["mlflow"].pop(field, None)
            path.write_text(json.dumps(document))
            for folder in ("runs", "logged_models", "traces"):
                shutil.rmtree(experiment / folder, ignore_errors=True)
        path = into / "models/wine/model.json"
        document = json.loads(path.read_bytes())
        model = document["mlflow"]["registered_model"]
        model["versions"] = [v for v in model["versions"] if not v["source"].startswith("models:/")]
        if layout == "V4":
            model["latest_versions"] = model.pop("versions")
        path.write_text(json.dumps(document))
        return into
