"""Parts of a server: what is chosen arrives whole, nothing else does, and a later whole copy brings the rest. Judged by
reading the destination over REST."""

import ferry
import pytest
from compare import compare
from ferry import must
from rest import API3, Rest
from snapshot import Snapshot
from test_roundtrip import created


def names(server):
    rest = Rest(server.url)
    found = rest.pages("POST", "experiments/search", "experiments", view_type="ALL", max_results=1000)
    return {e["name"] for e in found} - {"Default"}


def runs_of(server, **more):
    rest = Rest(server.url)
    ids = [e["experiment_id"] for e in rest.pages("POST", "experiments/search", "experiments", view_type="ALL", max_results=1000)]
    return rest.pages("POST", "runs/search", "runs", experiment_ids=ids, run_view_type="ALL", max_results=1000, **more)


def original(doc):
    return {t["key"]: t["value"] for t in doc.get("tags", doc.get("data", {}).get("tags", []))}.get("mlferry.source.id")


def models(server):
    return {m["name"] for m in Rest(server.url).pages("GET", "registered-models/search", "registered_models", max_results=100)}


def test_one_experiment_with_all_that_is_in_it_then_the_rest(source, empty, tmp_path):
    state = ["--state-dir", tmp_path / "state"]
    part = must(ferry.copy(source, empty, "--experiments", "classic 1", "--verify", *state, report=tmp_path / "part.json")).report
    assert names(empty) == {"classic 1"}
    wanted = {r["info"]["run_id"] for r in source.snapshot.runs.values()
              if source.snapshot.experiments[r["info"]["experiment_id"]]["name"] == "classic 1"}
    assert {original(r) for r in runs_of(empty)} == wanted
    assert part["kinds"]["run"]["verified"] == len(wanted)
    assert part["not_selected"]["experiment"] == len(source.snapshot.experiments) - 1
    assert models(empty) == set()
    must(ferry.copy(source, empty, *state, report=tmp_path / "all.json"))
    differences, summary = compare(source.snapshot, Snapshot(empty.url))
    assert differences == 0, summary


@pytest.mark.parametrize("through_archive", [False, True], ids=["server", "archive"])
def test_a_model_alone_brings_its_files(source, exported, empty, tmp_path, through_archive):
    model = "classic-model-1"
    choice = ["--models", model, "--state-dir", tmp_path / "state"]
    if through_archive:
        report = must(ferry.import_(exported, empty, *choice, report=tmp_path / "report.json")).report
    else:
        report = must(ferry.copy(source, empty, *choice, report=tmp_path / "report.json")).report
    assert models(empty) == {model}
    versions = [n for name, n in source.snapshot.versions if name == model]
    rest = Rest(empty.url)
    there = {int(v["version"]): v for v in rest.pages("GET", "model-versions/search", "model_versions",
                                                      filter=f"name='{model}'", max_results=1000)}
    assert sorted(there) == sorted(versions)
    assert report["kinds"]["artifact"]["failed"] == 0
    before = Rest(source.url)
    for number in versions:
        found = source.snapshot.versions[model, number]
        owner = before.get(f"logged-models/{found['source'].removeprefix('models:/')}")["model"]["info"]
        root = owner["artifact_uri"].removeprefix("mlflow-artifacts:").lstrip("/")
        copy = there[number]["source"].removeprefix("mlflow-artifacts:").lstrip("/")
        for path in ("MLmodel", "python_model.pkl"):
            _, one = before.raw("GET", f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}")
            status, two = rest.raw("GET", f"/api/2.0/mlflow-artifacts/artifacts/{copy}/{path}")
            assert status == 200, (number, path)
            assert path == "MLmodel" or one == two, (number, path)


def test_a_window_of_time_and_a_stage(source, empty, tmp_path):
    times = sorted(r["info"]["start_time"] for r in source.snapshot.runs.values() if r["info"].get("start_time"))
    since, until = times[len(times) // 3], times[2 * len(times) // 3]
    must(ferry.copy(source, empty, "--kinds", "run", "--since", since, "--until", until, "--lifecycle", "active",
                    "--state-dir", tmp_path / "state"))
    live = {e for e, doc in source.snapshot.experiments.items() if doc["lifecycle_stage"] == "active"}
    wanted = {i for i, r in source.snapshot.runs.items() if since <= r["info"].get("start_time", -1) <= until
              and r["info"]["lifecycle_stage"] == "active" and r["info"]["experiment_id"] in live}
    assert 0 < len(wanted) < len(source.snapshot.runs)
    assert {original(r) for r in runs_of(empty)} == wanted
    assert Snapshot(empty.url).traces == {}


def test_traces_of_a_window_without_runs(source, empty, tmp_path):
    must(ferry.copy(source, empty, "--kinds", "trace", "--state-dir", tmp_path / "state"))
    there = Snapshot(empty.url)
    assert set(there.traces) == set(source.snapshot.traces)
    assert there.runs == {}


def test_excluded_objects_stay_away_and_an_archive_says_what_it_holds(source, empty, tmp_path):
    archive = tmp_path / "archive"
    report = must(ferry.export(source, archive, "--exclude", "experiment:classic*", "--exclude", "prompt", "--exclude", "webhook:*",
                               report=tmp_path / "report.json")).report
    assert report["kinds"]["prompt"]["found"] == report["kinds"]["webhook"]["found"] == 0
    assert report["not_selected"]["experiment"] == 1
    listed = must(ferry.ferry("snapshots", "--archive", archive)).out
    assert "--exclude experiment:classic*" in listed
    result = must(ferry.import_(archive, empty, "--state-dir", tmp_path / "state"))
    assert "the snapshot holds a part of its server" in result.out
    assert names(empty) & {"classic 1"} == set()
    assert models(empty) == models(source)


def test_what_is_named_and_not_there_is_told(source, archive, tmp_path):
    """A mistyped name must not end as a backup that looks well."""
    result = ferry.export(source, archive, "--experiments", "classic 1,no such,id:0,name:0", "--models", "no-such-*",
                          report=tmp_path / "report.json")
    assert result.code == 3, result.text
    failed = {(f["kind"], f["id"]) for f in result.report["findings"] if f["severity"] == "failed"}
    assert failed == {("experiment", "no such"), ("experiment", "0")}, result.text
    assert "experiment:name:0" in result.text and "matches registered_model:no-such-*" in result.text, result.text
    counts = result.report["kinds"]["experiment"]
    assert (counts["found"], counts["copied"], counts["failed"]) == (4, 2, 2)
    result = ferry.ferry("verify", "--archive", archive, "--dst-mlflow-uri", source.url, "--experiments", "no such", "--no-progress")
    assert result.code == 3 and "experiment:no such" in result.text, result.text


def test_a_part_as_a_directory_needs_a_folder_of_its_own(source, empty, tmp_path):
    part = ["export-all", "--src-mlflow-uri", source.url, "--output-dir", tmp_path / "plain", "--experiments", "classic 1", "--no-progress"]
    must(ferry.ferry(*part))
    must(ferry.ferry("import-all", "--input-dir", tmp_path / "plain", "--dst-mlflow-uri", empty.url, "--no-progress"))
    assert names(empty) == {"classic 1"}
    assert created(must(ferry.ferry(*part, report=tmp_path / "again.json")).report) == {}  # the same part goes on
    other = ferry.ferry(*part[:-2], "classic 2", "--no-progress")
    assert other.code == 1 and "give a new folder" in other.error_line()
    chosen = ferry.ferry("import-all", "--input-dir", tmp_path / "plain", "--dst-mlflow-uri", empty.url, "--kinds", "run", "--no-progress")
    assert chosen.code == 2 and "mlferry convert" in chosen.error_line()


@pytest.mark.parametrize("arguments, words", [
    (["--include", "thing:a"], ["--include", "'thing' is no kind"]),
    (["--kinds", "run,nonsense"], ["--kinds", "'nonsense'"]),
    (["--since", "yesterday"], ["--since", "'yesterday' is no time"]),
    (["--since", "2026-02-02", "--until", "2026-01-01"], ["--since is later than --until"]),
    (["--lifecycle", "dead"], ["--lifecycle"]),
])
def test_a_wrong_choice_is_a_usage_error(source, tmp_path, arguments, words):
    result = ferry.export(source, tmp_path / "archive", *arguments)
    assert result.code == 2
    assert all(word in result.err for word in words), result.text
    assert not (tmp_path / "archive").exists()
