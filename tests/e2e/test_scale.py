"""Very many traces: the requests grow with them and nothing else, and the memory does not. The long form has 100,000 of
them on the fake server and 5,000 on a real one."""

import contextlib
import json
import subprocess
import urllib.request

import ferry
import pytest
from ferry import must
from rest import Rest
from servers import ROOT

FAKE = ROOT / "build" / "release" / "tests" / "fake_server"
MEMORY = "256M"
MOST_KIB = 256 * 1024


class Fake:
    def __init__(self, *arguments):
        self.arguments = [str(a) for a in arguments]

    def __enter__(self):
        self.process = subprocess.Popen([str(FAKE), *self.arguments], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def counts(self):
        with contextlib.closing(urllib.request.urlopen(self.url + "/__fake__/counts", timeout=30)) as answer:
            return json.loads(answer.read())


def export(fake, archive):
    arguments = ["export-all", "--src-mlflow-uri", fake.url, "--archive", archive, "--max-memory", MEMORY, "--no-progress"]
    return ferry.measured(*ferry.command(*arguments), timeout=3000)


def listed(archive, kind):
    counts = [json.loads(line) for line in must(ferry.ferry("ls", "--archive", archive, "--json")).out.splitlines()]
    return {c["kind"]: c["count"] for c in counts}.get(kind, 0)


def test_traces_without_end_in_bounded_memory(soak, tmp_path):
    many = 100_000 if soak else 6_000
    requests, usages = [], []
    for n in (many // 2, many):
        with Fake("--traces", n, "--spans", 5) as fake:
            usages.append(export(fake, tmp_path / str(n)))
            requests.append(fake.counts()["requests"])
        assert listed(tmp_path / str(n), "trace") == n
    print(f"{many} traces: {usages[1].seconds:.1f} s ({usages[0].seconds:.1f} s for half), {usages[1].peak_kib >> 10} MiB,",
          f"{requests[1]} requests ({requests[0]} for half)")
    assert requests[1] <= 2 * requests[0] + 50
    assert max(u.peak_kib for u in usages) < MOST_KIB


def test_traces_into_a_real_server_in_bounded_memory(soak, empty, tmp_path):
    many = 5_000 if soak else 150
    with Fake("--traces", many, "--spans", 5) as fake:
        export(fake, tmp_path / "archive")
    arguments = ["import-all", "--archive", tmp_path / "archive", "--dst-mlflow-uri", empty.url, "--state-dir", tmp_path / "state",
                 "--max-memory", MEMORY, "--no-progress"]
    usage = ferry.measured(*ferry.command(*arguments), timeout=3000)
    there = Rest(empty.url).pages("POST", "/api/3.0/mlflow/traces/search", "traces", max_results=500,
                                  locations=[{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}])
    print(f"{many} traces: {usage.seconds:.1f} s, {usage.peak_kib >> 10} MiB")
    assert len({t["trace_id"] for t in there}) == many
    assert usage.peak_kib < MOST_KIB
    again = must(ferry.ferry(*arguments, report=tmp_path / "again.json")).report["kinds"]["trace"]
    assert (again["found"], again["copied"]) == (many, 0)
