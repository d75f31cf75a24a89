"""The tools of mlflow-export-import: http-client, signatures, find-artifacts, list-registered-models, rewrite-export,
filter-one-model, and what is refused. One real server for all."""

import base64
import csv
import http.server
import io
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

import ferry
from ferry import must
from proxies import Recorder
from rest import Rest, proxied
from servers import Server, environment, python_of

MLMODEL = """# kept
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.pkl   # a comment
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    predict_fn: predict
  sklearn:
    code: null
    pickled_model: model.pkl
mlflow_version: 3.1.0
model_size_bytes: 17
run_id: RUN
utc_time_created: '2026-01-01 00:00:00.000000'
"""
INPUTS = '[{"type": "long", "name": "a", "required": true}, {"type": "string", "name": "it''s \\u00e9", "required": false}]'
SIGNED = MLMODEL + "signature:\n  inputs: '" + INPUTS.replace("'", "''") + "'\n  outputs: '[{\"type\": \"double\", \"required\": true}]'\n  params: null\n"


@pytest.fixture(scope="module")
def pair(place):
    """The server that the tools ask, and one to import into."""
    servers = [Server(place / name) for name in ("tools", "tools other")]
    try:
        for server in servers:
            server.launch()
        yield [server.wait() for server in servers]
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="module")
def server(pair):
    return pair[0]


@pytest.fixture
def other(pair):
    return pair[1].reset()


class Seeded:
    def __init__(self, server):
        self.rest = rest = Rest(server.url)
        self.experiment = rest.post("experiments/create", name="tools", tags=[{"key": "team", "value": "blue"}])["experiment_id"]
        self.runs = {name: self.run(name) for name in ("signed", "unsigned", "no model", "plain")}
        self.model("signed", SIGNED, whole=True)
        self.model("unsigned", MLMODEL, whole=False)
        for path in ("MLmodel", "deep/a/MLmodel", "deep/metadata/MLmodel", "deep/a/MLmodel.txt"):
            rest.put_file(f"{self.root('plain')}/{path}", b"x: 1\n")
        rest.post("registered-models/create", name="wine", description="d", tags=[{"key": "k", "value": "v"}])
        for name in ("signed", "unsigned", "no model"):
            self.version("wine", f"{self.uri(name)}/model", self.runs[name])
        rest.post("model-versions/transition-stage", name="wine", version="1", stage="Production", archive_existing_versions=False)
        rest.post("registered-models/alias", name="wine", alias="champ", version="1")
        rest.post("registered-models/create", name="other, \"model\"")
        self.version('other, "model"', f"{self.uri('unsigned')}/model", self.runs["unsigned"])
        self.logged = rest.post("logged-models", experiment_id=self.experiment, name="logged", source_run_id=self.runs["plain"]["run_id"])["model"]["info"]
        rest.put_file(f"{proxied(self.logged['artifact_uri'])}/MLmodel", SIGNED.encode())
        rest.call("PATCH", f"logged-models/{self.logged['model_id']}", {"model_id": self.logged["model_id"], "status": "LOGGED_MODEL_READY"})
        rest.post("registered-models/create", name="copied")
        self.version("copied", "models:/wine/1", self.runs["signed"])
        self.version("copied", f"{self.uri('signed')}/model", self.runs["signed"])
        with sqlite3.connect(server.database) as database:  # as on servers whose runs were purged
            database.execute("UPDATE model_versions SET run_id = '' WHERE name = 'copied' AND version = 2")
        database.close()
        self.version("wine", f"models:/{self.logged['model_id']}", self.runs["plain"], model_id=self.logged["model_id"])

    def run(self, name):
        info = self.rest.post("runs/create", experiment_id=self.experiment, run_name=name, start_time=1_700_000_000_000)["run"]["info"]
        self.rest.post("runs/log-batch", run_id=info["run_id"], params=[{"key": "p", "value": "1"}],
                       metrics=[{"key": "m", "value": "NaN", "timestamp": 1, "step": 0}, {"key": "m", "value": 0.1, "timestamp": 2, "step": 1}],
                       tags=[{"key": "secret", "value": "s3cret"}, {"key": "path", "value": "s3://old/x"}])
        self.rest.post("runs/update", run_id=info["run_id"], status="FINISHED", end_time=1_700_000_009_999)
        return info

    def uri(self, name):
        return self.runs[name]["artifact_uri"]

    def root(self, name):
        return proxied(self.uri(name))

    def model(self, name, text, whole):
        files = {"MLmodel": text.replace("RUN", self.runs[name]["run_id"]).encode(), "model.pkl": b"x"}
        if whole:
            files.update({"conda.yaml": b"x", "python_env.yaml": b"x"})
        for file, data in files.items():
            self.rest.put_file(f"{self.root(name)}/model/{file}", data)

    def version(self, model, source, run, **more):
        return self.rest.post("model-versions/create", name=model, source=source, run_id=run["run_id"] if isinstance(run, dict) else run, **more)


@pytest.fixture(scope="module")
def seeded(server):
    return Seeded(server)


@pytest.fixture
def tool(server, seeded):
    """Runs a tool against the server by MLFLOW_TRACKING_URI."""
    return lambda *arguments, **env: ferry.ferry(*arguments, env={"MLFLOW_TRACKING_URI": server.url, **env})


def refused(result, text, code=2):
    assert result.code == code and text in result.error_line() and not result.out, (result.code, result.text[-800:])
    assert len([line for line in result.err.splitlines() if line.strip()]) == 1, result.err


# --- http-client -----------------------------------------------------------------------------------------------------


def test_http_client_methods(tool, seeded, tmp_path):
    got = json.loads(must(tool("http-client", "--resource", "experiments/get", "--params",
                               json.dumps({"experiment_id": seeded.experiment, "none": None}))).out)
    assert got["experiment"]["name"] == "tools"
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"name": "made", "tags": [{"key": "é", "value": "\U0001F377"}]}))
    made = json.loads(must(tool("http-client", "--resource", "/experiments/create", "--method", "post", "--data", f"@{body}")).out)
    out = tmp_path / "out.json"
    must(tool("http-client", "--resource", f"experiments/get?experiment_id={made['experiment_id']}", "--output-file", out))
    text = out.read_text()
    assert json.loads(text)["experiment"]["tags"][0]["value"] == "\U0001F377"
    assert text == json.dumps(json.loads(text), indent=2), "not what Python writes"
    must(tool("http-client", "--method", "PATCH", "--resource", "registered-models/update", "--data", '{"name": "wine", "description": "new"}'))
    assert seeded.rest.get("registered-models/get", name="wine")["registered_model"]["description"] == "new"
    must(tool("http-client", "--method", "DELETE", "--resource", "registered-models/delete-tag", "--data", '{"name": "wine", "key": "k"}'))
    assert "tags" not in seeded.rest.get("registered-models/get", name="wine")["registered_model"]
    seeded.rest.post("registered-models/set-tag", name="wine", key="k", value="v")
    # PUT, and another base path; the answer of a file is the file.
    must(tool("http-client", "--api", "databricks", "--method", "PUT", "--resource", f"mlflow-artifacts/artifacts/{seeded.root('plain')}/put.json",
              "--data", '{"x": [1, 2.5]}'))
    assert must(tool("http-client", "--api", "databricks", "--resource", f"mlflow-artifacts/artifacts/{seeded.root('plain')}/put.json")).out == \
        '{\n  "x": [\n    1,\n    2.5\n  ]\n}\n'


def test_http_client_sends_parameters_in_the_query(server, tool):
    """Not as a body, which proxies drop (H2); lists as repeated keys."""
    with Recorder(server.url) as proxy:
        must(tool("http-client", "--resource", "experiments/search", "--params", '{"max_results": 5, "filter": "name = \'a b\'", "x": ["1", "2"], "y": true}',
                  MLFLOW_TRACKING_URI=proxy.url))
        method, target = proxy.requests[-1][:2]
    assert method == "GET" and target.endswith("experiments/search?max_results=5&filter=name%20%3D%20%27a%20b%27&x=1&x=2&y=true"), target


def test_http_client_logs_in_as_mlflow_does():
    """Logins and tokens of MLflow's variables and of the URI, and a user agent that names mlferry."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.headers.get("Authorization"), self.headers.get("User-Agent")))
            self.send_response(200 if seen[-1][0] else 401)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        place = f"127.0.0.1:{listener.server_address[1]}"
        call = lambda uri, **env: ferry.ferry("http-client", "--resource", "x", env={"MLFLOW_TRACKING_URI": uri, **env})  # noqa: E731
        basic = "Basic " + base64.b64encode(b"me:secret").decode()
        assert must(call(f"http://{place}", MLFLOW_TRACKING_USERNAME="me", MLFLOW_TRACKING_PASSWORD="secret")).out == "{}\n"
        must(call(f"http://{place}", MLFLOW_TRACKING_TOKEN="token"))
        must(call(f"http://me:secret@{place}"))
        refused(call(f"http://{place}"), "MLFLOW_TRACKING_USERNAME", 12)
        assert [login for login, _ in seen] == [basic, "Bearer token", basic, None]
        assert all(agent.startswith("mlferry/") for _, agent in seen)
    finally:
        listener.shutdown()
        listener.server_close()


def test_http_client_errors_have_their_codes(tool, seeded, tmp_path):
    for arguments, code, text in (
            (("--resource", "runs/get", "--params", '{"run_id": "0123"}'), 4, "RESOURCE_DOES_NOT_EXIST"),
            (("--resource", "no/such/call"), 4, "no such call"),
            (("--resource", "experiments/create", "--method", "POST", "--data", '{"name": "tools"}'), 1, "RESOURCE_ALREADY_EXISTS"),
            (("--resource", "x", "--method", "TRACE"), 2, "--method"),
            (("--resource", "x", "--api", "other"), 2, "--api"),
            (("--resource", "a b"), 2, "--resource"),
            (("--resource", ""), 2, "--resource"),
            (("--resource", "x", "--params", "{"), 2, "--params is no JSON"),
            (("--resource", "x", "--params", "[1]"), 2, "--params is no JSON object"),
            (("--resource", "x", "--params", '{"a": {"b": 1}}'), 2, "'a' is nested"),
            (("--resource", "x", "--params", "@/none"), 2, "cannot read the file /none"),
            (("--resource", "x", "--data", "{}"), 2, "GET takes --params"),
            (("--resource", "x", "--method", "POST", "--params", "{}"), 2, "POST takes --data"),
            (("--resource", "x", "--method", "POST", "--data", "nope"), 2, "--data is no JSON"),
            (("--resource", "experiments/get", "--params", '{"experiment_id": "0"}', "--output-file", "/none/x"), 1, "cannot write /none/x"),
            ((), 2, "--resource")):
        refused(tool("http-client", *arguments), text, code)
    refused(tool("http-client", "--resource", "x", MLFLOW_TRACKING_URI=""), "MLFLOW_TRACKING_URI")
    refused(tool("http-client", "--resource", "x", "--retries", "1", MLFLOW_TRACKING_URI="http://127.0.0.1:9"), "127.0.0.1:9", 4)


# --- signatures ------------------------------------------------------------------------------------------------------


def expanded(text=INPUTS):
    return {"inputs": json.loads(text), "outputs": [{"type": "double", "required": True}], "params": None}


def test_get_model_signature(tool, seeded, tmp_path):
    run, model = seeded.runs["signed"]["run_id"], seeded.logged["model_id"]
    for uri in ("models:/wine/1", "models:/wine/production", "models:/wine@champ", f"runs:/{run}/model", f"models:/{model}",
                "models:/wine/latest", "models:/wine/4", "models:/copied/1", "models:/copied/2", f"runs:/{seeded.runs['plain']['run_id']}/logged"):
        result = must(tool("get-model-signature", "--model-uri", uri))
        assert json.loads(result.out) == expanded(), uri
    must(tool("get-model-signature", "--model-uri", "models:/wine/1", "--use-get-model-info", "true"))
    yaml = pytest.importorskip("yaml")
    for suffix in ("json", "yaml", "yml"):
        file = tmp_path / f"signature.{suffix}"
        assert must(tool("get-model-signature", "--model-uri", "models:/wine/1", "--output-file", file)).out == ""
        assert yaml.safe_load(file.read_text()) == expanded()
    link = tmp_path / "link.json"  # is written through, not replaced
    link.symlink_to(tmp_path / "target.json")
    must(tool("get-model-signature", "--model-uri", "models:/wine/1", "--output-file", link))
    assert link.is_symlink() and json.loads((tmp_path / "target.json").read_text()) == expanded()
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "MLmodel").write_text(SIGNED)
    for uri in (folder, f"file:{folder}", f"file://{folder}"):
        assert json.loads(must(ferry.ferry("get-model-signature", "--model-uri", uri)).out) == expanded()


def test_get_model_signature_mistakes(server, tool, seeded, tmp_path):
    run = seeded.runs["unsigned"]["run_id"]
    with Recorder(server.url) as proxy:
        refused(tool("get-model-signature", "--model-uri", "models:/wine/1", "--output-file", tmp_path / "x.txt", MLFLOW_TRACKING_URI=proxy.url),
                "ends neither in .json nor in .yaml")
        assert proxy.requests == []
    for uri, code, text in (
            ("models:/wine/2", 4, "has no signature"), ("models:/wine/9", 4, "no version 9"), ("models:/none/1", 4, "no version 1"),
            ("models:/wine/Staging", 4, "no version in stage Staging"), ("models:/wine@none", 4, "no alias 'none'"),
            ("models:/m-" + 32 * "0", 4, "no logged model"), ("runs:/" + 32 * "0" + "/model", 4, "no run"),
            (f"runs:/{run}/none", 4, "no MLmodel file in 'none'"), ("models:/wine/3", 4, "has no MLmodel file"),
            (tmp_path, 4, "has no MLmodel file"), ("models:/wine/first", 2, "neither a version number nor a stage"),
            ("models:/wine", 2, "no model URI"), ("s3://bucket/x", 2, "no model URI"), ("runs:/a/../b", 2, "no model URI")):
        refused(tool("get-model-signature", "--model-uri", uri), text, code)
    refused(tool("get-model-signature", "--model-uri", "models:/wine/2", "--use-get-model-info", "true"), "'conda.yaml'", 1)
    refused(tool("get-model-signature", "--model-uri", "models:/wine/1", "--use-get-model-info", "perhaps"), "--use-get-model-info")
    refused(tool("get-model-signature"), "--model-uri")
    (tmp_path / "MLmodel").write_text("a: [1\n")
    refused(tool("get-model-signature", "--model-uri", tmp_path), f"the MLmodel file of folder {tmp_path}: it is no YAML", 1)


CSV_INPUTS = ("whole,gaps,float,flag,flag gaps,text,date,quoted,empty\n"
              "1,1,1.5,True,True,x,2026-01-01,\"a, \"\"b\"\"\",\n"
              "2,,2,false,,\u00e9\U0001F377's,2026-01-02,\"line\nfeed\",\n")
CSV_OUTPUTS = "prediction\n0.5\n1\n"
WITH_PYTHON = """
import sys, warnings
warnings.filterwarnings("ignore")
import pandas
from mlflow.models import infer_signature, set_signature
inputs, outputs, both, one = sys.argv[1:]
set_signature(both, infer_signature(pandas.read_csv(inputs), pandas.read_csv(outputs)))
set_signature(one, infer_signature(pandas.read_csv(inputs)))
"""


def test_set_model_signature_is_what_mlflow_writes(tool, seeded, tmp_path):
    """The same model, once signed by mlferry and once by MLflow's own functions: equal but for MLflow's rewriting."""
    yaml = pytest.importorskip("yaml")
    inputs, outputs = tmp_path / "in.csv", tmp_path / "out.csv"
    inputs.write_text(CSV_INPUTS)
    outputs.write_text(CSV_OUTPUTS)
    folders = {name: tmp_path / name for name in ("ours0", "ours1", "theirs0", "theirs1")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "MLmodel").write_text(MLMODEL)
    done = subprocess.run([python_of(None), "-c", WITH_PYTHON, inputs, outputs, folders["theirs0"], folders["theirs1"]],
                          env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for number, more in enumerate((("--output-file", outputs), ())):
        must(ferry.ferry("set-model-signature", "--model-uri", folders[f"ours{number}"], "--input-file", inputs, *more))
        a, b = (yaml.safe_load((folders[f"{side}{number}"] / "MLmodel").read_text())["signature"] for side in ("ours", "theirs"))
        assert a == b
    text = (tmp_path / "ours0" / "MLmodel").read_text()
    assert text.startswith("# kept\nartifact_path: model\n") and "model_path: model.pkl   # a comment" in text
    rest = [line for line in text.splitlines() if not line.startswith(("signature:", "  inputs: ", "  outputs: ", "  params: "))]
    assert rest == MLMODEL.splitlines()


def test_set_model_signature_on_a_server(tool, seeded, tmp_path):
    inputs = tmp_path / "in.csv"
    inputs.write_text("a,b\n1,x\n")
    run = seeded.run("to sign")
    seeded.runs["to sign"] = run
    seeded.model("to sign", MLMODEL, whole=True)
    uri = f"runs:/{run['run_id']}/model"
    shown = json.loads(must(tool("set-model-signature", "--model-uri", uri, "--input-file", inputs, "--dry-run")).out)
    refused(tool("get-model-signature", "--model-uri", uri), "has no signature", 4)
    assert json.loads(must(tool("set-model-signature", "--model-uri", uri, "--input-file", inputs)).out) == shown
    seeded.version("wine", f"{run['artifact_uri']}/model", run)
    for way in (uri, "models:/wine/latest"):
        got = json.loads(must(tool("get-model-signature", "--model-uri", way)).out)
        assert got == shown == {"inputs": [{"type": "long", "name": "a", "required": True}, {"type": "string", "name": "b", "required": True}],
                                "outputs": None, "params": None}
    seeded.rest.delete("model-versions/delete", name="wine", version="5")
    refused(tool("set-model-signature", "--model-uri", uri, "--input-file", inputs), "--overwrite-signature true replaces it")
    inputs.write_text("a\n1.5\n")
    must(tool("set-model-signature", "--model-uri", uri, "--input-file", inputs, "--output-file", inputs, "--overwrite-signature", "yes"))
    again = json.loads(must(tool("get-model-signature", "--model-uri", uri)).out)
    assert again["inputs"] == again["outputs"] == [{"type": "double", "name": "a", "required": True}]
    # MLflow's own reader agrees.
    text = seeded.rest.get_file(f"{seeded.root('to sign')}/model/MLmodel").decode()
    assert text.startswith("# kept\n") and f"run_id: {run['run_id']}\n" in text


def test_set_model_signature_mistakes(tool, seeded, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("a\n1\n")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("{flavors: {}}\n")
    for uri in ("models:/wine/1", "models:/wine@champ", "models:/wine/Production"):
        refused(tool("set-model-signature", "--model-uri", uri, "--input-file", good), "not to be changed")
    for text, why in (("", "is empty"), ("a,b\n", "no rows"), ("a\n1,2\n", "line 2: has 2 fields"), ('a\n"x\n', "a quote that never ends"),
                      ("a\n9223372036854775808\n", "64 bits")):
        bad.write_text(text)
        refused(tool("set-model-signature", "--model-uri", folder, "--input-file", bad), why)
        refused(tool("set-model-signature", "--model-uri", folder, "--input-file", good, "--output-file", bad), why)
    refused(tool("set-model-signature", "--model-uri", folder, "--input-file", tmp_path / "none"), "cannot read the file")
    refused(tool("set-model-signature", "--model-uri", folder, "--input-file", good), "block style", 1)
    refused(tool("set-model-signature", "--model-uri", folder, "--input-file", good, "--overwrite-signature", "x"), "--overwrite-signature")
    refused(tool("set-model-signature", "--model-uri", folder), "--input-file")
    refused(tool("set-model-signature", "--input-file", good), "--model-uri")
    assert (folder / "MLmodel").read_text() == "{flavors: {}}\n"


def test_list_model_versions_without_signatures(tool, seeded, tmp_path):
    rows = lambda text: list(csv.DictReader(io.StringIO(text)))  # noqa: E731
    result = tool("list-model-versions-without-signatures")
    assert result.code == 3, result.text  # one has no MLmodel
    found = rows(result.out)
    runs = {name: info["run_id"] for name, info in seeded.runs.items()}
    assert [(r["model"], r["version"], r["run_id"], bool(r["error"])) for r in found] == [
        ('other, "model"', "1", runs["unsigned"], False), ("wine", "2", runs["unsigned"], False), ("wine", "3", runs["no model"], True)]
    file = tmp_path / "rows.csv"
    must(tool("list-model-versions-without-signatures", "--filter", "name = 'other, \"model\"'", "--output-file", file))
    assert [r["model"] for r in rows(file.read_text())] == ['other, "model"']
    assert tool("list-model-versions-without-signatures", "--use-get-model-info", "true", "--filter", "name = 'wine'").code == 3
    refused(tool("list-model-versions-without-signatures", "--filter", "colour = 'red'"), "--filter")
    refused(tool("list-model-versions-without-signatures", "--use-get-model-info", "x"), "--use-get-model-info")


# --- lists -----------------------------------------------------------------------------------------------------------


def test_find_artifacts(tool, seeded):
    run = seeded.runs["plain"]["run_id"]
    for more, wanted in (((), ["MLmodel", "deep/a/MLmodel", "deep/metadata/MLmodel"]), (("--max-level", "0"), ["MLmodel"]),
                         (("--max-level", "1"), ["MLmodel"]), (("--path", "deep"), ["deep/a/MLmodel", "deep/metadata/MLmodel"]),
                         (("--path", "deep", "--max-level", "0"), [])):
        assert must(tool("find-artifacts", "--run-id", run, "--target", "MLmodel", *more)).out.split() == wanted, more
    assert must(tool("find-artifacts", "--run-id", run, "--target", "none")).out == ""
    refused(tool("find-artifacts", "--run-id", 32 * "0", "--target", "x"), "RESOURCE_DOES_NOT_EXIST", 4)
    refused(tool("find-artifacts", "--run-id", run, "--target", "a/b"), "--target")
    refused(tool("find-artifacts", "--run-id", run, "--target", "x", "--path", "../x"), "--path")
    for level in ("-1", "x"):
        refused(tool("find-artifacts", "--run-id", run, "--target", "x", "--max-level", level), "--max-level")
    refused(tool("find-artifacts", "--run-id", run), "--target")
    refused(tool("find-artifacts", "--target", "x"), "--run-id")


def test_list_registered_models(tool, seeded):
    shown = must(tool("list-registered-models")).out
    listed = json.loads(shown)
    assert listed == seeded.rest.get("registered-models/search", max_results=1000)
    assert shown == json.dumps(listed, indent=2) + "\n"


# --- directories -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(server, seeded, place):
    folder = place / "tools exported"
    must(ferry.ferry("export-all", "--src-mlflow-uri", server.url, "--output-dir", folder, "--no-progress"))
    return folder


@pytest.fixture
def tree(exported, tmp_path):
    return pathlib.Path(shutil.copytree(exported, tmp_path / "tree"))


RULES = [
    {"files": "experiments/*/experiment.json", "set": "/mlflow/experiment/tags/team", "value": "red"},
    {"files": "*/run.json", "remove": "/mlflow/tags/secret"},
    {"files": "*/run.json", "replace": "/mlflow/tags", "find": "s3://old", "with": "s3://new"},
    {"files": "*/run.json", "rename": "/mlflow/params/p", "to": "q"},
    {"files": "models/wine/model.json", "set": "/mlflow/registered_model/description", "value": "rewritten"},
]


def test_rewrite_export_by_rules(tree, other, tmp_path):
    """What the rules say arrives on a server: the edited stanza counts, though mlferry wrote the files."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"rules": RULES + [{"remove": "/mlflow/none"}]}))
    before = {path: path.read_bytes() for path in tree.rglob("*.json")}
    dry = must(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules, "--dry-run"))
    assert "would change" in dry.out and {p: p.read_bytes() for p in tree.rglob("*.json")} == before
    result = must(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules))
    assert "rule 6 changed nothing" in result.err and " 0 failed" in result.out
    changed = [path for path in before if path.read_bytes() != before[path]]
    assert len(changed) >= 6 and all(path.with_name(path.name + ".backup").read_bytes() == before[path] for path in changed)
    assert len(list(tree.rglob("*.backup"))) == len(changed)
    for path in changed:
        assert path.read_bytes() == (json.dumps(json.loads(path.read_bytes()), indent=2) + "\n").encode(), path
    # Again, nothing changes; after another change the backup still is of the first time.
    assert ", 0 changed" in must(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules)).out
    rules.write_text(json.dumps([RULES[4] | {"value": "twice"}]))
    must(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules))
    model = tree / "models" / "wine" / "model.json"
    assert (tree / "models/wine/model.json.backup").read_bytes() == before[model]

    must(ferry.ferry("import-all", "--input-dir", tree, "--dst-mlflow-uri", other.url, "--no-progress"))
    rest = Rest(other.url)
    experiment = rest.get("experiments/get-by-name", experiment_name="tools")["experiment"]
    assert {"key": "team", "value": "red"} in experiment["tags"]
    runs = rest.post("runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]
    assert len(runs) >= 4
    for run in runs:
        tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
        assert "secret" not in tags and tags["path"] == "s3://new/x"
        assert [p["key"] for p in run["data"]["params"]] == ["q"]
    wine = rest.get("registered-models/get", name="wine")["registered_model"]
    assert wine["description"] == "twice" and wine["aliases"] == [{"alias": "champ", "version": "1"}]
    stages = {v["version"]: v["current_stage"] for v in rest.get("model-versions/search", filter="name='wine'")["model_versions"]}
    assert stages == {"1": "Production", "2": "None", "3": "None", "4": "None"}


def test_rewrite_export_by_a_command(tree, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import json, os, sys\nd = json.load(sys.stdin)\nkind = os.environ['MLFERRY_OBJECT']\n"
                       "if kind == 'model': sys.exit(7) if 'other' in os.environ['MLFERRY_FILE'] else None\n"
                       "if kind == 'run': print('no JSON'); sys.exit()\n"
                       "if kind == 'experiment': d['mlflow']['experiment']['tags']['by'] = os.environ['MLFERRY_FILE']\n"
                       "json.dump(d, sys.stdout)\n")
    runs = {path: path.read_bytes() for path in tree.rglob("run.json")}
    result = ferry.ferry("rewrite-export", "--input-dir", tree, "--command", f"{sys.executable} {program}")
    assert result.code == 3 and f"{len(runs) + 1} failed" in result.out, result.text
    assert "the command ended with 7" in result.err and "what the command wrote: not valid JSON" in result.err
    for path in tree.glob("experiments/*/experiment.json"):
        assert json.loads(path.read_bytes())["mlflow"]["experiment"]["tags"]["by"] == str(path.relative_to(tree))
    assert {path: path.read_bytes() for path in tree.rglob("run.json")} == runs
    assert not list(tree.rglob("run.json.backup"))


def test_rewrite_export_mistakes(tree, tmp_path):
    rules = tmp_path / "rules.json"
    for text, why in (("{", "no JSON"), ("{}", "no list of rules"), ("[]", "is empty"), ("[1]", "rule 1: it is no JSON object"),
                      ('[{"files": "x"}]', "none of 'set'"), ('[{"set": "/a"}]', "needs a 'value'"),
                      ('[{"set": "/a", "remove": "/b", "value": 1}]', "both 'set' and 'remove'"), ('[{"remove": "a"}]', "no JSON pointer"),
                      ('[{"remove": "/a~2"}]', "'~0'"), ('[{"remove": "/mlferry/of"}]', "who wrote the file"),
                      ('[{"rename": "/a"}]', "'to' is missing"), ('[{"replace": "/a", "find": "", "with": ""}]', "'find' is empty"),
                      ('[{"remove": "/a", "vale": 1}]', "'vale' is not known")):
        rules.write_text(text)
        refused(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules), why)
    refused(ferry.ferry("rewrite-export", "--input-dir", tree, "--custom-rewriters-module", "x.py"), "--rules FILE, or give --command PROGRAM")
    refused(ferry.ferry("rewrite-export", "--input-dir", tree), "give --rules or --command")
    refused(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", rules, "--command", "cat"), "one of them only")
    refused(ferry.ferry("rewrite-export", "--input-dir", tree, "--rules", tmp_path / "none"), "cannot read the file")
    refused(ferry.ferry("rewrite-export", "--command", "cat"), "--input-dir")
    refused(ferry.ferry("rewrite-export", "--input-dir", tmp_path / "none", "--command", "cat"), "no directory of", 4)
    (tree / ".mlferry" / "unfinished").write_text("{}")
    refused(ferry.ferry("rewrite-export", "--input-dir", tree, "--command", "cat"), "was not finished", 4)


def test_filter_one_model(tree, other, tmp_path):
    """A copy under new names, of the newest layout and of the older ones, which an import takes."""
    older = pathlib.Path(shutil.copytree(tree, tmp_path / "older"))
    for runs in older.glob("experiments/*/runs"):
        for run in runs.iterdir():
            run.rename(runs.parent / run.name)
    for model in older.glob("models/*/model.json"):  # V3: another folder's name, no stanza of ours
        document = json.loads(model.read_bytes())
        document.pop("mlferry")
        model.write_text(json.dumps(document))
        model.parent.rename(model.parent.with_name("folder of " + model.parent.name))
    for number, source in enumerate((tree, older)):
        out = tmp_path / f"out{number}"
        must(ferry.ferry("filter-one-model", "--input-dir", source, "--output-dir", out, "--src-model", "wine", "--dst-model", "new wine",
                         "--dst-experiment", "new place"))
        assert [p.name for p in (out / "models").iterdir() if p.is_dir()] == ["new wine"]
        assert len(list(out.glob("experiments/*/"))) == 1 and not (out / ".mlferry" / "unfinished").exists()
        other.reset()
        must(ferry.ferry("import-all", "--input-dir", out, "--dst-mlflow-uri", other.url, "--no-progress",
                         env={"XDG_STATE_HOME": str(tmp_path / f"state{number}")}))
        rest = Rest(other.url)
        names = [e["name"] for e in rest.post("experiments/search", max_results=100)["experiments"]]
        assert sorted(names) == ["Default", "new place"]
        assert [m["name"] for m in rest.get("registered-models/search")["registered_models"]] == ["new wine"]
        versions = rest.get("model-versions/search", filter="name='new wine'")["model_versions"]
        assert sorted(v["version"] for v in versions) == ["1", "2", "3", "4"]
        experiment = rest.get("experiments/get-by-name", experiment_name="new place")["experiment"]["experiment_id"]
        for version in versions:
            if version["run_id"]:
                assert rest.get("runs/get", run_id=version["run_id"])["run"]["info"]["experiment_id"] == experiment
    # Under its own names the files are the same, so that an import knows the objects.
    same = tmp_path / "same"
    must(ferry.ferry("filter-one-model", "--input-dir", tree, "--output-dir", same, "--src-model", "wine"))
    for path in (same / "experiments").glob("*/**/*.json"):
        assert path.read_bytes() == (tree / path.relative_to(same)).read_bytes()
    assert (same / "models/wine/model.json").read_bytes() == (tree / "models/wine/model.json").read_bytes()


def test_filter_one_model_mistakes(tree, seeded, tmp_path):
    run = lambda *more: ferry.ferry("filter-one-model", *more)  # noqa: E731
    out = tmp_path / "out"
    refused(run("--input-dir", tree, "--output-dir", out, "--src-model", "none"), "no model 'none'")
    refused(run("--input-dir", tree, "--output-dir", tree, "--src-model", "wine"), "is not empty")
    refused(run("--input-dir", tmp_path / "none", "--output-dir", out, "--src-model", "wine"), "no directory of", 4)
    for left_out in ("--input-dir", "--output-dir", "--src-model"):
        arguments = {"--input-dir": tree, "--output-dir": out, "--src-model": "wine"}
        arguments.pop(left_out)
        refused(run(*[part for pair in arguments.items() for part in pair]), left_out)
    # A second experiment that a version's run lies in: one new name is not enough.
    experiment = next(tree.glob("experiments/*/runs/*")).parent.parent
    second = experiment.with_name("77")
    second.mkdir()
    (second / "runs").mkdir()
    signed = experiment / "runs" / seeded.runs["signed"]["run_id"]
    signed.rename(second / "runs" / signed.name)
    document = json.loads((experiment / "experiment.json").read_bytes())
    document["mlflow"]["experiment"].update(experiment_id="77", name="second")
    (second / "experiment.json").write_text(json.dumps(document))
    index = tree / "experiments" / "experiments.json"
    document = json.loads(index.read_bytes())
    document["mlflow"]["experiments"].append({"id": "77", "name": "second"})
    index.write_text(json.dumps(document))
    refused(run("--input-dir", tree, "--output-dir", out, "--src-model", "wine", "--dst-experiment", "x"), "lie in 2 experiments")
    assert not out.exists()
    must(run("--input-dir", tree, "--output-dir", out, "--src-model", "wine"))
    assert {p.name for p in (out / "experiments").iterdir() if p.is_dir()} == {experiment.name, "77"}


# --- what needs Databricks -------------------------------------------------------------------------------------------


def test_databricks_tools_are_refused_after_their_options(tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text("{}")
    for arguments, why in (
            (("download-notebook", "--output-dir", tmp_path, "--notebook", "/Users/me/x", "--revision", "17", "--notebook-formats", "source,dbc"),
             "needs a Databricks server"),
            (("download-notebook", "--output-dir", tmp_path, "--notebook", "x"), "begins with /"),
            (("download-notebook", "--output-dir", tmp_path, "--notebook", "/x", "--revision", "a"), "--revision"),
            (("download-notebook", "--output-dir", tmp_path, "--notebook", "/x", "--notebook-formats", "PDF"), "'PDF'"),
            (("download-notebook", "--notebook", "/x"), "--output-dir"), (("download-notebook", "--output-dir", tmp_path), "--notebook"),
            (("run-submit", "--spec-file", spec, "--profile", "p", "--sleep-seconds", "1", "--timeout-seconds", "9", "--verbose", "true"),
             "needs a Databricks server"),
            (("run-submit", "--spec-file", tmp_path / "none"), "cannot read"), (("run-submit",), "--spec-file"),
            (("run-submit", "--spec-file", spec, "--sleep-seconds", "0"), "--sleep-seconds"),
            (("run-submit", "--spec-file", spec, "--timeout-seconds", "x"), "--timeout-seconds"),
            (("run-submit", "--spec-file", spec, "--verbose", "x"), "--verbose")):
        refused(ferry.ferry(*arguments), why)
    spec.write_text("[]")
    refused(ferry.ferry("run-submit", "--spec-file", spec), "no JSON object")


# --- aliases and environment -----------------------------------------------------------------------------------------

NAMES = """copy-model-version copy-run download-notebook export-all export-evaluation-dataset export-evaluation-datasets
export-experiment export-experiments export-logged-model export-logged-models export-model export-model-version export-models
export-prompt export-prompts export-run export-trace export-traces get-model-signature http-client import-all
import-evaluation-dataset import-evaluation-datasets import-experiment import-experiments import-logged-model import-logged-models
import-model import-model-version import-models import-prompt import-prompts import-run import-trace import-traces
list-model-versions-without-signatures set-model-signature""".split()


def called_as(program, *arguments, env=None):
    return subprocess.run([program, *map(str, arguments)], env=environment(env), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def test_aliases(server, seeded, tmp_path):
    """Under each of the 37 names the program is that command, and no other name is one."""
    links = tmp_path / "bin"
    assert "37 links made, 0 were there" in must(ferry.ferry("install-aliases", links)).out
    assert "0 links made, 37 were there" in must(ferry.ferry("install-aliases", links)).out
    assert sorted(p.name for p in links.iterdir()) == NAMES and len(NAMES) == 37
    listed = must(ferry.ferry("--help")).out.split()
    for name in NAMES:
        assert name in listed, name
        done = called_as(links / name, "--help")
        assert done.returncode == 0 and f"Usage: mlferry {name} " in done.stdout, name
    got = called_as(links / "http-client", "--resource", "experiments/get", "--params", '{"experiment_id": "0"}',
                    env={"MLFLOW_TRACKING_URI": server.url})
    assert got.returncode == 0 and json.loads(got.stdout)["experiment"]["name"] == "Default"
    wrong = called_as(links / "http-client", "--none")
    assert wrong.returncode == 2 and "mlferry http-client --help" in wrong.stderr
    other = tmp_path / "find-artifacts"
    other.symlink_to(links / "http-client")
    assert "Subcommands" not in called_as(links / "http-client", "--help").stdout
    assert "Whole servers" in called_as(other, "--help").stdout
    # What somebody else put there stays, and nothing is done.
    (links / "export-run").unlink()
    (links / "import-run").unlink()
    (links / "export-run").write_text("#!/usr/bin/env python\n")
    refused(ferry.ferry("install-aliases", links), "not overwritten: export-run")
    assert not (links / "import-run").exists()
    assert "35 links removed; 1 other things" in must(ferry.ferry("install-aliases", links, "--remove")).out
    assert [p.name for p in links.iterdir()] == ["export-run"]
    refused(ferry.ferry("install-aliases"), "folder")
    refused(ferry.ferry("install-aliases", links / "export-run" / "x"), "cannot make the folder", 1)


def test_help_groups_the_commands():
    text = must(ferry.ferry("--help")).out
    places = [text.index(heading + ":") for heading in ("Whole servers", "Archives", "Copies and tools, as of mlflow-export-import", "About mlferry")]
    assert places == sorted(places)
    assert text.index("export-all") < text.index("Archives:") < text.index("http-client") < text.index("install-aliases")


def test_environment_of_the_package(server, seeded, tool, tmp_path):
    log = tmp_path / "x.log"
    result = must(tool("http-client", "--resource", "experiments/get", "--params", '{"experiment_id": "0"}',
                       MLFLOW_EXPORT_IMPORT_LOG_OUTPUT_FILE=str(log), MLFLOW_EXPORT_IMPORT_LOG_CONFIG_FILE="/x.yaml",
                       MLFLOW_EXPORT_IMPORT_LOG_FORMAT="%(message)s"))
    assert "GET experiments/get: 200" in log.read_text()
    warnings = result.err.splitlines()
    assert len(warnings) == 2 and all("is not used" in line and "--log-level" in line for line in warnings)
    other = tmp_path / "y.log"
    size = log.stat().st_size
    must(tool("http-client", "--resource", "experiments/get", "--params", '{"experiment_id": "0"}', "--log-file", other, "--log-level", "info",
              MLFLOW_EXPORT_IMPORT_LOG_OUTPUT_FILE=str(log)))
    assert "GET experiments/get" in other.read_text() and log.stat().st_size == size
    # The registry is the tracking server's own.
    must(tool("list-registered-models", MLFLOW_REGISTRY_URI=server.url + "/"))
    refused(tool("list-registered-models", MLFLOW_REGISTRY_URI="http://127.0.0.1:9"), "MLFLOW_REGISTRY_URI is 'http://127.0.0.1:9'")
    refused(tool("export-all", "--archive", tmp_path / "archive", MLFLOW_REGISTRY_URI="databricks-uc"), "MLFLOW_REGISTRY_URI")
    must(tool("find-artifacts", "--run-id", seeded.runs["plain"]["run_id"], "--target", "x", MLFLOW_REGISTRY_URI="http://127.0.0.1:9"))
    must(tool("list-registered-models", "--src-mlflow-uri", server.url, MLFLOW_REGISTRY_URI="http://127.0.0.1:9"))
