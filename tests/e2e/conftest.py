"""Servers and folders that the end-to-end tests share.

Three real servers live through a session: `source` (seeded once, with both workloads), and `empty` and `other`
(emptied for each test that asks). Everything lies in one temporary folder, in memory where there is room.
"""

import fcntl
import hashlib
import io
import json
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import ferry  # noqa: E402
import seed_classic  # noqa: E402
import seed_hostile  # noqa: E402
from compare import compare  # noqa: E402
from servers import ROOT, Server, template  # noqa: E402
from snapshot import Snapshot  # noqa: E402


def pytest_configure():
    # So that an end from outside also stops the servers: fixtures are torn down for an exit, not for a signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="long forms of the tests that repeat")
    parser.addoption("--hostile-seed", type=int, default=1, help="variant of the hostile workload")


def pytest_collection_modifyitems(items):
    if not ferry.BINARY.exists() and any("test_compare" not in item.nodeid for item in items):
        raise pytest.UsageError(f"{ferry.BINARY} is missing: run scripts/build")


@pytest.fixture(scope="session")
def soak(request):
    return request.config.getoption("--soak")


@pytest.fixture(scope="session")
def place():
    """The session's folder. Servers sync their database at each write, so memory makes them many times faster."""
    memory = pathlib.Path("/dev/shm")
    base = memory if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30 else None
    with tempfile.TemporaryDirectory(prefix="mlferry-e2e-", dir=base) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def fleet(place):
    template()
    servers = {name: Server(place / name) for name in ("source", "empty", "other")}
    try:
        for server in servers.values():
            server.launch()
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


# Every special case, and few ordinary objects beside them: each test that moves the source pays for all of it.
SHORT = seed_hostile.Sizes(experiments=6, runs=12, models=4, versions=6)


def golden(source, number, sizes):
    """A folder with what the seeders made, under build/: made once for all sessions, also those that run side by side, until
    a seeder or MLflow changes. The source server holds the same afterwards."""
    made_of = hashlib.sha256(repr(sizes).encode())
    for path in (seed_hostile.__file__, seed_classic.__file__, ROOT / "tests" / "requirements.txt"):
        made_of.update(pathlib.Path(path).read_bytes())
    folder = ROOT / "build" / "e2e" / f"golden-{number}-{made_of.hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "whole").exists():
            source.reset(like=folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            seed_hostile.seed(source.url, number, sizes, local_root=str(folder / "local"))
            seed_classic.seed(source.url, number)
            Server(folder, clone_of=source.folder)
            (folder / "whole").touch()
    return folder


@pytest.fixture(scope="session")
def seeded(fleet, place, request, soak):
    """The source server with both workloads in it, and a folder (`seeded.golden`) to reset servers from."""
    source = fleet["source"]
    source.golden = golden(source, request.config.getoption("--hostile-seed"), seed_hostile.Sizes() if soak else SHORT)
    source.snapshot = Snapshot(source.url)
    return source


@pytest.fixture
def source(seeded):
    return seeded


@pytest.fixture
def changed_source(seeded):
    """The source for a test that writes to it: read anew at each comparison, put back afterwards."""
    kept, seeded.snapshot = seeded.snapshot, None
    yield seeded
    seeded.reset(like=seeded.golden)
    seeded.snapshot = kept


@pytest.fixture
def empty(fleet):
    return fleet["empty"].reset()


@pytest.fixture
def other(fleet):
    return fleet["other"].reset()


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "archive"


class Made:
    """What one command made once for all tests: where (do not write to it), its report, and how long it took."""

    def __init__(self, folder, result):
        self.folder, self.report, self.seconds = folder, result.report, result.seconds


@pytest.fixture(scope="session")
def export_made(seeded, place):
    folder = place / "exported"
    return Made(folder, ferry.must(ferry.export(seeded, folder, report=place / "exported.json")))


@pytest.fixture(scope="session")
def exported(export_made):
    """An archive of the source."""
    return export_made.folder


@pytest.fixture(scope="session")
def import_made(exported, fleet, place):
    """Folder of a server into which the archive was imported, to reset a server from; its job's state is in `state`."""
    target, state = fleet["empty"].reset(), place / "imported state"
    result = ferry.must(ferry.import_(exported, target, "--state-dir", state, report=place / "imported.json"))
    made = Made(place / "imported", result)
    Server(made.folder, clone_of=target.folder)
    made.state = state
    return made


@pytest.fixture(scope="session")
def copy_made(seeded, fleet, place):
    """Folder of a server to which the source was copied without an archive."""
    target = fleet["other"].reset()
    result = ferry.must(ferry.copy(seeded, target, "--state-dir", place / "copied state", report=place / "copied.json"))
    made = Made(place / "copied", result)
    made.text = result.text
    Server(made.folder, clone_of=target.folder)
    return made


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    """No job of one test finds the ledger of another."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def take_snapshot(server, contents=True):
    """A snapshot; of the seeded source the one that was taken when it was seeded."""
    kept = getattr(server, "snapshot", None)
    return kept if kept is not None else Snapshot(server.url, contents=contents)


def differences(source, destination, contents=True, same_ids=False):
    """(number, summary, text) of the independent comparison. A server or a snapshot on either side."""
    out = io.StringIO()
    sides = [s if isinstance(s, Snapshot) else take_snapshot(s, contents) for s in (source, destination)]
    return (*compare(*sides, same_ids=same_ids, out=out), out.getvalue())


def assert_equal(source, destination, **keywords):
    """The independent comparison finds nothing."""
    total, summary, text = differences(source, destination, **keywords)
    assert total == 0, f"{total} differences\n{text[:6000]}\n{json.dumps(summary, ensure_ascii=False)}"
    return summary
