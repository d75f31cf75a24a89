"""Copies between servers of different MLflow versions, judged by the tests' own reader of both."""

import json
import re

import ferry
import pytest
import seed_versions
from conftest import differences, take_snapshot
from ferry import must
from rest import Rest, proxied
from servers import Server

OLDER = {"2.22": False, "3.1": True}  # whether it has logged models


@pytest.fixture(scope="module")
def older(place):
    """A running server of each version, for one use after the other: starting one takes long."""
    servers = {version: Server(place / version, version=version) for version in OLDER}
    try:
        for server in servers.values():
            server.seeded = None
            server.launch()
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def as_source(server):
    """With what seed_versions makes."""
    if server.seeded is None:
        server.reset().snapshot = None
        server.seeded = seed_versions.seed(server.url, OLDER[server.version])
        server.snapshot = take_snapshot(server)
    return server


def as_target(server):
    server.seeded = server.snapshot = None
    return server.reset()


def counts(report, field):
    return {kind: row[field] for kind, row in report["kinds"].items() if row[field]}


def findings(report, severity):
    return [f for f in report["findings"] if f["severity"] == severity]


def assert_whole(report):
    assert counts(report, "failed") == {}
    for kind, row in report["kinds"].items():
        assert row["found"] == row["copied"] + row["skipped"], kind


@pytest.mark.parametrize("version", OLDER)
def test_from_an_older_server(older, empty, archive, tmp_path, version):
    """Through an archive into the current version: everything arrives; a second import makes nothing; verify agrees."""
    source = as_source(older[version])
    exported = must(ferry.export(source, archive, report=tmp_path / "export.json")).report
    assert exported["not_copied"] == {}
    imported = must(ferry.import_(archive, empty, report=tmp_path / "import.json")).report
    assert_whole(imported)
    assert imported["kinds"]["trace"]["created"] == 6
    total, summary, text = differences(source, empty)
    assert total == 0, text[:6000]
    assert summary["compared"]["run"] > 50 and summary["compared"]["trace"] == 6 and summary["compared"]["version"] > 15
    assert (summary["compared"]["logged model"] > 4) == OLDER[version]
    again = must(ferry.import_(archive, empty, report=tmp_path / "again.json")).report
    assert counts(again, "created") == {}
    must(ferry.ferry("verify", "--archive", archive, "--dst-mlflow-uri", empty.url, "--no-progress"))
    read_by_mlflow(empty.url, source.seeded)


def read_by_mlflow(url, seeded):
    """MLflow's own client, and the call of its pages, read the spans of traces that were written by an older one."""
    import mlflow
    from mlflow import MlflowClient

    mlflow.set_tracking_uri(url)
    client, rest = MlflowClient(url), Rest(url)
    for i, trace in enumerate(seeded.trace_ids):
        found = client.get_trace(trace)
        assert [s.name for s in found.data.spans] == ["span 0", "span 1"]
        assert found.data.spans[0].inputs == {"x": "é"} and found.data.spans[0].outputs == [1, 2.5]
        assert found.data.spans[1].parent_id == found.data.spans[0].span_id
        page = rest.get("/ajax-api/3.0/mlflow/get-trace-artifact", request_id=trace)
        assert page == json.loads(seed_versions.client_file(i))


def test_copy_from_an_older_server(older, empty, tmp_path):
    """The same without an archive."""
    source = as_source(older["2.22"])
    report = must(ferry.copy(source, empty, "--verify", report=tmp_path / "copy.json")).report
    assert_whole(report)
    total, _, text = differences(source, empty)
    assert total == 0, text[:6000]


# What the current source has and the other cannot hold: kinds of differences that must be there, and no others may be.
MISSING = {
    "2.22": {"extra experiment", "extra run", "missing logged model", "model output", "model input", "version source", "run tag", "run file",
             "missing trace", "missing scorer", "dataset", "issue", "webhook"},
    # 3.1 shows nobody a logged model that is deleted.
    "3.1": {"missing trace", "missing scorer", "dataset", "issue", "webhook", "missing logged model", "model output"},
}


@pytest.mark.parametrize("version", OLDER)
def test_to_an_older_server(source, exported, older, tmp_path, version):
    """From the current version: what the older one can hold arrives, the rest is named, nothing fails."""
    target = as_target(older[version])
    state = ("--state-dir", tmp_path / "state")
    imported = must(ferry.import_(exported, target, *state, report=tmp_path / "import.json")).report
    assert_whole(imported)
    snapshot, there = take_snapshot(source), take_snapshot(target)
    total, summary, text = differences(snapshot, there)
    assert set(summary["by_kind"]) <= MISSING[version], text[:6000]
    census = snapshot.census()
    assert summary["by_kind"]["missing trace"] == census["traces"] == imported["kinds"]["trace"]["skipped"]
    skipped = {f["kind"]: f["text"] for f in findings(imported, "skipped")}
    assert {"trace", "scorer", "evaluation_dataset", "issue", "webhook"} <= set(skipped)
    assert all(re.search(r"the destination \(MLflow " + re.escape(version) + r"\.\d+\) .*upgrade it", text) for text in skipped.values())
    if OLDER[version]:
        assert summary["by_kind"]["missing logged model"] == census["deleted logged models"] == 1
        assert summary["compared"]["logged model"] == census["logged models"] - 1
    else:
        assert summary["by_kind"]["missing logged model"] == census["logged models"] == imported["kinds"]["logged_model"]["copied"]
        carried(snapshot, there, imported)

    again = must(ferry.import_(exported, target, *state, report=tmp_path / "again.json")).report
    assert counts(again, "created") == {}
    if not OLDER[version]:  # where deleted logged models cannot be seen, only the ledger knows them
        lost = must(ferry.import_(exported, target, "--state-dir", tmp_path / "another", report=tmp_path / "lost.json")).report
        assert counts(lost, "created") == {}
    verified = ferry.ferry("verify", "--archive", exported, "--dst-mlflow-uri", target.url, "--no-progress", report=tmp_path / "verify.json")
    assert verified.code == 20
    named = {(f["kind"], f["id"]) for f in imported["findings"]}
    if OLDER[version]:
        assert any("before 3.9 nobody can see it" in f["text"] for f in findings(imported, "loss"))
        gone = {m for m, doc in snapshot.models.items() if doc.get("deleted")}
        named |= {("logged_model", m) for m in gone}
        named |= {("run", r) for r, doc in snapshot.runs.items() if gone & {m["model_id"] for m in doc.get("outputs", {}).get("model_outputs", [])}}
    # A file of what is not there is not counted by itself; everything else that differs was named by the import.
    unnamed = [f for f in findings(verified.report, "difference") if (f["kind"], f["id"]) not in named]
    assert unnamed == []


def carried(snapshot, there, report):
    """Before MLflow 3: each logged model's files lie in a run, whose id the report tells, and its versions point there."""
    carriers = {}
    for finding in findings(report, "loss"):
        found = re.search(r"has no logged models: run (\w+) in experiment 'mlferry: logged models'", finding["text"])
        if found:
            carriers[finding["id"]] = found[1]
    assert set(carriers) == set(snapshot.models)
    for model, run in carriers.items():
        files, copies = snapshot.model_files[model], there.run_files[run]
        assert set(files) == set(copies)
        for path, (size, digest, mlmodel) in files.items():
            if mlmodel is None:
                assert (size, digest) == copies[path][:2], path
            else:
                assert model.encode() not in copies[path][2] and run.encode() in copies[path][2]
        info = there.runs[run]["info"]
        assert info["run_name"] == snapshot.models[model]["info"]["name"]
        assert info["lifecycle_stage"] == ("deleted" if snapshot.models[model].get("deleted") else "active")
    pointing = 0
    for key, version in snapshot.versions.items():
        models = [m for m in carriers if m in version["source"]]
        if models:
            uri = there.runs[carriers[models[0]]]["info"]["artifact_uri"]
            assert proxied(there.versions[key]["source"]).startswith(proxied(uri))
            pointing += 1
    assert pointing > 10
