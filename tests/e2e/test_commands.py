"""verify, check, snapshots, ls, cat, --dry-run, --json and the Python restorer, on a real export."""

import hashlib
import json
import shutil
import subprocess
import sys

import ferry
from conftest import take_snapshot
from ferry import must
from proxies import Recorder
from rest import Rest
from servers import ROOT


def verify(*arguments):
    return ferry.ferry("verify", "--no-progress", *arguments)


def test_verify(source, exported, import_made, empty):
    """0 for equal servers and archives; 20, with the object and the field named, after a changed tag, a changed byte of a
    file and a deleted version."""
    empty.reset(like=import_made.folder)
    both = (("--src-mlflow-uri", source.url, "--dst-mlflow-uri", empty.url), ("--archive", exported, "--dst-mlflow-uri", empty.url))
    for arguments in both:
        must(verify(*arguments))
    rest, runs = Rest(empty.url), take_snapshot(empty, contents=False).runs.values()
    run = next(r for r in runs if r["info"]["run_name"] == "many params")["info"]
    rest.post("runs/set-tag", run_id=run["run_id"], key="empty", value="not any more")
    rest.delete("model-versions/delete", name="classic-model-1", version="7")
    files = next(r for r in runs if r["info"]["run_name"] == "files")["info"]
    path = empty.artifacts / files["artifact_uri"].partition(":/")[2].lstrip("/") / "big" / "random.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4  # the size stays
    path.write_bytes(data)
    for arguments in both:
        result = verify(*arguments)
        assert result.code == 20, result.text[-2000:]
        for name in ("many params", "random.bin", "classic-model-1"):
            assert name in result.text, (name, result.text[-3000:])


def test_dry_run_sends_no_write_request(source, exported, empty, archive):
    """Through a recording proxy: a dry run reads, writes nothing, and still says what it would do."""
    before = take_snapshot(empty).census()
    with Recorder(empty.url) as proxy:
        for arguments in (("import-all", "--archive", exported, "--dst-mlflow-uri", proxy.url),
                          ("copy-all", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", proxy.url)):
            must(ferry.ferry(*arguments, "--dry-run", "--no-progress"))
        assert proxy.requests, "the dry run asked nothing: the proxy was not used"
        assert proxy.writes() == []
        # The recorder is not blind: the same import for real writes.
        must(ferry.ferry("import-all", "--archive", exported, "--dst-mlflow-uri", proxy.url, "--no-progress"))
        assert len(proxy.writes()) > 100
    assert before["runs"] == 0
    must(ferry.export(source, archive, "--dry-run"))
    assert not archive.exists() or not any(archive.iterdir()), "a dry run made an archive"


def test_json_lines(source, archive):
    result = must(ferry.export(source, archive, "--json"))
    lines = [json.loads(line) for line in result.out.splitlines() if line.strip()]
    assert lines and all(isinstance(line, dict) for line in lines)


def test_check_snapshots_ls_cat(source, exported):
    must(ferry.ferry("check", "--archive", exported))
    must(ferry.ferry("check", "--archive", exported, "--read-data"))
    listed = must(ferry.ferry("snapshots", "--archive", exported)).out
    assert source.url in listed
    snapshot = take_snapshot(source)
    run, files = next((r, f) for r, f in snapshot.run_files.items() if "big/random.bin" in f)
    top = must(ferry.ferry("ls", "--archive", exported)).out
    assert "run" in top and "experiment" in top
    assert run in must(ferry.ferry("ls", "--archive", exported, "run")).out
    inside = must(ferry.ferry("ls", "--archive", exported, f"run/{run}")).out
    assert "big/random.bin" in inside and "empty.txt" in inside
    done = subprocess.run(ferry.command("cat", "--archive", exported, f"run/{run}/big/random.bin"), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).hexdigest() == files["big/random.bin"][1]


def test_python_restorer(source, exported, tmp_path):
    """docs/restore.py, which shares no code with mlferry, gets every file of the server back, byte for byte."""
    out = tmp_path / "restored"
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "restore.py"), str(exported), str(out)], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    restored = {}
    for path in out.rglob("*"):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            restored[digest] = restored.get(digest, 0) + 1
    snapshot = take_snapshot(source)
    wanted = {}
    for group in (snapshot.run_files, snapshot.model_files):
        for found in group.values():
            for _, digest, _ in found.values():
                wanted[digest] = wanted.get(digest, 0) + 1
    missing = {digest: n for digest, n in wanted.items() if restored.get(digest, 0) < n}
    assert wanted and not missing, f"{len(missing)} of {len(wanted)} contents missing"
    texts = "".join(p.read_text(errors="replace") for p in out.rglob("*.json"))
    assert all(run in texts or any(run in str(p) for p in out.rglob("*")) for run in list(snapshot.runs)[:5])


def test_second_writer_is_refused(source, archive, exported):
    """While one export runs, a second one into the same archive ends with 11 and harms nothing."""
    shutil.copytree(exported, archive)
    first = subprocess.Popen(ferry.command("export-all", "--src-mlflow-uri", source.url, "--archive", archive, "--no-progress"),
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    codes = []
    while first.poll() is None:
        codes.append(ferry.export(source, archive).code)
    assert first.returncode in (0, 11), first.stderr.read()[-2000:]
    assert 11 in (first.returncode, *codes) or len(codes) < 2, codes
    assert set(codes) <= {0, 11}
    must(ferry.ferry("check", "--archive", archive, "--read-data"))
