"""compare.py must not be blind: one thing of each kind is changed on a clone, and each must be found.

Changes go straight into the clone's SQLite file, so that also values which no REST call can set are covered.
"""

import collections
import json
import sqlite3

import pytest

from compare import Comparison
from conftest import assert_equal, differences
from rest import Rest, proxied
from snapshot import Snapshot

RUN = "SELECT run_uuid FROM runs WHERE name = 'many params'"
LONG = "SELECT run_uuid FROM runs WHERE name = 'long histories'"
MODEL = "SELECT model_id FROM logged_models WHERE name LIKE 'm1 %'"
EXPERIMENT = "SELECT experiment_id FROM experiments WHERE name = 'empty experiment'"

# (kind that must be reported, how often, SQL on the clone)
CHANGES = [
    ("experiment tag", 1, f"UPDATE experiment_tags SET value = value || ' ' WHERE experiment_id = ({EXPERIMENT})"),
    ("experiment lifecycle", 1, f"UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id = ({EXPERIMENT})"),
    ("missing experiment", 1, "UPDATE experiments SET name = 'renamed' WHERE name = ' leading and trailing '"),
    ("extra experiment", 1, None),  # the same change, seen from the other side
    ("run param", 3, f"UPDATE params SET value = 'x' WHERE run_uuid = ({RUN}) AND key IN ('lines', 'empty')"),
    (None, 0, f"DELETE FROM params WHERE run_uuid = ({RUN}) AND key = 'long'"),
    ("run tag", 2, f"UPDATE tags SET value = value || 'x' WHERE run_uuid = ({RUN}) AND key = 'long'"),
    (None, 0, f"INSERT INTO tags(key, value, run_uuid) VALUES('new', '', ({RUN}))"),
    ("run status", 1, "UPDATE runs SET status = 'KILLED' WHERE name = 'FAILED no end'"),
    ("run start_time", 1, "UPDATE runs SET start_time = start_time + 1 WHERE name = 'before 1970'"),
    ("run end_time", 2, "UPDATE runs SET end_time = NULL WHERE name = 'KILLED with end'"),
    (None, 0, "UPDATE runs SET end_time = 0 + 1 WHERE name = 'RUNNING no end'"),
    ("run user_id", 1, "UPDATE runs SET user_id = 'other' WHERE name = 'in Default'"),
    ("run run_name", 1, "UPDATE runs SET name = 'other' WHERE name = 'orphan'"),
    ("run lifecycle_stage", 1, "UPDATE runs SET lifecycle_stage = 'active' WHERE name = 'deleted run'"),
    ("run experiment", 1, "UPDATE runs SET experiment_id = 0 WHERE name = 'living child'"),
    # One bit of one double; one row less; a step; a time; a NaN that becomes a zero.
    ("metric history", 4, f"UPDATE metrics SET value = 0.1 + 0.2 - 0.2 WHERE run_uuid = ({LONG}) AND key = 'h1' AND rowid = "
                          f"(SELECT max(rowid) FROM metrics WHERE run_uuid = ({LONG}) AND key = 'h1')"),
    (None, 0, f"DELETE FROM metrics WHERE rowid = (SELECT max(rowid) FROM metrics WHERE run_uuid = ({LONG}) AND key LIKE 'dir/%')"),
    (None, 0, "UPDATE metrics SET step = step + 1 WHERE key = 'int64 step'"),
    (None, 0, "UPDATE metrics SET is_nan = 0 WHERE key = 'one nan'"),
    ("dataset input", 3, "UPDATE input_tags SET value = 'x' WHERE rowid = (SELECT min(rowid) FROM input_tags WHERE value LIKE 'training%')"),
    (None, 0, "UPDATE datasets SET dataset_profile = '{}' WHERE name LIKE 'data ''2%'"),
    ("model input", 1, "DELETE FROM inputs WHERE source_type = 'RUN_INPUT' AND rowid = "
                       "(SELECT min(rowid) FROM inputs WHERE source_type = 'RUN_INPUT')"),
    ("model output", 1, "UPDATE inputs SET step = 77 WHERE source_type = 'RUN_OUTPUT' AND step = 10"),
    ("logged model name", 1, f"UPDATE logged_models SET name = 'other' WHERE model_id = ({MODEL})"),
    ("logged model status", 1, "UPDATE logged_models SET status = 1 WHERE name = 'without a run'"),
    ("logged model model_type", 1, "UPDATE logged_models SET model_type = 'other' WHERE name LIKE 'm2 %'"),
    ("logged model lifecycle", 1, "UPDATE logged_models SET lifecycle_stage = 'active' WHERE name = 'deleted'"),
    ("logged model source run", 1, f"UPDATE logged_models SET source_run_id = ({RUN}) WHERE name LIKE 'm2 %'"),
    ("logged model param", 1, "UPDATE logged_model_params SET param_value = 'x' WHERE param_key = 'mp0 é' AND model_id = "
                              "(SELECT model_id FROM logged_models WHERE name LIKE 'm0 %')"),
    ("logged model tag", 1, "DELETE FROM logged_model_tags WHERE tag_key LIKE 'k%' AND model_id = "
                            "(SELECT model_id FROM logged_models WHERE name LIKE 'm2 %')"),
    ("logged model metric", 1, "UPDATE logged_model_metrics SET dataset_digest = 'other' WHERE metric_step = 1 AND metric_value = 2.25"),
    ("logged model version link", 1, "UPDATE logged_model_tags SET tag_value = '[]' WHERE tag_key = 'mlflow.modelVersions' AND model_id = "
                                     "(SELECT model_id FROM logged_models WHERE name = 'without a run')"),
    ("missing registered model", 1, "DELETE FROM registered_models WHERE name = 'no versions'"),
    ("registered model description", 1, "UPDATE registered_models SET description = 'x' WHERE name LIKE 'm2 %'"),
    ("registered model tag", 2, "DELETE FROM registered_model_tags WHERE name LIKE 'm2 %'"),
    ("alias", 1, "UPDATE registered_model_aliases SET version = 3 WHERE alias = 'champion' AND name LIKE 'm3 %'"),
    ("version description", 1, "UPDATE model_versions SET description = 'x' WHERE version = 2 AND name LIKE 'sources%'"),
    ("version current_stage", 1, "UPDATE model_versions SET current_stage = 'Staging' WHERE version = 2 AND name LIKE 'sources%'"),
    ("version run_link", 1, "UPDATE model_versions SET run_link = 'http://x/' WHERE version = 2 AND name LIKE 'sources%'"),
    ("version run", 1, "UPDATE model_versions SET run_id = NULL WHERE version = 1 AND name LIKE 'sources%'"),
    ("version source", 1, "UPDATE model_versions SET source = source || '/x' WHERE version = 3 AND name LIKE 'sources%'"),
    ("version tag", 1, "UPDATE model_version_tags SET value = 'x' WHERE rowid = (SELECT min(t.rowid) FROM model_version_tags t "
                       "JOIN model_versions v ON v.name = t.name AND v.version = t.version WHERE v.current_stage = 'Production')"),
    ("missing version", 1, "UPDATE model_versions SET version = 99 WHERE version = 9 AND name LIKE 'sources%'"),
    ("extra version", 1, None),
    ("prompt description", 1, "UPDATE registered_models SET description = 'x' WHERE name LIKE 'prompt %'"),
    ("prompt tag", 1, "UPDATE registered_model_tags SET value = 'x' WHERE key = 'team' AND name LIKE 'prompt %'"),
    ("missing prompt", 1, "DELETE FROM registered_models WHERE name = 'no versions of it'"),
    ("prompt version description", 1, "UPDATE model_versions SET description = 'x' WHERE version = 2 AND name LIKE 'prompt %'"),
    ("prompt version tag", 1, "UPDATE model_version_tags SET value = 'x' WHERE key = 'mlflow.prompt.text' AND version = 1 AND name = 'chat'"),
    ("trace tag", 1, "UPDATE trace_tags SET value = 'x' WHERE rowid = (SELECT min(rowid) FROM trace_tags WHERE key = 't')"),
    ("trace metadata", 1, "UPDATE trace_request_metadata SET value = 'x' WHERE key = 'a é' AND rowid = "
                          "(SELECT min(rowid) FROM trace_request_metadata WHERE key = 'a é')"),
    ("trace info", 1, "UPDATE trace_info SET client_request_id = 'x' WHERE client_request_id = 'client 2 é'"),
    ("trace spans", 1, "UPDATE spans SET content = replace(content, 'span 1', 'span X') WHERE rowid = "
                       "(SELECT min(rowid) FROM spans WHERE content LIKE '%span 1%')"),
    ("assessment", 1, "UPDATE assessments SET rationale = 'x' WHERE rowid = (SELECT min(rowid) FROM assessments WHERE rationale != '')"),
    ("trace run", 1, "DELETE FROM entity_associations WHERE rowid = (SELECT min(rowid) FROM entity_associations "
                     "WHERE source_type = 'trace' AND destination_type = 'run')"),
    ("trace prompt", 1, "DELETE FROM entity_associations WHERE rowid = (SELECT min(rowid) FROM entity_associations "
                        "WHERE source_type = 'trace' AND destination_type = 'prompt_version')"),
    ("scorer version", 1, "UPDATE scorer_versions SET serialized_scorer = '{}' WHERE rowid = (SELECT min(rowid) FROM scorer_versions)"),
    # Each is missing as it was, and there as something else.
    ("dataset", 2, "UPDATE evaluation_dataset_records SET expectations = '{}' WHERE rowid = "
                   "(SELECT min(rowid) FROM evaluation_dataset_records)"),
    ("issue", 2, "UPDATE issues SET severity = 'high' WHERE severity = 'low'"),
    ("webhook", 2, "UPDATE webhooks SET status = 'ACTIVE' WHERE status = 'DISABLED'"),
    ("missing trace", 1, "DELETE FROM trace_info WHERE request_id LIKE '00000%'"),
    ("trace experiment", 1, "UPDATE trace_info SET experiment_id = 0 WHERE request_id LIKE 'tr-custom%'"),
]
# Things that the REST interface can make, and changes of files: (kind, how often).
OTHER_CHANGES = {"duplicate run": 1, "extra run": 1, "duplicate logged model": 1, "run file": 4, "logged model file": 2,
                 "extra registered model": 1, "experiment marker": 1, "trace file": 1}


def change_files(snapshot, server):
    """A flipped byte, a missing file, an extra file, a longer file; an id and a byte in logged models."""
    runs = {r["info"]["run_name"]: r for r in snapshot.runs.values()}
    root = server.artifacts / proxied(runs["files"]["info"]["artifact_uri"])
    data = bytearray((root / "big/random.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (root / "big/random.bin").write_bytes(data)
    (root / "empty.txt").unlink()
    (root / "extra.txt").write_bytes(b"")
    with open(root / "big/compressible.bin", "ab") as f:
        f.write(b"\0")
    models = {m["info"]["name"]: m for m in snapshot.models.values()}
    first = server.artifacts / proxied(models["without a run"]["info"]["artifact_uri"])
    (first / "MLmodel").write_text((first / "MLmodel").read_text().replace("model_id: m-", "model_id: n-"))
    (first / "code" / "weights wit.bin").write_bytes(b"x")
    trace = next(t for i, t in snapshot.traces.items() if i.startswith("tr-custom"))
    (server.artifacts / proxied(trace["tags"]["mlflow.artifactLocation"]) / "attachments" / "a é.bin").write_bytes(b"x")


def make_objects(snapshot, server):
    rest = Rest(server.url)
    some = next(iter(snapshot.runs))
    mark = [{"key": "mlferry.source.id", "value": some}]
    experiment = snapshot.runs[some]["info"]["experiment_id"]
    rest.post("runs/create", experiment_id=experiment, run_name="again", tags=mark)
    rest.post("runs/create", experiment_id="0", run_name="from nowhere")
    model = next(m for m in snapshot.models.values() if not m.get("deleted") and m["info"]["name"] == "without a run")["info"]
    rest.post("logged-models", experiment_id=model["experiment_id"], name="again",
              tags=[{"key": "mlferry.source.id", "value": model["model_id"]}])
    rest.post("registered-models/create", name="extra")
    rest.post("experiments/set-experiment-tag", experiment_id="0", key="mlferry.source.id", value="7")


def test_clone_is_equal(source, empty):
    empty.reset(like=source.golden)
    summary = assert_equal(source, empty, same_ids=True)
    assert summary["compared"]["run"] == summary["source"]["runs"] > 45
    assert summary["source"]["files"] > 30 and summary["source"] == summary["destination"]


def test_every_kind_of_change_is_found(source, empty):
    empty.reset(like=source.golden)
    before = Snapshot(empty.url, contents=False)
    make_objects(before, empty)
    change_files(before, empty)
    wanted = collections.Counter(OTHER_CHANGES)
    with sqlite3.connect(empty.database) as database:
        for kind, count, sql in CHANGES:
            if sql:
                assert database.execute(sql).rowcount > 0, f"changes nothing: {sql}"
            if kind:
                wanted[kind] += count
    database.close()
    total, summary, text = differences(source, empty, same_ids=True)
    found = collections.Counter(summary["by_kind"])
    assert found == wanted, f"too few {dict(wanted - found)}, too many {dict(found - wanted)}\n{text[:6000]}"
    assert total == sum(wanted.values())


def test_every_kind_in_the_program_is_covered():
    """A kind that compare.py can report and that no change above provokes would be untested."""
    import inspect
    import re

    text = inspect.getsource(Comparison)
    kinds = set(re.findall(r'self\.(?:equal|report)\("([a-z _]+)"', text))
    covered = {kind for kind, _, _ in CHANGES if kind} | set(OTHER_CHANGES)
    assert kinds and kinds <= covered, kinds - covered


def test_ids_must_be_mapped(source, empty):
    """Marker tags pair objects whose ids differ; an old id left in a link is a difference."""
    a, b = Rest(source.url), Rest(empty.url)
    with pytest.raises(AssertionError, match="missing run"):
        assert_equal(source, empty, contents=False)
    experiment = b.post("experiments/create", name="classic 1")["experiment_id"]
    original = a.get("experiments/get-by-name", experiment_name="classic 1")["experiment"]["experiment_id"]
    runs = a.post("runs/search", experiment_ids=[original], max_results=1000)["runs"]
    child = next(r for r in runs if any(t["key"] == "mlflow.parentRunId" for t in r["data"]["tags"]))
    tags = child["data"]["tags"] + [{"key": "mlferry.source.id", "value": child["info"]["run_id"]}]
    b.post("runs/create", experiment_id=experiment, start_time=child["info"]["start_time"], tags=tags,
           run_name=child["info"]["run_name"])
    parent = next(t["value"] for t in child["data"]["tags"] if t["key"] == "mlflow.parentRunId")
    old_parent = next(r for r in runs if r["info"]["run_id"] == parent)
    b.post("runs/create", experiment_id=experiment, tags=[{"key": "mlferry.source.id", "value": parent}],
           run_name=old_parent["info"]["run_name"])
    text = differences(source, empty, contents=False)[2]
    lines = [line for line in text.splitlines() if line.startswith("run tag") and "mlflow.parentRunId" in line]
    assert len(lines) == 1 and json.dumps(parent)[1:-1] in lines[0], lines
