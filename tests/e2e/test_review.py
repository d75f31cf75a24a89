"""Label schemas, review queues and MCP servers on real servers, read back by REST on both sides."""

import sqlite3

import ferry
import pytest
import seed_review
from ferry import must
from rest import API3, Rest

KINDS = ("label_schema", "review_queue", "mcp_server")


@pytest.fixture
def pair(fleet):
    """A seeded source and an empty destination that has an experiment of its own, so that no id is equal."""
    source, destination = fleet["other"].reset(), fleet["empty"].reset()
    source.made = seed_review.seed(source.url)
    Rest(destination.url).post("experiments/create", name="the destination's own")
    return source, destination


def experiments(rest):
    return {e["experiment_id"]: e["name"] for e in rest.pages("POST", "experiments/search", "experiments", max_results=1000)}


def default_schemas(server):
    """Names of the experiments that have one, read without asking the server, which could make them."""
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT e.name FROM label_schemas s JOIN experiments e ON e.experiment_id = s.experiment_id "
                                "WHERE s.is_default").fetchall()
    database.close()
    return {name for name, in rows}


def without(row, *fields):
    return {k: v for k, v in row.items() if k not in fields}


def review_state(server):
    """{what it is: all that a copy must show}. Schemas are named by what they are, since ids differ."""
    rest, found = Rest(server.url), {}
    for experiment, name in experiments(rest).items():
        # Only asked where the default one is there: this reads, and must not write.
        schemas = []
        if name in default_schemas(server):
            schemas = list(rest.pages("GET", API3 + "label-schemas/list", "label_schemas", experiment_id=experiment, max_results=3))
        names = {s["schema_id"]: s["name"] for s in schemas}
        for row in schemas:
            if not row.get("is_default"):
                found["schema", name, row["name"]] = without(row, "schema_id", "experiment_id", "created_at", "last_updated_at")
        for row in rest.pages("GET", API3 + "review-queues/list", "review_queues", experiment_id=experiment, max_results=2):
            content = without(row, "queue_id", "experiment_id", "creation_time_ms", "last_update_time_ms")
            content["schema_ids"] = sorted(names[i] for i in row.get("schema_ids", []) if i in names)
            content["users"] = sorted(row.get("users", []))
            items = rest.pages("GET", API3 + "review-queues/items/list", "items", queue_id=row["queue_id"], max_results=2)
            content["items"] = {i["item_id"]: (i["item_type"], i["status"], i.get("completed_by")) for i in items}
            found["queue", name, row["name"]] = content
    return found


TIMES = ("creation_timestamp", "last_updated_timestamp")


def mcp_state(server):
    rest, found = Rest(server.url), {}
    for row in rest.pages("GET", API3 + "mcp-servers", "mcp_servers", max_results=2):
        content = without(row, *TIMES, "access_endpoints")
        content["aliases"] = {a["alias"]: a["version"] for a in row["aliases"]}
        versions = list(rest.pages("GET", API3 + f"mcp-servers/{row['name']}/versions", "mcp_server_versions", max_results=2))
        # The order of the list is part of what is compared.
        content["versions"] = [{**without(v, *TIMES), "aliases": sorted(v["aliases"])} for v in versions]
        content["endpoints"] = sorted(
            ({k: str(e[k]) for k in ("url", "transport_type", "server_version", "server_alias")} |
             {"resolves to": e["resolved_version"]["version"]}
             for e in rest.pages("GET", API3 + f"mcp-servers/{row['name']}/endpoints", "mcp_access_endpoints", max_results=1)),
            key=repr)
        found[row["name"]] = content
    return found


def assert_same(source, destination):
    for state in (review_state, mcp_state):
        a, b = state(source), state(destination)
        assert set(a) == set(b)
        for key, content in a.items():
            assert content == b[key], key


def counts(report, field):
    return {kind: report["kinds"][kind][field] for kind in KINDS}


def test_round_trip(pair, archive, tmp_path):
    source, destination = pair
    exported = must(ferry.export(source, archive, report=tmp_path / "0.json"))
    # Read only now: the export made the default schema of an experiment with queues, which shows its others.
    before = review_state(source), mcp_state(source)
    assert not set(exported.report["not_copied"]) & {"review queues", "MCP servers"}
    first = must(ferry.import_(archive, destination, "--verify", report=tmp_path / "1.json"))
    found = counts(first.report, "found")
    # "deleted later", and those of the deleted experiment, are not there any more.
    assert found == {"label_schema": 14, "review_queue": 6, "mcp_server": 4}, found
    assert counts(first.report, "created") == found
    assert_same(source, destination)
    assert (review_state(source), mcp_state(source)) == before

    again = must(ferry.import_(archive, destination, report=tmp_path / "2.json"))
    assert counts(again.report, "unchanged") == found
    # Without its ledger a job finds everything again by what it is, and makes nothing twice.
    lost = must(ferry.copy(source, destination, "--state-dir", tmp_path / "lost", "--verify", report=tmp_path / "3.json"))
    assert counts(lost.report, "created") == dict.fromkeys(KINDS, 0)
    assert counts(lost.report, "unchanged") == found
    assert_same(source, destination)


def test_export_makes_no_default_schema(pair, archive, tmp_path):
    """The list of label schemas is a read that writes: nobody asks for it where nothing is labelled."""
    source, _ = pair
    made = default_schemas(source)
    assert made == {"review first"}
    result = must(ferry.export(source, archive, report=tmp_path / "report.json"))
    # One has queues, the other traces: the server's own pages would make it there at the next look.
    assert default_schemas(source) - made == {"review second", "review traced"}
    notes = [n for n in result.report["notes"] if "label schemas" in n]
    assert len(notes) == 1 and notes[0].startswith("2 experiments"), result.report["notes"]


def test_own_objects_are_only_added_to(pair, tmp_path):
    """What the destination has under the same names stays as it is, and gets what it lacks."""
    source, destination = pair
    there = Rest(destination.url)
    home = there.post("experiments/create", name="review first")["experiment_id"]
    kept = seed_review.schema(there, home, "verdict", "EXPECTATION", {"text": {}}, "mine", False)
    own_queue = seed_review.queue(there, home, "NIGHTLY Ü/1", ["eve"], [kept], "eve")
    name = source.made.servers[0]
    there.post(API3 + "mcp-servers", name=name, description="mine")
    seed_review.version(there, name, "1.1.0", "draft", [("mine", "1")])
    there.post(API3 + f"mcp-servers/{name}/aliases", alias="old", version="1.1.0")
    result = must(ferry.copy(source, destination, report=tmp_path / "report.json"))
    texts = [f for f in result.report["findings"] if f["severity"] == "loss"]
    assert any("verdict" in str(f) for f in texts) and any(name in str(f) for f in texts)
    row = there.get(API3 + "label-schemas/get", schema_id=kept)["label_schema"]
    assert (row["type"], row["instruction"], row["input"]) == ("EXPECTATION", "mine", {"text": {}})
    row = there.get(API3 + "review-queues/get", queue_id=own_queue)["review_queue"]
    assert (row["name"], row["created_by"]) == ("NIGHTLY Ü/1", "eve") and set(row["users"]) == {"ann@x.org", "bob", "eve"}
    states = review_state(destination)["queue", "review first", "NIGHTLY Ü/1"]["items"]
    assert states == review_state(source)["queue", "review first", "Nightly Ü/1"]["items"]
    server = mcp_state(destination)[name]
    assert server["description"] == "mine" and server["display_name"] == "Full Server"
    assert server["aliases"] == {"old": "1.1.0", "prod": "1.1.0", "build x": "1.5.0+aa"}
    own = next(v for v in server["versions"] if v["version"] == "1.1.0")
    assert own["status"] == "draft" and own["tags"] == {"mine": "1"}
    assert {v["version"] for v in server["versions"]} == {v["version"] for v in mcp_state(source)[name]["versions"]}


def test_changes_are_carried_over(pair, tmp_path):
    """A second copy brings changed statuses, users, versions and tags; also an item that is gone."""
    source, destination = pair
    must(ferry.copy(source, destination))
    rest, made = Rest(source.url), source.made
    rest.patch(API3 + "label-schemas/update", schema_id=made.schemas[made.first][0], instruction="changed", enable_comment=False)
    by_name = {q["name"]: q["queue_id"] for q in rest.get(API3 + "review-queues/list", experiment_id=made.first)["review_queues"]}
    nightly = by_name["Nightly Ü/1"]
    # The same status by somebody else is only taken through another one.
    for item, steps in ((made.traces[1], [("PENDING", None), ("COMPLETE", "bob")]), (made.traces[2], [("PENDING", None)]),
                        (made.traces[4], [("DECLINED", "eve")])):
        for status, user in steps:
            rest.post(API3 + "review-queues/items/set-status", queue_id=nightly, item_id=item, status=status,
                      **({"completed_by": user} if user else {}))
    rest.post(API3 + "review-queues/items/remove", queue_id=nightly, item_ids=[made.traces[3]])
    rest.post(API3 + "review-queues/update", queue_id=nightly, update_users=True, users=["eve"], name="renamed", new_owner="eve")
    rest.post(API3 + "review-queues/update", queue_id=by_name["empty"], update_schema_ids=True, schema_ids=made.schemas[made.first][3:5])
    full = made.servers[0]
    seed_review.version(rest, full, "3.0.0", "active")
    rest.patch(API3 + f"mcp-servers/{full}/versions/1.0.0", status="active")
    rest.patch(API3 + f"mcp-servers/{full}/versions/1.1.0", status="draft", tools=[{"name": "new"}])
    rest.delete(API3 + f"mcp-servers/{full}/tags/team")
    rest.delete(API3 + f"mcp-servers/{full}/aliases/old")
    rest.patch(API3 + f"mcp-servers/{full}", description="another", display_name=None, icons=None)
    result = must(ferry.copy(source, destination, "--verify", report=tmp_path / "report.json"))
    assert counts(result.report, "created") == dict.fromkeys(KINDS, 0)
    assert_same(source, destination)
