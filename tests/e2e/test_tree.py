"""Plain directories: written and read by mlferry, and exchanged with the Python package whose form they have."""

import copy
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import ferry
from conftest import assert_equal, take_snapshot
from ferry import must
from rest import Rest, bits, proxied
from servers import ROOT, environment
from test_roundtrip import assert_adds_up, created

PEER = ROOT / "build" / "venv-peer" / "bin"
NOT_IN_A_TREE = ("scorer", "issue", "webhook")


def export(server, tree, *more, **keywords):
    return ferry.ferry("export-all", "--src-mlflow-uri", server.url, "--output-dir", tree, "--no-progress", *more, **keywords)


def import_(tree, server, *more, **keywords):
    return ferry.ferry("import-all", "--input-dir", tree, "--dst-mlflow-uri", server.url, "--no-progress", *more, **keywords)


def convert(source, *more, **keywords):
    return ferry.ferry("convert", "--from", source, "--no-progress", *more, **keywords)


@pytest.fixture(scope="session")
def tree_made(seeded, place):
    """A directory of the source, and the report of the job that wrote it."""
    folder = place / "tree"
    result = must(export(seeded, folder, report=place / "tree.json"))
    return folder, result.report


def holdable(server):
    """The server's snapshot without what no directory of this form holds."""
    snapshot = copy.copy(take_snapshot(server))
    snapshot.scorers, snapshot.issues, snapshot.webhooks = {}, [], []
    return snapshot


def documents(tree):
    for path in sorted(tree.rglob("*.json")):
        name = str(path.relative_to(tree))
        if "/artifacts/" not in name and "/version_models/" not in name and not name.startswith(".mlferry/"):
            yield name, path


def test_export_says_what_it_leaves_out(source, tree_made):
    folder, report = tree_made
    assert_adds_up(report)
    snapshot = take_snapshot(source)
    census = snapshot.census()
    for kind, counts in report["kinds"].items():
        assert counts["failed"] == 0, kind
        assert counts["skipped"] == (counts["found"] if kind in NOT_IN_A_TREE else 0), kind
    assert sum(report["kinds"][kind]["skipped"] for kind in NOT_IN_A_TREE) == \
        len(snapshot.scorers) + len(snapshot.issues) + len(snapshot.webhooks) > 3
    texts = [f["text"] for f in report["findings"] if f["severity"] == "skipped"]
    assert all("mlflow-export-import cannot hold" in text for text in texts)
    assert report["kinds"]["run"]["copied"] == census["runs"]
    assert report["kinds"]["trace"]["copied"] == census["traces"]
    assert not (folder / ".mlferry" / "unfinished").exists()


def test_files_are_what_python_writes(tree_made):
    """json.dumps(indent=2) of what Python reads from each file is that file, byte for byte."""
    folder, _ = tree_made
    seen = 0
    for name, path in documents(folder):
        data = path.read_bytes()
        text = json.dumps(json.loads(data), indent=2) + "\n"
        assert text.encode() == data, name
        seen += 1
    assert seen > 120
    tags = [json.loads(path.read_bytes())["mlflow"]["tags"] for name, path in documents(folder) if name.endswith("/run.json")]
    assert all(list(t) == sorted(t) for t in tags) and max(map(len, tags)) > 3


def test_round_trip(source, tree_made, empty, tmp_path):
    """Server to directory to server: equal in all that the form holds; again, nothing is made."""
    folder, exported = tree_made
    first = must(import_(folder, empty, report=tmp_path / "first.json")).report
    assert_adds_up(first)
    for kind in ("run", "logged_model", "model_version", "prompt_version", "trace", "evaluation_dataset", "artifact"):
        assert first["kinds"][kind]["found"] == exported["kinds"][kind]["found"], kind
    summary = assert_equal(holdable(source), empty)
    assert summary["compared"]["run"] > 45 and summary["compared"]["version"] > 20
    second = must(import_(folder, empty, report=tmp_path / "second.json")).report
    assert created(second) == {}
    assert_equal(holdable(source), empty)


def test_verify_after_an_import(tree_made, empty, tmp_path):
    report = must(import_(tree_made[0], empty, "--verify", report=tmp_path / "report.json")).report
    for kind in ("run", "model_version", "trace", "artifact"):
        counts = report["kinds"][kind]
        assert counts["verified"] == counts["found"] > 0 and counts["different"] == 0, (kind, counts)


def test_to_an_archive_and_back(source, tree_made, empty, archive, tmp_path):
    """Directory to archive to directory: the same files. And the archive restores what the directory does."""
    folder, _ = tree_made
    must(convert(folder, "--archive", archive))
    must(convert(archive, "--output-dir", tmp_path / "back"))
    one, other = dict(documents(folder)), dict(documents(tmp_path / "back"))
    assert one.keys() == other.keys()

    def content(path):
        document = json.loads(path.read_bytes())
        document.pop("system")
        for lists in ("runs", "logged_models", "traces", "experiments", "models", "prompts", "folders", "datasets"):
            for part in (document.get("mlflow", {}), document.get("mlferry", {})):  # jobs work at many at once
                if isinstance(part.get(lists), list):
                    for item in part[lists]:
                        isinstance(item, dict) and item.pop("duration", None)
                    part[lists].sort(key=str)
        for part in (document.get("info", {}), document.get("info", {}).get("options", {})):
            part.pop("duration", None), part.pop("output_dir", None)
        document.get("info", {}).get("status", {}).pop("duration", None)
        for part in (document.get("mlflow", {}), document.get("info", {})):
            for field in ("experiment_names", "model_names"):
                if isinstance(part.get(field), list):
                    part[field].sort()
        return document

    for name, path in one.items():
        if name in ("manifest.json",) or name.endswith("experiment.json"):
            continue  # hold hashes and copies of lists whose order is free
        if path.name in ("logged_models.json", "traces.json"):
            continue
        assert content(path) == content(other[name]) or json.dumps(content(path)) == json.dumps(content(other[name])), name
    files = lambda tree: {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob("*")  # noqa: E731
                          if p.is_file() and "/artifacts/" in str(p)}
    assert files(folder) == files(tmp_path / "back") != {}
    must(import_(archive, empty))  # --input-dir takes an archive, too
    assert_equal(holdable(source), empty)


def test_repeated_and_interrupted_exports(changed_source, tmp_path, empty):
    """A killed export is refused by the import and goes on when it is run again; a second one reads little."""
    folder = tmp_path / "tree"
    seconds = must(export(changed_source, tmp_path / "timed")).seconds
    killed = ferry.ferry_killed(seconds / 2, "export-all", "--src-mlflow-uri", changed_source.url, "--output-dir", folder,
                                "--no-progress")
    if killed and folder.exists():
        refused = import_(folder, empty)
        assert refused.code == 4 and "was not finished" in refused.error_line()
        for path in folder.glob("experiments/*/runs/*"):
            json.loads((path / "run.json").read_bytes())
    must(export(changed_source, folder))
    run = next(r for r in take_snapshot(changed_source, contents=False).runs.values() if r["info"]["run_name"] == "many params")
    Rest(changed_source.url).post("runs/set-tag", run_id=run["info"]["run_id"], key="late", value="tag")
    again = must(export(changed_source, folder, report=tmp_path / "again.json")).report
    assert created(again) == {}
    runs = again["kinds"]["run"]
    assert runs["skipped"] > 40 and 0 < runs["copied"] < 20, runs
    must(import_(folder, empty))
    assert_equal(holdable(changed_source), empty)


def test_mistakes(source, empty, archive, tree_made, tmp_path):
    """Each is told in one sentence, and nothing is written."""
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "photo").write_text("x")
    for result, code, text in (
            (ferry.ferry("export-all", "--src-mlflow-uri", source.url, "--no-progress"), 2, "give --archive or --output-dir"),
            (export(source, tmp_path / "t", "--archive", archive), 2, "not both"),
            (export(source, other), 1, "is not empty and holds no tree of mlferry"),
            (import_(other, empty), 4, "no directory of mlflow-export-import or mlferry is there"),
            (import_(tmp_path / "none", empty), 4, "no directory of mlflow-export-import"),
            (import_(tree_made[0], empty, "--snapshot", "abc"), 2, "--snapshot is for archives"),
            (convert(tree_made[0]), 2, "give --archive or --output-dir"),
            (convert(tree_made[0], "--output-dir", tree_made[0]), 2, "the same folder")):
        assert result.code == code and text in result.error_line(), result.text[-500:]
    assert not (tmp_path / "t").exists() and [p.name for p in other.iterdir()] == ["photo"]
    assert take_snapshot(empty).census()["runs"] == 0


# --- the package itself --------------------------------------------------------------------------------------------


def peer(command, server, *arguments, code=0):
    """Runs a command of mlflow-export-import 1.2.0 and gives what it said. It often ends with 0 though objects failed."""
    assert (PEER / command).exists(), f"no {command} in {PEER}: scripts/test installs it"
    done = subprocess.run([PEER / command, *map(str, arguments)], env=environment({"MLFLOW_TRACKING_URI": server.url}),
                          capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def seed_plain(server):
    """What release 1.2.0 of the package can carry: runs and registered models."""
    rest = Rest(server.url)
    for number in range(2):
        experiment = rest.post("experiments/create", name=f"plain {number}",
                               tags=[{"key": "mlflow.note.content", "value": "caf\u00e9 \U0001F377"}])["experiment_id"]
        parent = None
        for i in range(3):
            tags = [{"key": "mlflow.user", "value": "me"}, {"key": "odd.\u00e9", "value": "two\nlines \"quoted\""}]
            if parent:
                tags.append({"key": "mlflow.parentRunId", "value": parent})
            info = rest.post("runs/create", experiment_id=experiment, run_name=f"run {number} {i}", start_time=1_700_000_000_123 + i,
                             user_id="me", tags=tags)["run"]["info"]
            run = info["run_id"]
            parent = parent or run
            rest.post("runs/log-batch", run_id=run, params=[{"key": f"p{k}", "value": str(k / 7)} for k in range(110)][:100],
                      metrics=[{"key": "loss", "value": v, "timestamp": 1_700_000_000_000 + s, "step": s - 2}
                               for s, v in enumerate((0.1 + 0.2, 1e-7, 1e22, -0.0, 5e-324))] +
                      [{"key": "nan", "value": "NaN", "timestamp": 5, "step": 0}])
            rest.put_file(f"{proxied(info['artifact_uri'])}/model/MLmodel", f"run_id: {run}\nflavors: {{}}\n".encode())
            rest.put_file(f"{proxied(info['artifact_uri'])}/a b/data.bin", bytes(range(256)))
            rest.post("runs/update", run_id=run, status="FINISHED", end_time=1_700_000_009_999)
            if i < 2:
                if number == 0 and i == 0:
                    rest.post("registered-models/create", name="plain_model", description="d", tags=[{"key": "k", "value": "v"}])
                version = rest.post("model-versions/create", name="plain_model", source=f"{info['artifact_uri']}/model", run_id=run,
                                    description=f"of {number} {i}", tags=[{"key": "vk", "value": "vv"}])["model_version"]["version"]
                if version in "23":
                    rest.post("model-versions/transition-stage", name="plain_model", version=version,
                              stage={"2": "Staging", "3": "Production"}[version], archive_existing_versions=False)
    return server


@pytest.fixture
def plain(other):
    return seed_plain(other)


def test_what_the_package_exported_arrives_whole(plain, empty, tmp_path):
    """export-all of the package, import-all of mlferry: what it could carry is equal, times and steps included."""
    tree = tmp_path / "theirs"
    peer("export-all", plain, "--output-dir", tree)
    assert len(list(tree.glob("experiments/*/*/run.json"))) == 6
    result = must(import_(tree, empty, report=tmp_path / "report.json"))
    assert_adds_up(result.report)
    assert_equal(plain, empty)
    assert created(must(import_(tree, empty, report=tmp_path / "again.json")).report) == {}
    # Written again in the newest layout, it still is all of it.
    must(convert(tree, "--output-dir", tmp_path / "ours"))
    must(import_(tmp_path / "ours", empty.reset(), env={"XDG_STATE_HOME": str(tmp_path / "second")}))
    assert_equal(plain, empty)


def test_our_run_files_say_what_theirs_do(plain, tmp_path):
    """Field by field: the stanzas of both for the same server."""
    peer("export-all", plain, "--output-dir", tmp_path / "theirs")
    must(export(plain, tmp_path / "ours"))
    for theirs in sorted((tmp_path / "theirs").glob("experiments/*/*/run.json")):
        experiment, run = theirs.parts[-3:-1]
        a = json.loads(theirs.read_bytes())["mlflow"]
        b = json.loads((tmp_path / "ours/experiments" / experiment / "runs" / run / "run.json").read_bytes())["mlflow"]
        a["info"].pop("run_uuid", None)
        assert a["info"] == b["info"] and list(a["info"])[:3] and a["params"] == b["params"] and a["tags"] == b["tags"]
        assert list(a) == [key for key in b if key in a]
        points = lambda m: {k: [(bits(p["value"]), p["timestamp"], p["step"]) for p in v] for k, v in m.items()}  # noqa: E731
        assert points(a["metrics"]) == points(b["metrics"])
        files = lambda folder: {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}  # noqa: E731
        assert files(theirs.parent / "artifacts") == files(tmp_path / "ours/experiments" / experiment / "runs" / run / "artifacts")
    for theirs in (tmp_path / "theirs").glob("experiments/*/experiment.json"):
        a = json.loads(theirs.read_bytes())["mlflow"]["experiment"]
        ours = json.loads((tmp_path / "ours/experiments" / theirs.parts[-2] / "experiment.json").read_bytes())["mlflow"]
        assert {k: ours["experiment"].get(k) for k in a} == a
    a, b = (json.loads((tmp_path / side / "models/plain_model/model.json").read_bytes())["mlflow"]["registered_model"]
            for side in ("theirs", "ours"))
    for field in ("name", "description", "tags"):
        assert a[field] == b[field]
    by_number = lambda model: {v["version"]: v for v in model["versions"]}  # noqa: E731
    for number, version in by_number(a).items():
        ours = by_number(b)[number]
        for field in ("description", "current_stage", "source", "run_id", "tags", "status", "_experiment_name"):
            assert version[field] == ours[field], field


def test_the_package_imports_our_directory(plain, empty, tmp_path):
    """import-all of the package from ours. Release 1.2.0 looks for runs one level higher than later versions, and refuses
    versions whose files are on no disk of its own machine."""
    tree = tmp_path / "ours"
    must(export(plain, tree))
    for runs in tree.glob("experiments/*/runs"):
        for run in runs.iterdir():
            shutil.move(run, runs.parent / run.name)
        runs.rmdir()
    said = peer("import-all", empty, "--input-dir", tree, "--delete-model", "False", code=1)
    assert "'source' argument for MLflowClient.create_model_version does not exist" in said
    source, copy_ = take_snapshot(plain), take_snapshot(empty)

    def seen(snapshot):
        out = {}
        for number, run in snapshot.runs.items():
            data = run["data"]
            tags = {t["key"]: t["value"] for t in data["tags"]}
            out[run["info"]["run_name"]] = (
                {p["key"]: p["value"] for p in data["params"]}, tags.get("odd.\u00e9"), run["info"]["status"],
                {key: sorted(map(str, rows)) for key, rows in run["history"].items()},
                {path: data for path, data in snapshot.run_files[number].items() if not path.endswith("MLmodel")})
        return out

    assert len(seen(source)) == 6
    assert seen(source) == seen(copy_), said[-2000:]
    assert source.registered.keys() == copy_.registered.keys()
    assert len(copy_.versions) == 0
