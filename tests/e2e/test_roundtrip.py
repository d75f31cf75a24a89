"""The promises of the architecture, each as a test on real servers with the hostile and the classic workload."""

import json
import os
import random
import shutil
import sqlite3
import time

import ferry
import pytest
from conftest import assert_equal, differences, take_snapshot
from ferry import must
from proxies import Recorder
from rest import Rest, parallel, proxied

RSS_LIMIT_KIB = 300 * 1024


def created(report):
    return {kind: counts["created"] for kind, counts in report["kinds"].items() if counts["created"]}


def assert_adds_up(report):
    for kind, counts in report["kinds"].items():
        assert counts["found"] == counts["copied"] + counts["skipped"] + counts["failed"], (kind, counts)


def assert_reports_everything(report, snapshot):
    census = snapshot.census()
    assert_adds_up(report)
    # The gateway, MCP servers and reviews have workloads of their own.
    found = {kind: counts["found"] for kind, counts in report["kinds"].items() if counts["found"]}
    assert found == {"experiment": census["experiments"], "run": census["runs"], "logged_model": census["logged models"],
                     "registered_model": census["registered models"], "model_version": census["model versions"],
                     "prompt": census["prompts"], "prompt_version": census["prompt versions"], "trace": census["traces"],
                     "artifact": census["files"] + census["trace files"], "scorer": census["scorers"],
                     "evaluation_dataset": census["datasets"], "issue": census["issues"], "webhook": census["webhooks"]}
    assert report["not_copied"] == {}


def test_promise_complete(source, export_made, import_made, copy_made):
    """What the reports of export, import and copy list is what the server holds, by an independent count."""
    snapshot = take_snapshot(source)
    for made in (export_made, import_made, copy_made):
        assert_reports_everything(made.report, snapshot)
        assert all(counts["failed"] == 0 for counts in made.report["kinds"].values())
    assert [item["kind"] for item in copy_made.report["follow_up"]] == ["webhook"] * 3
    assert "enter its secret again" in copy_made.text, "what is left to do is not told"


def test_unservable_files_are_reported(changed_source, empty, tmp_path):
    """Files that no endpoint can send: each is named, the run's other files arrive, and the exit code says 3."""
    import seed_hostile

    snapshot = take_snapshot(changed_source)
    run = next(i for i, r in snapshot.runs.items() if r["info"]["run_name"] == "deleted run")
    names = seed_hostile.add_unservable_files(changed_source.artifacts, Rest(changed_source.url), run)
    result = ferry.copy(changed_source, empty, report=tmp_path / "report.json")
    assert result.code == 3, result.text[-2000:]
    assert_adds_up(result.report)
    assert result.report["kinds"]["artifact"]["failed"] == len(names)
    texts = json.dumps([f for f in result.report["findings"] if f["severity"] == "failed"], ensure_ascii=False)
    for name in names:
        assert json.dumps(name)[1:-1] in texts or name in texts, name
    assert_equal(changed_source, empty)


def test_promise_faithful(source, import_made, copy_made, empty, other):
    """Server to archive to server, and server to server: the independent comparison finds no difference."""
    summary = assert_equal(source, empty.reset(like=import_made.folder))
    assert summary["compared"]["run"] > 45 and summary["compared"]["version"] > 20
    assert_equal(source, other.reset(like=copy_made.folder))
    # A copy of the copy, through an archive made from it, is still the original.
    must(ferry.copy(other, empty.reset(), env={"XDG_STATE_HOME": str(empty.folder / "second")}))
    assert_equal(other, empty)


def test_promise_idempotent(source, exported, import_made, empty, archive, tmp_path):
    """A second import and a second export change nothing, also after the ledger is lost."""
    first = import_made.report
    assert created(first)["run"] == first["kinds"]["run"]["found"]
    empty.reset(like=import_made.folder)
    shutil.copytree(import_made.state, tmp_path / "kept")
    for state in ("kept", "lost"):
        again = must(ferry.import_(exported, empty, "--state-dir", tmp_path / state, report=tmp_path / "2.json"))
        assert created(again.report) == {}, f"state folder {state!r}"
    assert_equal(source, empty)
    # The second backup of an unchanged server stores (nearly) nothing and is as good as the first.
    shutil.copytree(exported, archive)
    size = tree_size(archive)
    second = must(ferry.export(source, archive, report=tmp_path / "3.json"))
    assert created(second.report) == {}
    assert second.report["kinds"]["run"]["unchanged"] == second.report["kinds"]["run"]["found"]
    assert tree_size(archive) - size < size / 2
    assert must(ferry.ferry("snapshots", "--archive", archive)).out.count("Z") >= 2
    must(ferry.ferry("check", "--archive", archive, "--read-data"))
    third = must(ferry.import_(archive, empty, "--state-dir", tmp_path / "kept", report=tmp_path / "4.json"))
    assert created(third.report) == {}
    assert_equal(source, empty)


def tree_size(folder):
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def test_changes_are_carried_over(changed_source, exported, import_made, empty, archive, tmp_path):
    """After changes on the source the same two commands bring the destination up to date."""
    shutil.copytree(exported, archive)
    empty.reset(like=import_made.folder)
    rest, snapshot = Rest(changed_source.url), take_snapshot(changed_source)
    run = next(r for r in snapshot.runs.values() if r["info"]["run_name"] == "many params")["info"]
    rest.post("runs/log-batch", run_id=run["run_id"], params=[{"key": "added", "value": "later"}],
              metrics=[{"key": "added", "value": 1.25, "timestamp": 5, "step": 1}], tags=[{"key": "added", "value": "tag"}])
    rest.put_file(run["artifact_uri"].partition(":/")[2].lstrip("/") + "/later.txt", b"later")
    made = rest.post("runs/create", experiment_id=run["experiment_id"], run_name="made later", start_time=7)["run"]["info"]
    rest.post("runs/update", run_id=made["run_id"], status="FINISHED", end_time=8)
    rest.post("model-versions/create", name="no versions", source="s3://bucket/later")
    rest.post("registered-models/alias", name="no versions", alias="new", version="1")
    must(ferry.export(changed_source, archive))
    result = must(ferry.import_(archive, empty, report=tmp_path / "report.json"))
    assert created(result.report)["run"] == 1 and created(result.report)["model_version"] == 1
    assert_equal(changed_source, empty)


@pytest.mark.parametrize("state", ["kept", "lost"])
def test_the_destinations_own_experiment_stays_its_own(other, empty, tmp_path, state):
    """Runs are added to an experiment that was there; its tags and its life are its own, however often the job runs."""
    source, there = Rest(other.url), Rest(empty.url)
    tags = [{"key": "owner", "value": "source"}, {"key": "only here", "value": "1"}]
    theirs = source.post("experiments/create", name="shared", tags=tags)["experiment_id"]
    source.post("runs/create", experiment_id=theirs, run_name="one", start_time=1)
    own = there.post("experiments/create", name="shared", tags=[{"key": "owner", "value": "destination"}])["experiment_id"]
    there.post("runs/create", experiment_id=own, run_name="its own", start_time=2)

    def copied():
        if state == "lost":
            shutil.rmtree(tmp_path / "state", ignore_errors=True)
        report = must(ferry.copy(other, empty, "--state-dir", tmp_path / "state", report=tmp_path / "report.json")).report
        experiment = there.get("experiments/get", experiment_id=own)["experiment"]
        runs = there.post("runs/search", experiment_ids=[own], run_view_type="ALL")["runs"]
        return report, experiment["lifecycle_stage"], {t["key"]: t["value"] for t in experiment["tags"]}, sorted(
            r["info"]["run_name"] for r in runs)

    for _ in range(2):
        report, stage, tags, runs = copied()
        assert (stage, tags, runs) == ("active", {"owner": "destination", "only here": "1"}, ["its own", "one"])
        assert any("'owner' kept" in f["text"] for f in report["findings"]), report["findings"]
    source.post("experiments/set-experiment-tag", experiment_id=theirs, key="only here", value="2")
    source.post("experiments/delete", experiment_id=theirs)
    for _ in range(2):
        report, stage, tags, runs = copied()
        # A tag that an earlier job has set is known from the ledger, and follows the source.
        assert (stage, tags, runs) == (
            "active", {"owner": "destination", "only here": "2" if state == "kept" else "1"}, ["its own", "one"])
        assert any("stays active" in f["text"] for f in report["findings"]), report["findings"]


def test_versions_whose_run_is_gone(other, empty, archive, tmp_path):
    """A version whose run was deleted for good keeps its number and its files, through an archive and directly."""
    rest = Rest(other.url)
    run = rest.post("runs/create", experiment_id="0", run_name="soon gone", start_time=1)["run"]["info"]
    prefix = proxied(run["artifact_uri"])
    rest.put_file(f"{prefix}/model/MLmodel", b"artifact_path: model\n")
    rest.put_file(f"{prefix}/model/a/w.bin", bytes(range(256)))
    rest.post("registered-models/create", name="m")
    for _ in range(3):
        rest.post("model-versions/create", name="m", source=run["artifact_uri"] + "/model", run_id=run["run_id"])
    rest.delete("model-versions/delete", name="m", version="1")
    with sqlite3.connect(other.database) as database:
        database.execute("DELETE FROM runs WHERE run_uuid = ?", (run["run_id"],))
    database.close()
    must(ferry.export(other, archive))
    must(ferry.import_(archive, empty))
    again = must(ferry.copy(other, empty, "--verify", report=tmp_path / "report.json"))
    assert created(again.report) == {}
    there = Rest(empty.url)
    for version in ("2", "3"):
        copy = there.get("model-versions/get", name="m", version=version)["model_version"]
        assert copy["run_id"] != run["run_id"]
        where = proxied(copy["source"])
        assert there.get_file(where + "/a/w.bin") == bytes(range(256))
        assert there.get_file(where + "/MLmodel") == b"artifact_path: model\n"


class Kills:
    """kill -9 at random moments. The moments follow the time that a whole job takes: one that ended before its kill says
    how long that is now, and is no kill."""

    def __init__(self, seconds):
        self.seconds, self.rng = seconds, random.Random()

    def one(self, prepare, *arguments):
        """Runs the job until one is killed; `prepare()` comes before each. Returns the moment, for messages."""
        for _ in range(30):
            prepare()
            delay = self.rng.uniform(0.02, 0.95) * self.seconds
            start = time.monotonic()
            if ferry.ferry_killed(delay, *arguments, "--no-progress"):
                return f"killed after {delay:.3f} s: {arguments}"
            self.seconds = time.monotonic() - start
        raise AssertionError(f"thirty jobs ended before their kill: {arguments}")


def test_promise_crash_safe(source, export_made, import_made, empty, archive, soak):
    """kill -9 at random moments of export, import and copy, then the same command again: equal, no duplicates."""
    # The long form begins each job with nothing; in the short one killed jobs follow each other.
    times, kills = (20 if soak else 3), Kills(export_made.seconds)
    for i in range(times):
        kills.one(lambda: soak and shutil.rmtree(archive, ignore_errors=True),
                  "export-all", "--src-mlflow-uri", source.url, "--archive", archive)
        if soak or i == times - 1:
            must(ferry.export(source, archive))
            must(ferry.ferry("check", "--archive", archive, "--read-data"))
    kills = Kills(import_made.seconds)
    for i in range(times):
        arguments = ("import-all", "--archive", archive, "--dst-mlflow-uri", empty.url) if i % 2 == 0 else \
                    ("copy-all", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", empty.url)
        moment = kills.one(lambda: soak and empty.reset(), *arguments)
        if soak:
            must(ferry.ferry(*arguments, "--no-progress"))
            total, _, text = differences(source, empty, contents=i % 5 == 0)
            assert total == 0, f"{moment}\n{text[:4000]}"
    must(ferry.import_(archive, empty))
    assert_equal(source, empty)


def seed_versions(rest, models, versions, seed):
    """Models with gaps everywhere; each version says its number in its description. Returns {(name, number)}."""
    def one(i):
        rng, name = random.Random(seed * 1000 + i), f"numbers {seed} {i}"
        rest.post("registered-models/create", name=name)
        run = rest.post("runs/create", experiment_id="0", run_name=name, start_time=i)["run"]["info"]
        for n in range(1, versions + 1):
            how = {"source": run["artifact_uri"] + "/model", "run_id": run["run_id"]} if n % 2 else {"source": f"s3://bucket/{n}"}
            rest.post("model-versions/create", name=name, description=f"number {n}", **how)
        left = sorted(rng.sample(range(1, versions + 1), rng.randrange(1, versions)))
        for n in set(range(1, versions + 1)) - set(left):
            rest.delete("model-versions/delete", name=name, version=str(n))
        rest.post("registered-models/alias", name=name, alias="last", version=str(left[-1]))
        return {(name, n) for n in left}

    return set().union(*parallel(one, range(models), 4))


def test_promise_exact_version_numbers(other, empty, archive, soak):
    """With 64 jobs at once every version has its number, gaps included, and its own description."""
    for repeat in range(10 if soak else 2):
        wanted = seed_versions(Rest(other.reset().url), 20 if soak else 12, 15, repeat)
        if repeat % 2:
            must(ferry.copy(other, empty.reset(), "--jobs", 64))
        else:
            must(ferry.export(other, archive, "--jobs", 64))
            must(ferry.import_(archive, empty.reset(), "--jobs", 64))
        versions = take_snapshot(empty, contents=False).versions
        assert set(versions) == wanted
        assert all(v["description"] == f"number {n}" for (_, n), v in versions.items())
        assert_equal(other, empty)


def seed_plain_runs(rest, runs, keys=5, points=10):
    """`runs` runs in one experiment with `keys` metrics of `points` points."""
    experiment = rest.post("experiments/create", name="plain runs")["experiment_id"]

    def one(i):
        run = rest.post("runs/create", experiment_id=experiment, run_name=f"r{i}", start_time=1000 + i)["run"]["info"]["run_id"]
        rest.post("runs/log-batch", run_id=run, params=[{"key": "p", "value": str(i)}], metrics=[
            {"key": f"m{k}", "value": i + p / 7, "timestamp": p, "step": p} for k in range(keys) for p in range(points)])
        rest.post("runs/update", run_id=run, status="FINISHED", end_time=5000 + i)

    parallel(one, range(runs), 4)


def test_promise_server_bound(other, empty, archive, tmp_path):
    """Few requests: 1 page of runs, 1 history request for 100 runs and a key, 1 listing request for 10 runs; 3 requests a
    written run. And memory stays under its limit while files larger than it pass."""
    runs, keys = 200, 5
    seed_plain_runs(Rest(other.url), runs, keys)
    with Recorder(other.url) as proxy:
        must(ferry.ferry("export-all", "--src-mlflow-uri", proxy.url, "--archive", archive, "--no-progress"))
    least = 1 + keys * runs // 100 + runs // 10
    assert least <= len(proxy.requests) <= least + 40, counted(proxy)
    with Recorder(empty.url) as proxy:
        must(ferry.ferry("import-all", "--archive", archive, "--dst-mlflow-uri", proxy.url, "--no-progress"))
    assert 3 * runs <= len(proxy.requests) <= 3 * runs + 60, counted(proxy)
    rest = Rest(other.reset().url)
    uri = rest.post("runs/create", experiment_id="0", start_time=1, run_name="files")["run"]["info"]["artifact_uri"]
    block = os.urandom(1 << 20)
    for i in range(8):
        rest.put_file(f"{uri.partition(':/')[2].lstrip('/')}/{i}.bin", bytes([i]) + block * 16)
    for arguments in (("export-all", "--src-mlflow-uri", other.url, "--archive", tmp_path / "big"),
                      ("import-all", "--archive", tmp_path / "big", "--dst-mlflow-uri", empty.reset().url)):
        assert peak_kib(*arguments, "--max-memory", "64M") < 160 * 1024
        assert peak_kib(*arguments) < RSS_LIMIT_KIB


def counted(proxy):
    """Requests by their path without ids, for a message."""
    counts = {}
    for method, path in proxy.requests:
        key = f"{method} {path.split('?')[0]}"
        counts[key] = counts.get(key, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])[:20]


def peak_kib(*arguments):
    return ferry.measured(*ferry.command(*arguments, "--no-progress"), timeout=ferry.TIMEOUT).peak_kib
