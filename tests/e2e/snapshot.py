"""Everything that compare.py needs from one server, read over raw REST and held in memory.

The calls are the plain ones (one run, one folder, one file at a time) wherever they are fast enough, so that a
mistake in mlferry's batching cannot hide in the same batching here.
"""

import datetime
import hashlib
import json

from rest import API2, API3, AJAX2, Rest, RestError, bits, parallel, proxied, quote_path

BULK_RUNS, BULK_ROWS = 100, 25000


def pairs(rows):
    return {row["key"]: row.get("value", "") for row in rows or []}


class Snapshot:
    """experiments, runs (by id), logged models (by id), registered models (by name), versions (by (name, number)), and
    the same of prompts; traces (by id)."""

    def __init__(self, url, threads=8, contents=True, **login):
        self.rest, self.threads, self.contents = Rest(url, **login), threads, contents
        status, text = self.rest.raw("GET", "/version")
        # Before, names that are not ASCII come by run or model only.
        self.proxies_any_name = status == 200 and [int(n) for n in text.split(b".")[:2]] >= [3, 13]
        self.unreadable = []  # files that the server lists but does not send
        self.dangling_models = set()  # ids that runs name and the server does not know
        self.experiments = {e["experiment_id"]: e for e in self.rest.pages(
            "POST", "experiments/search", "experiments", view_type="ALL", max_results=1000)}
        self._read_runs()
        self._read_logged_models()
        self._read_registry()
        self._read_traces()
        self._read_objects()

    def _has(self, method, path, **body):
        """Whether the server knows the call: it answers an unknown path with a page that is not JSON."""
        if not path.startswith("/"):
            path = API2 + path
        status, text = self.rest.raw(method, path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return status != 404 or text.lstrip().startswith(b"{")

    # ---- runs -------------------------------------------------------------------------------------------------

    def _read_runs(self):
        ids = []
        for experiment in self.experiments:
            ids += [r["info"]["run_id"] for r in self.rest.pages(
                "POST", "runs/search", "runs", experiment_ids=[experiment], run_view_type="ALL", max_results=1000)]
        self.repeated_run_rows = len(ids) - len(set(ids))
        ids = list(dict.fromkeys(ids))
        self.runs = dict(zip(ids, parallel(lambda i: self.rest.get("runs/get", run_id=i)["run"], ids, self.threads)))
        self._read_histories()
        if self.contents:
            found = parallel(self._run_files, self.runs.values(), self.threads)
            self.run_files = dict(zip(self.runs, found))

    def _read_histories(self):
        by_key = {}
        for run, doc in self.runs.items():
            doc["history"] = {}
            for metric in doc["data"].get("metrics", []):
                by_key.setdefault(metric["key"], []).append(run)
        work = [(key, runs[i:i + BULK_RUNS]) for key, runs in by_key.items() for i in range(0, len(runs), BULK_RUNS)]
        parallel(lambda item: self._read_history(*item), work, self.threads)

    def _read_history(self, key, runs):
        rows = self.rest.get(AJAX2 + "metrics/get-history-bulk", run_id=runs, metric_key=key).get("metrics", [])
        if len(rows) >= BULK_ROWS and len(runs) > 1:  # the server cut the answer without a word
            for run in runs:
                self._read_history(key, [run])
            return
        if len(rows) >= BULK_ROWS:
            rows = self.rest.get("metrics/get-history", run_id=runs[0], metric_key=key).get("metrics", [])
        for row in rows:
            history = self.runs[row.get("run_id", runs[0])]["history"]
            history.setdefault(key, []).append((int(row["timestamp"]), int(row.get("step", 0)), bits(row["value"])))

    # ---- files ------------------------------------------------------------------------------------------------

    def _run_files(self, run):
        info = run["info"]
        prefix = proxied(info["artifact_uri"])

        def fetch(path):
            if prefix is not None and self.proxies_any_name:
                return self.rest.get_file(f"{prefix}/{path}")
            where = f"/get-artifact?run_id={info['run_id']}&path={quote_path(path).replace('/', '%2F')}"
            status, data = self.rest.raw("GET", where)
            if status != 200:
                raise RestError("GET", where, status, data)
            return data

        return self._walk(f"run {info['run_id']}", lambda path: self.rest.get(
            "artifacts/list", run_id=info["run_id"], **({"path": path} if path else {})), fetch)

    def _model_files(self, model):
        info = model["info"]
        prefix = proxied(info["artifact_uri"])
        if prefix is None:
            return {}
        if not model.get("deleted"):
            return self._walk(f"model {info['model_id']}", lambda path: self.rest.get(
                f"logged-models/{info['model_id']}/artifacts/directories", **({"artifact_directory_path": path} if path else {})),
                lambda path: self._model_file(model, prefix, path))
        # A deleted model's own calls are 404; the proxied tree, which names children by their last part, still works.

        def listing(path):
            where = f"{prefix}/{path}" if path else prefix
            files = self.rest.get("/api/2.0/mlflow-artifacts/artifacts", path=where).get("files", [])
            return {"files": [{**f, "path": f"{path}/{f['path']}" if path else f["path"]} for f in files]}

        return self._walk(f"model {info['model_id']}", listing, lambda path: self.rest.get_file(f"{prefix}/{path}"))

    def _model_file(self, model, prefix, path):
        if self.proxies_any_name:
            return self.rest.get_file(f"{prefix}/{path}")
        where = AJAX2 + f"logged-models/{model['info']['model_id']}/artifacts/files?artifact_file_path={quote_path(path).replace('/', '%2F')}"
        status, data = self.rest.raw("GET", where)
        if status != 200:
            raise RestError("GET", where, status, data)
        return data

    def _walk(self, owner, listing, fetch):
        """{path: (size, SHA-256, bytes of an MLmodel file or None)}"""
        found, folders = {}, [""]
        while folders:
            for entry in listing(folders.pop()).get("files", []):
                path = entry["path"]
                if entry.get("is_dir"):
                    folders.append(path)
                    continue
                try:
                    data = fetch(path)
                except RestError:
                    self.unreadable.append(f"{owner}: {path!r}")
                    continue
                text = data if path.rsplit("/", 1)[-1] == "MLmodel" else None
                found[path] = (int(entry.get("file_size", 0)), hashlib.sha256(data).hexdigest(), text)
                if len(data) != found[path][0]:
                    raise RuntimeError(f"{owner}: {path!r}: listed with {found[path][0]} bytes, sent {len(data)}")
        return found

    # ---- models -----------------------------------------------------------------------------------------------

    def _read_logged_models(self):
        self.models, self.model_files = {}, {}
        if not self._has("POST", "logged-models/search", experiment_ids=["0"], max_results=1):
            return  # before MLflow 3
        for experiment in self.experiments:
            for model in self.rest.pages("POST", "logged-models/search", "models", experiment_ids=[experiment], max_results=100):
                self.models[model["info"]["model_id"]] = model
        # Deleted models are in no listing; the runs that name them are the only way to them.
        named = {m["model_id"] for run in self.runs.values() for part, rows in (("inputs", "model_inputs"), ("outputs", "model_outputs"))
                 for m in run.get(part, {}).get(rows, [])}
        for model in sorted(named - set(self.models)):
            try:
                found = self.rest.get(f"logged-models/{model}", allow_deleted="true")["model"]
                self.models[model] = {**found, "deleted": True}
            except RestError as error:
                if error.status != 404:
                    raise
                self.dangling_models.add(model)
        if self.contents:
            self.model_files = dict(zip(self.models, parallel(self._model_files, self.models.values(), self.threads)))

    def _read_registry(self):
        names = [m["name"] for m in self.rest.pages("GET", "registered-models/search", "registered_models", max_results=100)]
        found = parallel(lambda n: self.rest.get("registered-models/get", name=n)["registered_model"], names, self.threads)
        self.registered = dict(zip(names, found))
        self.versions = {}
        for version in self.rest.pages("GET", "model-versions/search", "model_versions", max_results=10000):
            self.versions[version["name"], int(version["version"])] = version
        # One tagged version hides all versions of a model from every search; a version without the tag is hidden
        # in a prompt. So those numbers are walked.
        for name, model in self.registered.items():
            if model.get("latest_versions") and not any(v[0] == name for v in self.versions):
                self.versions.update(self._walk_versions(name, model))
        prompts = [m["name"] for m in self.rest.pages("GET", "registered-models/search", "registered_models", max_results=100,
                                                      filter="tags.`mlflow.prompt.is_prompt` = 'true'")]
        found = parallel(lambda n: self.rest.get("registered-models/get", name=n)["registered_model"], prompts, self.threads)
        self.prompts = dict(zip(prompts, found))
        self.prompt_versions = {}
        for name, model in self.prompts.items():
            self.prompt_versions.update(self._walk_versions(name, model))

    def _walk_versions(self, name, model):
        newest = max((int(v["version"]) for v in model.get("latest_versions", [])), default=0)
        found = {}
        for number in range(1, newest + 1):
            try:
                found[name, number] = self.rest.get("model-versions/get", name=name, version=number)["model_version"]
            except RestError as error:
                if error.status != 404:
                    raise
        return found

    # ---- traces -----------------------------------------------------------------------------------------------

    def _read_traces(self):
        """{id: info, with "data" (what get-trace-artifact sends, or None), "files", "runs" and "prompts" linked}"""
        self.traces = {}
        if not self._has("POST", API3 + "traces/search", max_results=1):
            self._read_old_traces()
            return
        locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": e}} for e in self.experiments]

        def search(**more):
            return self.rest.pages("POST", API3 + "traces/search", "traces", locations=locations, max_results=500, **more)

        self.traces = {t["trace_id"]: {**t, "runs": [], "prompts": []} for t in search()}
        if not self.traces:
            return

        def links(kind, field, names):
            found = parallel(lambda n: [t["trace_id"] for t in search(filter=f"{field} = '{n}'")], names, self.threads)
            for name, traces in zip(names, found):
                for trace in traces:
                    self.traces[trace][kind].append(name)

        links("runs", "attributes.run_id", list(self.runs))
        links("prompts", "prompt", [f"{n}/{v}" for n, v in self.prompt_versions])

        self._read_trace_data("/ajax-api/3.0/mlflow/get-trace-artifact")

    def _read_old_traces(self):
        """Those of MLflow 2.14 to 3.1, written down as newer servers show them."""
        states = {"TRACE_STATUS_UNSPECIFIED": "STATE_UNSPECIFIED"}
        for experiment in self.experiments:
            for row in self.rest.pages("GET", "traces", "traces", experiment_ids=[experiment], max_results=100):
                ms, duration = int(row["timestamp_ms"]), int(row.get("execution_time_ms", 0))
                time = datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
                parts = [f".{n % 1000:03d}" if n % 1000 else "" for n in (ms, duration)]
                trace = {"trace_id": row["request_id"], "state": states.get(row["status"], row["status"]),
                         "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": row["experiment_id"]}},
                         "request_time": f"{time}{parts[0]}Z", "execution_duration": f"{duration // 1000}{parts[1]}s",
                         "trace_metadata": pairs(row.get("request_metadata")), "tags": pairs(row.get("tags")), "prompts": []}
                if row["status"] == "IN_PROGRESS" and not duration:
                    del trace["execution_duration"]
                run = trace["trace_metadata"].get("mlflow.sourceRun")
                self.traces[row["request_id"]] = {**trace, "runs": [run] if run else []}
        self._read_trace_data(AJAX2 + "get-trace-artifact")

    def _read_trace_data(self, call):
        def read(trace):
            prefix = proxied(trace["tags"].get("mlflow.artifactLocation", ""))

            def listing(path):
                where = f"{prefix}/{path}" if path else prefix
                files = self.rest.get("/api/2.0/mlflow-artifacts/artifacts", path=where).get("files", [])
                return {"files": [{**f, "path": f"{path}/{f['path']}" if path else f["path"]} for f in files]}

            files = self._walk(f"trace {trace['trace_id']}", listing, lambda path: self.rest.get_file(f"{prefix}/{path}")) if prefix else {}
            status, data = self.rest.raw("GET", call + "?request_id=" + quote_path(trace["trace_id"]))
            return files, data if status == 200 else None

        for trace, (files, data) in zip(self.traces.values(), parallel(read, self.traces.values(), self.threads)):
            trace["files"], trace["data"] = files, data

    # ---- what is whole in one document ------------------------------------------------------------------------

    def _read_objects(self):
        """scorers {(experiment, name): {version: text}}; datasets, issues and webhooks as lists of documents."""
        self.scorers, self.datasets, self.issues, self.webhooks = {}, [], [], []
        try:
            latest = self.rest.get(API3 + "scorers/list").get("scorers", [])
        except RestError as error:
            if error.status != 404:
                raise
            return  # an older server
        for scorer in latest:
            place = {"experiment_id": str(scorer["experiment_id"]), "name": scorer["scorer_name"]}
            numbers = [v["scorer_version"] for v in self.rest.get(API3 + "scorers/versions", **place)["scorers"]]
            self.scorers[place["experiment_id"], place["name"]] = {
                n: self.rest.get(API3 + "scorers/get", **place, version=n)["scorer"]["serialized_scorer"] for n in numbers}
        for dataset in self.rest.pages("POST", API3 + "datasets/search", "datasets", max_results=1000):
            path, records, token = API3 + "datasets/" + dataset["dataset_id"], [], None
            while True:
                answer = self.rest.get(path + "/records", max_results=500, **({"page_token": token} if token else {}))
                records += json.loads(answer.get("records", "[]"))
                token = answer.get("next_page_token")
                if not token:
                    break
            self.datasets.append({**dataset, "records": records,
                                  "experiments": self.rest.get(path + "/experiment-ids").get("experiment_ids", [])})
        self.issues = list(self.rest.pages("POST", API3 + "issues/search", "issues", max_results=1000))
        self.webhooks = list(self.rest.pages("GET", "webhooks", "webhooks", max_results=100))

    # ---- counts -----------------------------------------------------------------------------------------------

    def census(self):
        runs, models = self.runs.values(), self.models.values()
        counts = {
            "experiments": len(self.experiments),
            "deleted experiments": sum(e["lifecycle_stage"] == "deleted" for e in self.experiments.values()),
            "runs": len(runs),
            "deleted runs": sum(r["info"]["lifecycle_stage"] == "deleted" for r in runs),
            "params": sum(len(r["data"].get("params", [])) for r in runs),
            "tags": sum(len(r["data"].get("tags", [])) for r in runs),
            "metrics": sum(len(r["history"]) for r in runs),
            "metric points": sum(len(h) for r in runs for h in r["history"].values()),
            "dataset inputs": sum(len(r.get("inputs", {}).get("dataset_inputs", [])) for r in runs),
            "logged models": len(models),
            "deleted logged models": sum(bool(m.get("deleted")) for m in models),
            "registered models": len(self.registered),
            "model versions": len(self.versions),
            "prompts": len(self.prompts),
            "prompt versions": len(self.prompt_versions),
            "traces": len(self.traces),
            "assessments": sum(len(t.get("assessments", [])) for t in self.traces.values()),
            "scorers": len(self.scorers),
            "datasets": len(self.datasets),
            "issues": len(self.issues),
            "webhooks": len(self.webhooks),
            "trace files": sum(len(t.get("files", {})) for t in self.traces.values()),
        }
        if self.contents:
            files = [f for group in (self.run_files, self.model_files) for found in group.values() for f in found.values()]
            counts.update({"files": len(files), "bytes": sum(f[0] for f in files), "unreadable files": len(self.unreadable)})
        return counts
