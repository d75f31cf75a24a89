"""Large artifacts, only with --soak: more data than memory is allowed, in one file and in many."""

import os

import ferry
import pytest
from conftest import assert_equal
from ferry import must
from rest import Rest, parallel
from test_roundtrip import RSS_LIMIT_KIB, peak_kib

MIB = 1 << 20


@pytest.fixture(autouse=True)
def only_with_soak(soak):
    if not soak:
        pytest.skip("long: run with --soak")


def test_big_artifacts(other, empty, archive):
    """A file of 1.5 GiB and 5,000 small ones, copied with a peak memory under 300 MiB, and kill -9 in the middle."""
    rest = Rest(other.url)
    info = rest.post("runs/create", experiment_id="0", run_name="big", start_time=1)["run"]["info"]
    folder = other.artifacts / info["artifact_uri"].partition(":/")[2].lstrip("/")
    folder.mkdir(parents=True)
    block = os.urandom(16 * MIB)
    with open(folder / "big.bin", "wb") as f:
        for i in range(96):
            f.write(i.to_bytes(4, "big") + block[4:] if i % 3 else bytes(16 * MIB))
    parallel(lambda i: rest.put_file(f"{info['artifact_uri'].partition(':/')[2].lstrip('/')}/small/{i % 50}/{i}", os.urandom(i % 4000)),
             range(5000), 4)
    ferry.ferry_killed(4, "export-all", "--src-mlflow-uri", other.url, "--archive", archive, "--no-progress")
    assert peak_kib("export-all", "--src-mlflow-uri", other.url, "--archive", archive) < RSS_LIMIT_KIB
    must(ferry.ferry("check", "--archive", archive, "--read-data"))
    ferry.ferry_killed(4, "import-all", "--archive", archive, "--dst-mlflow-uri", empty.url, "--no-progress")
    assert peak_kib("import-all", "--archive", archive, "--dst-mlflow-uri", empty.url) < RSS_LIMIT_KIB
    assert_equal(other, empty)


def test_many_rounds_of_changes(other, empty, archive, tmp_path):
    """Thirty times: a few new runs and files, backup, restore; equal after each, and the archive grows by little."""
    rest = Rest(other.url)
    for i in range(30):
        info = rest.post("runs/create", experiment_id="0", run_name=f"round {i}", start_time=i)["run"]["info"]
        rest.post("runs/log-batch", run_id=info["run_id"], metrics=[{"key": "m", "value": i, "timestamp": i, "step": i}])
        rest.put_file(f"{info['artifact_uri'].partition(':/')[2].lstrip('/')}/f", b"same in each round" * 1000)
        must(ferry.export(other, archive))
        result = must(ferry.import_(archive, empty, report=tmp_path / "report.json"))
        assert result.report["kinds"]["run"]["created"] == 1
        assert_equal(other, empty)
    must(ferry.ferry("check", "--archive", archive, "--read-data"))
    assert sum(f.stat().st_size for f in archive.rglob("*") if f.is_file()) < 20 * MIB
