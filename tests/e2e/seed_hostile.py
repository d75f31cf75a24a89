"""Fills an MLflow server over raw REST with what tends to break a copier.

Every count and size derives from `Sizes` and a seed number, so another seed is another variant of the same
ugliness. Values are built so that the server stores them as sent: what MLflow itself refuses or cuts is not here.
"""

import argparse
import dataclasses
import json
import random
import struct
import sys

from rest import AJAX2, API3, Rest, RestError, number, parallel, proxied

# Allowed in keys of params, metrics and tags; and what only names and values may hold besides.
KEY_LETTERS = "abcXYZ019_-. :é日ß"
TEXT_PIECES = ["/", '"', "'", "%", "%41", "%2f", "#", "?", "+", ",", "&", "=", "\\", ";", "<b>", "{}", "$(x)", "`",
               "🚀", "👩‍🔬", "é", "日本語", "\n", "\t", " ", "  ", "\r\n", "''", "a", "Z", "9", "\u202e", "null", "NaN"]
FILE_PIECES = [" ", "+", "&", "=", ";", "~", "'", '"', ":", "[x]", "{y}", "*", "é☃", "日本", "100% ", "?q", "!", "$", "🚀"]
STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
MODEL_STATES = ["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"]
SPECIAL_DOUBLES = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 5e-324, -5e-324, 2.2250738585072009e-308, 1e308,
                   1.7976931348623157e308, 1 / 3, 0.1, 1e-5, 123456789.123456789, 2.0**53 + 2]


@dataclasses.dataclass
class Sizes:
    experiments: int = 8
    runs: int = 60  # ordinary ones, besides the special cases
    params: int = 250
    long_value: int = 6000
    history: int = 3500
    folders: int = 12
    models: int = 6
    versions: int = 7
    big_file: int = 9_500_000
    traces: int = 5


class Hostile:
    def __init__(self, rest, seed=1, sizes=None, local_root=None):
        self.rest, self.sizes, self.random = rest, sizes or Sizes(), random.Random(seed)
        self.has_default = True
        self.seed, self.local_root = seed, local_root
        self.experiments, self.runs, self.models = [], [], []
        self.deleted_last = []  # (call, arguments) to make at the end, in order

    # ---- values -----------------------------------------------------------------------------------------------

    def text(self, pieces=8):
        return "".join(self.random.choice(TEXT_PIECES) for _ in range(pieces))

    def key(self, length=20):
        return "k" + "".join(self.random.choice(KEY_LETTERS) for _ in range(length)).strip() + "e"

    def value(self):
        if self.random.random() < 0.5:
            return self.random.choice(SPECIAL_DOUBLES)
        while True:
            value = struct.unpack(">d", self.random.randbytes(8))[0]
            if value == value and abs(value) != float("inf"):
                return value

    def file_name(self, bytes_wanted=0):
        name = "f" + "".join(self.random.choice(FILE_PIECES) for _ in range(4)) + "e"
        while len(name.encode()) < bytes_wanted:
            name += "x"
        return name

    def tags(self, count):
        return [{"key": k, "value": self.text(6)} for k in sorted({self.key(12) for _ in range(count)})]

    # ---- objects ----------------------------------------------------------------------------------------------

    def experiment(self, name, **more):
        made = self.rest.post("experiments/create", name=name, **more)["experiment_id"]
        self.experiments.append(made)
        return made

    def run(self, experiment, name, start=None, user="", status="FINISHED", end=None, tags=(), **more):
        """Creates a run and sets its end. `end` None: 1,234 ms after the start; 0: none. Returns (id, artifact URI)."""
        start = self.random.randrange(1_500_000_000_000, 1_700_000_000_000) if start is None else start
        info = self.rest.post("runs/create", experiment_id=experiment, start_time=start, user_id=user, run_name=name,
                              tags=list(tags))["run"]["info"]
        self.fill(info["run_id"], **more)
        end = start + 1234 if end is None else end
        self.rest.post("runs/update", run_id=info["run_id"], status=status, **({"end_time": end} if end else {}))
        self.runs.append((experiment, info["run_id"], info["artifact_uri"]))
        return info["run_id"], info["artifact_uri"]

    def fill(self, run, params=(), metrics=()):
        """log-batch in pieces that the server takes. metrics: (key, value, timestamp, step) rows."""
        params, metrics = list(params), list(metrics)
        while params or metrics:
            rows = [{"key": k, "value": number(v), "timestamp": t, "step": s} for k, v, t, s in metrics[:900]]
            self.rest.post("runs/log-batch", run_id=run, metrics=rows,
                           params=[{"key": k, "value": v} for k, v in params[:100]])
            params, metrics = params[100:], metrics[900:]

    def history(self, key, points):
        step = self.random.randrange(-5, 5)
        for i in range(points):
            yield key, self.value(), 1_600_000_000_000 + i * 7, step + i
        yield key, 1.5, 1_600_000_000_000, step  # a second value at the same point

    def put(self, uri, path, data):
        self.rest.put_file(f"{proxied(uri)}/{path}", data)

    # ---- the workload -----------------------------------------------------------------------------------------

    def build(self):
        self.ordinary()
        self.big_run()
        self.nested()
        self.statuses()
        self.files()
        self.inputs_and_outputs()
        self.logged_models()
        self.old_style_model()
        self.registry()
        self.deleted_objects()
        self.prompts()
        self.traces()
        self.scorers()
        self.evaluation_datasets()
        self.issues()
        self.webhooks()
        for path, arguments in self.deleted_last:
            self.rest.post(path, **arguments)
        return self

    def scorers(self):
        """Gaps at the beginning and in the middle, equal names in two experiments, texts whose spaces count."""
        for place, name, versions, gone in ((0, "quality 'x/ü", 7, (1, 3, 4)), (1, "quality 'x/ü", 2, ()), (1, "other", 1, ())):
            experiment = self.experiments[place]
            for i in range(versions):
                self.rest.post(API3 + "scorers/register", experiment_id=experiment, name=name,
                               serialized_scorer='{"name": "q",  "n":%d.0, "t": "%s"}' % (i, "ü🚀" * i))
            for version in gone:
                self.rest.delete(API3 + "scorers/delete", experiment_id=experiment, name=name, version=version)

    def evaluation_datasets(self):
        """Two of one name, one without an experiment, one with more records than a page."""
        for i, (name, experiments) in enumerate((("golden", self.experiments[:2]), ("golden", self.experiments[:1]), ("ünbound", []))):
            made = self.rest.post(API3 + "datasets/create", name=name, experiment_ids=experiments,
                                  tags=json.dumps({"n": str(i), "ü": self.text(5)}))["dataset"]["dataset_id"]
            records = [{"inputs": {"q": self.text(5), "n": n, "x": 0.1 * n}, "outputs": {"a": None if n % 2 else 1.0},
                        "expectations": {"e": [n, 10**19]}, "tags": {"t": self.text(3)},
                        "source": {"source_type": "HUMAN", "source_data": {"user": "u"}}} for n in range(1100 if i == 0 else 3)]
            self.rest.post(API3 + f"datasets/{made}/records", dataset_id=made, records=json.dumps(records))

    def issues(self):
        """Two that are equal, one of a run."""
        run = next(r for e, r, _ in self.runs if e == self.experiments[1])
        for more in ({}, {}, {"source_run_id": run, "status": "resolved", "severity": "low", "created_by": self.text(3)}):
            self.rest.post(API3 + "issues", experiment_id=self.experiments[1], name="an issue", description=self.text(0) or "d",
                           root_causes=["a", "ü"], categories=["c"], **more)

    def webhooks(self):
        """Of an event that no test makes, and to an address where nobody listens."""
        for status in ("ACTIVE", "DISABLED", "ACTIVE"):
            self.rest.post("webhooks", name="hook", url="https://127.0.0.1:9/x", description="d", status=status,
                           events=[{"entity": "BUDGET_POLICY", "action": "EXCEEDED"}])

    def ordinary(self):
        # Names differ by their first word, so that any two pieces of text cannot collide.
        for i in range(self.sizes.experiments):
            self.experiment(f"e{i} {self.text(10)}", tags=self.tags(3))
        self.experiment("slash/a\nb\"c'd%e#f?g+h,i 🚀 " + "n" * 400)
        self.experiment(" leading and trailing ")
        self.experiment("empty experiment", tags=[{"key": "mlflow.note.content", "value": "# a\n\nnote " + "n" * 15000}])
        if self.has_default:  # new workspaces have none
            self.rest.post("experiments/set-experiment-tag", experiment_id="0", key="default.tag", value="on the Default experiment")
            self.run("0", "in Default", user="someone")

        def one(i):
            # Threads share nothing random: each run has a generator of its own.
            part = Hostile(self.rest, seed=self.seed * 100_003 + i, sizes=self.sizes)
            part.run(self.experiments[i % self.sizes.experiments], part.text(5) + f" {i}", user=part.text(2) + "u", tags=part.tags(4),
                     params=[(part.key(), part.text(20)) for _ in range(5)],
                     metrics=[row for k in ("loss", "a/b", part.key(8)) for row in part.history(k, 6)])
            run = part.runs[-1]
            if i % 3 == 0:
                part.put(run[2], part.file_name(), part.random.randbytes(200))
            return run

        self.runs += parallel(one, range(self.sizes.runs), 4)

    def big_run(self):
        experiment = self.experiments[0]
        self.run(experiment, "many params", params=[(f"p{i:03d}/{self.key(6)}", self.text(4)) for i in range(self.sizes.params)]
                 + [("long", "é" * self.sizes.long_value), ("empty", ""), ("lines", "a\nb\r\nc\t"), ("k" * 250, "v")],
                 tags=[{"key": "t" * 250, "value": "long key"}, {"key": "long", "value": "ü" * 8000}, {"key": "empty", "value": ""},
                       {"key": "mlflow.note.content", "value": "note\nwith 'quotes'"}])
        self.run(experiment, "long histories", metrics=[row for k in ("h1", "dir/h2 日", "h" * 250)
                                                        for row in self.history(k, self.sizes.history)])
        self.run(experiment, "doubles", metrics=[("special", v, 1000 + i, i) for i, v in enumerate(SPECIAL_DOUBLES)]
                 + [("one nan", float("nan"), 5, 0), ("int64 step", 1.0, 2**53 + 1, 2**62 + 1), ("negative step", 1.0, 1, -(2**40))])

    def nested(self):
        experiment = self.experiments[1]
        parent, _ = self.run(experiment, "same name")
        for level in range(3):
            link = [{"key": "mlflow.parentRunId", "value": parent}, {"key": "level", "value": str(level)}]
            self.run(experiment, "same name", tags=link)
            parent, _ = self.run(experiment, "same name", tags=link)
        # A parent that the server does not have (any more) stays as it is.
        self.run(experiment, "orphan", tags=[{"key": "mlflow.parentRunId", "value": "0" * 32}])

    def statuses(self):
        for status in STATUSES:
            for end in (0, None):
                self.run(self.experiments[2], f"{status} {'with' if end is None else 'no'} end", status=status, end=end)
        self.run(self.experiments[2], "before 1970", start=-86_400_000)
        self.run(self.experiments[2], "at zero", start=0)
        self.run(self.experiments[2], "same name", start=1_600_000_000_000, user="u1")
        self.run(self.experiments[2], "same name", start=1_600_000_000_000, user="u1")

    def files(self):
        run, uri = self.run(self.experiments[3], "files")
        self.put(uri, "empty.txt", b"")
        self.put(uri, self.file_name(200), b"name of 200 bytes")
        for i in range(10):
            self.put(uri, f"{i}{self.file_name()}", f"file {i}".encode() * i)
        self.put(uri, "/".join(f"d{i} é" for i in range(self.sizes.folders)) + "/deep.bin", self.random.randbytes(1000))
        block = self.random.randbytes(1000)
        self.put(uri, "big/compressible.bin", (block + bytes(4000)) * (self.sizes.big_file // 5000))
        self.put(uri, "big/random.bin", self.random.randbytes(self.sizes.big_file // 3))
        _, other = self.run(self.experiments[3], "the same file again")
        self.put(other, "again.bin", (block + bytes(4000)) * (self.sizes.big_file // 5000))
        if self.local_root:
            # Artifacts in a plain folder beside the proxy: only the server's own upload call reaches it.
            experiment = self.experiment("local artifacts", artifact_location=f"{self.local_root}/local artifacts é")
            run, _ = self.run(experiment, "local")
            for path in ("a.txt", "sub folder/b.txt"):
                status, text = self.rest.raw("POST", AJAX2 + f"upload-artifact?run_uuid={run}&path=" + path.replace(" ", "%20"),
                                             b"local " + path.encode())
                if status != 200:
                    raise RestError("POST", path, status, text)

    def inputs_and_outputs(self):
        experiment = self.experiments[4]
        for i in range(3):
            run, _ = self.run(experiment, f"datasets {i}")
            sets = [{"dataset": {"name": f"data '{j}' é", "digest": f"d{j}", "source_type": "http" if j else "local",
                                 "source": json.dumps({"url": f"s3://bucket/{j}?a=b"}), "schema": json.dumps({"cols": ["é", j]}),
                                 **({"profile": json.dumps({"rows": j})} if j else {})},
                     "tags": [{"key": "mlflow.data.context", "value": "training\n" + str(i)}] if (i + j) % 3 else []}
                    for j in range(3)]
            self.rest.post("runs/log-inputs", run_id=run, datasets=sets)

    def logged_model(self, experiment, name, run=None, state="LOGGED_MODEL_READY", files=True, **more):
        info = self.rest.post("logged-models", experiment_id=experiment, name=name, **({"source_run_id": run} if run else {}),
                              **more)["model"]["info"]
        model, uri = info["model_id"], info["artifact_uri"]
        if files:
            text = (f"# comment stays\nartifact_path: {uri}\nflavors:\n  python_function:\n    env: {{}}\nmodel_id: {model}\n"
                    + (f"run_id: {run}\n" if run else "") + f"model_uuid: {model}\nutc_time_created: '2026-01-02 03:04:05.678'\n")
            self.put(uri, "MLmodel", text.encode())
            self.put(uri, "code/weights " + name[:3] + ".bin", self.random.randbytes(500))
        self.rest.patch(f"logged-models/{model}", model_id=model, status=state)
        self.models.append((experiment, model, uri, run))
        return model

    def logged_models(self):
        experiment = self.experiments[5]
        run, uri = self.run(experiment, "trains models", metrics=[("acc", 0.5, 100, 1)])
        for i, state in enumerate(MODEL_STATES):
            model = self.logged_model(experiment, f"m{i} é#?+&=", run, state, model_type="pyfunc" if i else "",
                                      params=[{"key": f"mp{j} é", "value": self.text(5)} for j in range(3)],
                                      tags=[{"key": self.key(5), "value": self.text(4)}])
            self.rest.post("runs/outputs", run_id=run, models=[{"model_id": model, "step": i * 10}])
            self.rest.post("runs/log-batch", run_id=run, metrics=[
                {"key": "eval/é", "value": 0.25 + i + step, "timestamp": 1000 + step, "step": step, "model_id": model,
                 **({"dataset_name": "data 'x'", "dataset_digest": "dx"} if step else {})} for step in range(2)])
        free = self.logged_model(experiment, "without a run")
        user, _ = self.run(experiment, "uses models")
        self.rest.post("runs/log-inputs", run_id=user, models=[{"model_id": free}, {"model_id": self.models[0][1]}])
        # Deleted ones are not listed by any search: the output that names one is the only trace of it.
        gone = self.logged_model(experiment, "deleted", run, params=[{"key": "a", "value": "b"}])
        self.rest.post("runs/outputs", run_id=run, models=[{"model_id": gone, "step": 5}])
        self.rest.delete(f"logged-models/{gone}", model_id=gone)

    def old_style_model(self):
        """A model as files of the run, named by the history tag."""
        old, uri = self.run(self.experiments[5], "old style model")
        text = f"artifact_path: model\nflavors:\n  python_function: {{}}\nmodel_uuid: {self.random.randbytes(16).hex()}\nrun_id: {old}\n"
        self.put(uri, "model/MLmodel", text.encode())
        self.put(uri, "model/model.pkl", self.random.randbytes(300))
        history = [{"run_id": old, "artifact_path": "model", "utc_time_created": "2026-01-02", "flavors": {}, "model_uuid": "x"}]
        self.rest.post("runs/set-tag", run_id=old, key="mlflow.log-model.history", value=json.dumps(history))
        self.old_style = (old, uri)

    def version(self, name, source, **more):
        return self.rest.post("model-versions/create", name=name, source=source, **more)["model_version"]["version"]

    def registry(self):
        """Versions of runs and, where the server has them, of logged models."""
        run, uri = self.old_style
        doomed, doomed_uri = self.run(self.experiments[5], "deleted, has a version")
        self.put(doomed_uri, "model/MLmodel", f"artifact_path: model\nrun_id: {doomed}\n".encode())
        self.deleted_last.append(("runs/delete", {"run_id": doomed}))

        for i in range(self.sizes.models):
            name = f"m{i} {self.text(6)}".replace("/", "|").replace(":", ";")
            self.rest.post("registered-models/create", name=name, description=f"line one\nline 'two' {self.text(4)}", tags=self.tags(2))
            count = self.sizes.versions + i
            for n in range(count):
                self.version(name, f"{uri}/model", run_id=run, description=f"v{n + 1}\n\"x\"", tags=self.tags(2))
            # Gaps at the front, in the middle, and (for every other model) the last one.
            gone = {1, 1 + self.random.randrange(2, count - 1)} | ({count} if i % 2 else set())
            for n in gone:
                self.rest.delete("model-versions/delete", name=name, version=str(n))
            left = [n for n in range(1, count + 1) if n not in gone]
            self.rest.post("registered-models/alias", name=name, alias="champion", version=str(left[0]))
            self.rest.post("registered-models/alias", name=name, alias="a_b-C", version=str(left[-1]))
            self.rest.post("registered-models/alias", name=name, alias="also", version=str(left[-1]))
            for n, stage in zip(left, ("Production", "Staging", "Archived", "Production")):
                self.rest.post("model-versions/transition-stage", name=name, version=str(n), stage=stage)

        name = "sources 'n\" \"'"
        self.rest.post("registered-models/create", name=name)
        self.version(name, uri, run_id=run)  # the artifact root itself
        self.version(name, f"{uri}/model", run_id=run, run_link="https://example.com/r?a=b#c")
        self.version(name, "s3://bucket/no/run", description="")
        self.version(name, f"{doomed_uri}/model", run_id=doomed)
        if self.models:
            experiment, model, model_uri, model_run = self.models[0]
            free = next(m for m in self.models if m[3] is None)
            self.version(name, f"models:/{model}", model_id=model)
            self.version(name, model_uri, model_id=model, run_id=model_run)
            self.version(name, f"models:/{free[1]}", model_id=free[1])
        self.version(name, f"models:/{name}/2")
        self.version(name, f"runs:/{run}/model", run_id=run)
        self.rest.post("registered-models/create", name="no versions")
        name = "all versions deleted"
        self.rest.post("registered-models/create", name=name, tags=self.tags(1))
        for n in (1, 2):
            self.version(name, "s3://bucket/x")
        for n in (1, 2):
            self.rest.delete("model-versions/delete", name=name, version=str(n))

    def deleted_objects(self):
        run, uri = self.run(self.experiments[6], "deleted run", params=[("p", "v")], metrics=[("m", 1.0, 1, 1)])
        self.put(uri, "kept.txt", b"files of a deleted run")
        child, _ = self.run(self.experiments[6], "deleted child", tags=[{"key": "mlflow.parentRunId", "value": run}])
        self.run(self.experiments[6], "living child", tags=[{"key": "mlflow.parentRunId", "value": run}])
        for one in (run, child):
            self.deleted_last.append(("runs/delete", {"run_id": one}))
        for i in range(2):
            experiment = self.experiment(f"deleted experiment {i} {self.text(3)}", tags=self.tags(1))
            run, uri = self.run(experiment, "in a deleted experiment", params=[("p", "v")])
            self.put(uri, "d/kept.txt", b"also kept")
            if self.models:
                self.logged_model(experiment, "model of a deleted experiment", run)
            self.deleted_last.append(("experiments/delete", {"experiment_id": experiment}))

    def prompts(self):
        """Prompts with gaps, aliases, tags on both levels; chat and model settings; versions that searches hide."""
        tag = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]

        def prompt(name, *tags):
            self.rest.post("registered-models/create", name=name, tags=tag + list(tags), description="what it is for\n" + self.text(3))

        def version(name, text, *tags, **more):
            return self.version(name, "dummy-source", tags=tag + [{"key": "mlflow.prompt.text", "value": text}, *tags], **more)

        name = f"prompt {self.seed}"
        ids = f",{self.experiments[0]},{self.experiments[2]},"
        prompt(name, {"key": "_mlflow_experiment_ids", "value": ids}, {"key": "team", "value": self.text(4)})
        for i in range(6):
            version(name, f"Say {{{{x}}}} {i}\n'twice' {self.text(6)}", {"key": "_mlflow_prompt_type", "value": "text"},
                    {"key": "t", "value": self.text(2)}, description=f"commit message {i} {self.text(3)}")
        for n in (1, 3, 6):
            self.rest.delete("model-versions/delete", name=name, version=str(n))
        self.rest.post("registered-models/alias", name=name, alias="production", version="4")
        self.rest.post("registered-models/alias", name=name, alias="latest_good", version="5")
        prompt("chat")
        version("chat", json.dumps([{"role": "system", "content": self.text(5)}, {"role": "user", "content": "{{q}}"}]),
                {"key": "_mlflow_prompt_type", "value": "chat"},
                {"key": "_mlflow_prompt_response_format", "value": json.dumps({"type": "object"})},
                {"key": "_mlflow_prompt_model_config", "value": json.dumps({"temperature": 0.1, "model_name": "m"})})
        self.version("chat", "s3://bucket/untagged")  # in no search
        version("chat", "third", {"key": "mlflow.prompt.associatedRunIds", "value": self.runs[0][1]})
        prompt("no versions of it")
        # One tagged version hides every version of an ordinary model from the search, for ever.
        self.rest.post("registered-models/create", name="hides its versions")
        self.version("hides its versions", "s3://bucket/1")
        version("hides its versions", "not a prompt")
        self.version("hides its versions", "s3://bucket/3")
        self.rest.delete("model-versions/delete", name="hides its versions", version="1")

    def spans(self, experiment, trace, spans):
        """Writes spans into the database. `trace`: 32 hex digits; a span: dict of OTLP JSON without traceId."""
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": trace, **span} for span in spans]}]}]}
        status, text = self.rest.raw("POST", "/v1/traces", json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "X-MLflow-Experiment-Id": experiment})
        assert status == 200, text

    def trace_info(self, experiment, trace, **more):
        info = {"trace_id": trace, "request_time": "2026-01-02T03:04:05.678Z", "state": "OK", "execution_duration": "0.5s",
                "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}, **more}
        return self.rest.post("/api/3.0/mlflow/traces", trace={"trace_info": info})["trace"]["trace_info"]

    def traces(self):
        """Both places of spans, every kind of attribute, states, assessments with overrides, links to runs and prompts."""
        home, other, gone = self.experiments[0], self.experiments[3], self.experiments[-1]
        start = 1_767_322_000_123_456_789
        values = [{"stringValue": s} for s in ("plain", "", '"quoted"', '{"a": [1, 2.50, null]}', "[]", "123", "null", "é☃🚀 \n\t", self.text(9))]
        values += [{"boolValue": True}, {"intValue": str(2**63 - 1)}, {"intValue": -7}, {"doubleValue": 0.1}, {"doubleValue": 1e300},
                   {"doubleValue": 5e-324}, {"doubleValue": "NaN"}, {"doubleValue": "-Infinity"}, {"arrayValue": {"values": []}},
                   {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "x"}]}}, {},
                   {"kvlistValue": {"values": [{"key": "k é", "value": {"doubleValue": 2.5}}]}}]
        attributes = [{"key": f"a{i} é", "value": v} for i, v in enumerate(values)]
        # Events and links hold values, not texts of values: NaN and "NaN" are two things.
        odd = [{"key": f"odd{i}", "value": v} for i, v in enumerate([
            {"doubleValue": "NaN"}, {"stringValue": "NaN"}, {"doubleValue": "Infinity"}, {"doubleValue": "-Infinity"}, {"doubleValue": -0.0},
            {"arrayValue": {"values": [{"doubleValue": "NaN"}, {"stringValue": "Infinity"}]}}, {},
            {"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": "NaN"}}]}}])]
        events = [{"timeUnixNano": str(start + 5), "name": "exception 'x'", "attributes": [
            {"key": "exception.message", "value": {"stringValue": self.text(5)}}, {"key": "n", "value": {"intValue": 3}},
            {"key": "d", "value": {"doubleValue": 0.5}}, {"key": "b", "value": {"boolValue": False}}, *odd]}]
        for i in range(self.sizes.traces):
            trace = f"{self.seed:016x}{i:016x}"
            spans = [{"spanId": f"{s + 1:016x}", **({"parentSpanId": f"{s:016x}"} if s else {}), "name": f"span {s} {self.text(3)}",
                      "startTimeUnixNano": str(start + s), "endTimeUnixNano": str(start + 1_000_000 * (9 - s)),
                      "attributes": attributes if s == 0 else attributes[s:s + 4], "events": events if s == 1 else [],
                      "status": {"code": (0, 1, 2)[s % 3], "message": "it failed: é" if s % 3 == 2 else ""},
                      **({"links": [{"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": [{"key": "l", "value": {"stringValue": "m"}}, *odd]}]}
                         if s == 2 else {})} for s in range(4)]
            self.spans(home if i % 2 else other, trace, spans)
            self.trace_info(home if i % 2 else other, "tr-" + trace, client_request_id=f"client {i} é",
                            state=("OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED")[i % 4], request_preview=self.text(9),
                            response_preview=self.text(4), execution_duration=f"{i}.123s",
                            trace_metadata={"a é": self.text(3), "mlflow.sourceRun": self.runs[i % 3][1], "mlflow.trace.session": "s1"},
                            tags={"mlflow.traceName": f"name {i}", "mlflow.trace.spansLocation": "TRACKING_STORE", "t": self.text(3)})
        first = f"tr-{self.seed:016x}{0:016x}"
        source = {"source_type": "HUMAN", "source_id": "somebody"}

        def assess(trace, **assessment):
            return self.rest.post(f"/api/3.0/mlflow/traces/{trace}/assessments", assessment={
                "trace_id": trace, "source": source, "create_time": "2026-01-02T03:04:05.678Z",
                "last_update_time": "2026-01-03T03:04:05.678Z", **assessment})["assessment"]["assessment_id"]

        wrong = assess(first, assessment_name="correct", feedback={"value": True}, rationale=self.text(5))
        assess(first, assessment_name="correct", feedback={"value": False}, overrides=wrong, metadata={"k": self.text(2)})
        assess(first, assessment_name="score", feedback={"value": 0.1}, metadata={"mlflow.assessment.sourceRunId": self.runs[1][1]})
        assess(first, assessment_name="broken", feedback={"error": {"error_code": "E", "error_message": "it broke"}})
        assess(first, assessment_name="expected", expectation={"value": "é 'x'"}, span_id="0000000000000002")
        assess(first, assessment_name="object", expectation={"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": [1]}'}})
        linked = [f"tr-{self.seed:016x}{i:016x}" for i in range(self.sizes.traces)]
        for experiment in (home, other):
            run, _ = self.run(experiment, "linked with traces")
            self.rest.post("traces/link-to-run", trace_ids=linked[:3], run_id=run)
        self.rest.post("traces/link-prompts", trace_id=first, prompt_versions=[
            {"name": f"prompt {self.seed}", "version": "4"}, {"name": "chat", "version": "1"}])
        # Spans in a file, with an id that no database gives; and an info alone.
        for trace, text in ((f"tr-custom_{self.seed}", '{"spans": [ ]}\n'), (f"{self.seed:032x}", None)):
            info = self.trace_info(home, trace, tags={"mlflow.traceName": "in a file"})
            if text is not None:
                self.put(info["tags"]["mlflow.artifactLocation"], "traces.json", text.encode())
                self.put(info["tags"]["mlflow.artifactLocation"], "attachments/a é.bin", self.random.randbytes(99))
        # Files beside spans in the database, one of them under the name that spans have in a file.
        trace = f"{self.seed:08x}" + "ee" * 12
        self.spans(other, trace, [{"spanId": "11" * 8, "name": "x", "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 9)}])
        info = self.trace_info(other, "tr-" + trace, tags={"mlflow.trace.spansLocation": "TRACKING_STORE"})
        self.put(info["tags"]["mlflow.artifactLocation"], "traces.json", b'{"spans": ["of another time"]}')
        self.put(info["tags"]["mlflow.artifactLocation"], "sub/b é.bin", self.random.randbytes(77))
        trace = f"{self.seed:08x}" + "dd" * 12
        self.spans(gone, trace, [{"spanId": "11" * 8, "name": "x", "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 9)}])
        self.trace_info(gone, "tr-" + trace, tags={"mlflow.trace.spansLocation": "TRACKING_STORE"})


def seed(url, number_=1, sizes=None, local_root=None, workspace=None):
    hostile = Hostile(Rest(url, workspace=workspace), number_, sizes, local_root)
    hostile.has_default = workspace in (None, "default")
    return hostile.build()


def add_unservable_files(server_artifacts, rest, run):
    """Files with names that the server lists but cannot send, written into its store from behind. Returns the paths."""
    uri = rest.get("runs/get", run_id=run)["run"]["info"]["artifact_uri"]
    folder = server_artifacts / proxied(uri)
    folder.mkdir(parents=True, exist_ok=True)
    names = ["hash#tag.txt", "percent%25.txt", "new\nline.txt"]
    for name in names:
        (folder / name).write_text("unreachable")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--local-root", help="a folder that the server can write: adds an experiment with local artifacts")
    for field in dataclasses.fields(Sizes):
        parser.add_argument("--" + field.name.replace("_", "-"), type=int, default=field.default)
    options = vars(parser.parse_args())
    url, number_, local = options.pop("url"), options.pop("seed"), options.pop("local_root")
    made = seed(url, number_, Sizes(**options), local)
    print(f"{len(made.experiments)} experiments, {len(made.runs)} runs, {len(made.models)} logged models", file=sys.stderr)


if __name__ == "__main__":
    main()
