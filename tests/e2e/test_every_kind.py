"""A server with at least three of every kind that can be made: out, in, out and in again. Each pair of neighbours is
compared by reading both servers, so the last one equals the first."""

import json

import ferry
import pytest
import seed_gateway
import seed_review
from compare import compare
from ferry import must
from servers import Server
from snapshot import Snapshot
from test_gateway import holdings
from test_review import assert_same

# Of servers without logins and workspaces; those have tests of their own.
ABSENT = {"workspace", "user", "role"}


@pytest.fixture
def third(place):
    with Server(place / "third") as server:
        yield server


def kinds_in(archive):
    lines = must(ferry.ferry("ls", "--archive", archive, "--json")).out.splitlines()
    return {row["kind"]: row["count"] for row in map(json.loads, lines)}


def assert_equal_to(one, two):
    differences, summary = compare(one, two)
    assert differences == 0, summary


def test_everything_twice(source, other, empty, third, tmp_path):
    other.reset(like=source.golden)
    seed_gateway.seed(other.url)
    seed_review.seed(other.url)
    first, second = tmp_path / "first", tmp_path / "second"
    report = must(ferry.export(other, first, report=tmp_path / "report.json")).report
    few = {kind: row["found"] for kind, row in report["kinds"].items() if row["found"] < 3 and kind not in ABSENT}
    assert few == {}
    assert report["not_copied"] == {}
    must(ferry.import_(first, empty, "--state-dir", tmp_path / "1"))
    must(ferry.export(empty, second))
    must(ferry.import_(second, third, "--state-dir", tmp_path / "2"))
    assert kinds_in(second) == kinds_in(first)
    snapshots = [Snapshot(server.url) for server in (other, empty, third)]
    for one, two in zip(snapshots, snapshots[1:]):
        assert_equal_to(one, two)
    for one, two in ((other, empty), (empty, third)):
        assert holdings(one.url) == holdings(two.url)
        assert_same(one, two)
    # A third export: of the second server, once more. Nothing in it is new.
    again = must(ferry.export(empty, second, report=tmp_path / "again.json")).report
    assert not any(row["created"] for row in again["kinds"].values()), again["kinds"]
    # What is read anew at each export, whatever its fingerprint: unfinished runs and traces, and what has none.
    changed = {kind for kind, row in again["kinds"].items() if row["copied"]}
    assert changed <= {"run", "trace", "logged_model"}, changed
