"""Servers with logins: users, roles and grants through an archive and directly, and what a login that is no administrator
gets. What the servers hold is read and compared here, without mlferry's help."""

import json
import secrets
import shutil
import urllib.parse

import ferry
import pytest
import seed_auth
from ferry import must
from rest import API3, Rest
from seed_auth import ODD, grant, refused, role
from seed_gateway import GATEWAY
from servers import AuthServer, template

USERS, ROLES = 7, 5


def admin_of(server):
    return Rest(server.url, server.admin, server.password)


def logins(source=None, destination=None, user=None, password=None):
    """Environment with the administrators' logins, or another one, for the ends that are given."""
    env = {}
    for prefix, server in (("MLFERRY_SRC_", source), ("MLFERRY_DST_", destination)):
        if server is not None:
            env[prefix + "USERNAME"] = user or server.admin
            env[prefix + "PASSWORD"] = password or server.password
    return env


def export(server, archive, *more, user=None, password=None, **keywords):
    return ferry.export(server, archive, *more, env=logins(source=server, user=user, password=password), **keywords)


def import_(archive, server, *more, user=None, password=None, **keywords):
    return ferry.import_(archive, server, *more, env=logins(destination=server, user=user, password=password), **keywords)


def copy(source, destination, *more, **keywords):
    return ferry.copy(source, destination, *more, env=logins(source, destination), **keywords)


def names_of_ids(rest):
    """{(type, id): name} of all that grants name by id."""
    names = {("experiment", e["experiment_id"]): e["name"]
             for e in rest.pages("POST", "experiments/search", "experiments", max_results=1000, view_type="ALL")}
    for kind, call, items, key, name in (
            ("gateway_secret", "secrets/list", "secrets", "secret_id", "secret_name"),
            ("gateway_endpoint", "endpoints/list", "endpoints", "endpoint_id", "name"),
            ("gateway_model_definition", "model-definitions/list", "model_definitions", "model_definition_id", "name")):
        for item in rest.get(GATEWAY + call).get(items, []):
            names[(kind, item[key])] = item[name]
    return names


def holdings(server):
    """Users and roles with names in place of ids; grants on what is gone are left out, and an administrator's."""
    rest = admin_of(server)
    names = names_of_ids(rest)

    def grants_of(permissions):
        grants = set()
        for p in permissions:
            kind, target = p["resource_type"], p["resource_pattern"]
            if kind == "scorer" and "/" in target:
                experiment, scorer = target.split("/")
                target = f"{names.get(('experiment', experiment))}/{urllib.parse.unquote(scorer)}"
            elif kind == "experiment" or kind.startswith("gateway_"):
                target = "*" if target == "*" else names.get((kind, target))
            if target is not None:
                grants.add((kind, target, p["permission"]))
        return sorted(grants)

    users, members = {}, {}
    for user in rest.get("users/list")["users"]:
        own = [p for r in user["roles"] if r["name"] == f"__user_{user['id']}__" for p in r["permissions"]]
        users[user["username"]] = {"admin": user["is_admin"], "grants": None if user["is_admin"] else grants_of(own)}
        for r in user["roles"]:
            members.setdefault(r["id"], set()).add(user["username"])
    roles = {(r["workspace"], r["name"]): {"description": r["description"] or "", "grants": grants_of(r["permissions"]),
                                           "members": sorted(members.get(r["id"], ()))}
             for r in rest.get(API3 + "roles/list")["roles"] if not r["name"].startswith("__user_")}
    return {"users": users, "roles": roles}


def counts(report, what):
    return [report["kinds"][kind][what] for kind in ("user", "role")]


def findings(report, *kinds):
    return [f for f in report["findings"] if f["kind"] in kinds]


@pytest.fixture(scope="module")
def pair(place):
    """(source, destination), the source seeded; what may be done without a grant differs."""
    template()
    source, destination = AuthServer(place / "logins", "NO_PERMISSIONS"), AuthServer(place / "logins copy", "READ")
    try:
        source.launch()
        destination.launch()
        source.wait()
        destination.wait()
        source.made = seed_auth.seed(source)
        yield source, destination
    finally:
        source.stop()
        destination.stop()


@pytest.fixture
def source(pair):
    return pair[0]


@pytest.fixture
def destination(pair):
    return pair[1].reset()


def test_users_and_roles_through_an_archive(source, destination, archive, tmp_path):
    held = holdings(source)
    assert (len(held["users"]), len(held["roles"])) == (USERS, ROLES)
    assert len(held["users"]["bob"]["grants"]) == 12 and len(held["users"]["alice"]["grants"]) == 3

    exported = must(export(source, archive, report=tmp_path / "export.json")).report
    assert counts(exported, "found") == counts(exported, "copied") == [USERS, ROLES]
    assert exported["hidden"] == [] and exported["not_copied"] == {}
    dry = must(import_(archive, destination, "--dry-run", report=tmp_path / "dry.json")).report
    assert counts(dry, "created") == [USERS - 1, ROLES]  # the administrator is there
    assert set(holdings(destination)["users"]) == {"admin"}

    first = must(import_(archive, destination, "--verify", report=tmp_path / "import.json"))
    assert counts(first.report, "created") == [USERS - 1, ROLES]
    assert counts(first.report, "failed") == [0, 0] and counts(first.report, "verified") == [USERS, ROLES]
    assert holdings(destination) == held
    assert findings(first.report, "user", "role") == []
    assert any("3 grants of roles are on objects that are gone" in note for note in exported["notes"])
    assert any("has that on what this job made" in note for note in first.report["notes"])

    again = must(import_(archive, destination, report=tmp_path / "again.json"))
    assert counts(again.report, "copied") == [0, 0] and counts(again.report, "failed") == [0, 0]
    shutil.rmtree(tmp_path / "state")
    lost = must(copy(source, destination, "--verify", report=tmp_path / "copy.json"))
    assert counts(lost.report, "copied") == [0, 0]
    assert holdings(destination) == held
    must(ferry.ferry("verify", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", destination.url, "--no-progress",
                     env=logins(source, destination)))


def test_new_users_have_no_known_password(source, destination, tmp_path):
    first = must(copy(source, destination, report=tmp_path / "report.json"))
    asked = {f["id"]: f["action"] for f in first.report["follow_up"] if f["kind"] == "user"}
    assert set(asked) == set(source.made["passwords"])  # not the administrator, who was there
    for name, password in source.made["passwords"].items():
        assert refused(Rest(destination.url, name, password).get, "users/current") == 401
    method, path, body = asked[ODD].split("nobody knows. ")[1].split(" ", 2)
    body = json.loads(body)
    assert body["username"] == ODD
    body["password"] = secrets.token_hex(8)
    admin_of(destination).call(method, path, body)
    assert Rest(destination.url, ODD, body["password"]).get("users/current")["user"]["is_admin"] is False
    # Said again as long as nobody can know whether it was done; and a password that was set stays.
    second = must(copy(source, destination, report=tmp_path / "second.json"))
    assert {f["id"] for f in second.report["follow_up"] if f["kind"] == "user"} == set(asked)
    assert Rest(destination.url, ODD, body["password"]).get("users/current")["user"]["username"] == ODD


def test_what_the_destination_has_stays(source, destination, tmp_path):
    """Users and roles of the same names are added to: passwords, grants and administrators stay, also at the second time."""
    there, password = admin_of(destination), secrets.token_hex(8)
    own = there.post("experiments/create", name="own")["experiment_id"]
    shared = there.post("experiments/create", name="shared")["experiment_id"]
    for name in ("bob", "eve"):
        there.post("users/create", username=name, password=password)
    there.patch("users/update-admin", username="eve", is_admin=True)
    grant(there, "bob", "experiment", own, "MANAGE")
    grant(there, "bob", "experiment", shared, "READ")
    role(there, "readers", "ours", [("experiment", "*", "MANAGE"), ("prompt", "*", "READ")], ["eve"])
    held = holdings(source)
    for number in (1, 2):
        result = copy(source, destination, report=tmp_path / f"{number}.json")
        assert result.code == 0, result.text[-3000:]
        users, roles = holdings(destination)["users"], holdings(destination)["roles"]
        bob = {(kind, target): level for kind, target, level in users["bob"]["grants"]}
        assert bob[("experiment", "own")] == "MANAGE" and bob[("experiment", "shared")] == "READ"
        for kind, target, level in held["users"]["bob"]["grants"]:
            assert (kind, target) == ("experiment", "shared") or bob[(kind, target)] == level
        assert users["eve"]["admin"] and users["admin"]["admin"]
        assert users["alice"] == held["users"]["alice"]
        readers = roles[("default", "readers")]
        assert readers["description"] == "ours" and readers["members"] == sorted(["alice", "bob", "eve", ODD])
        assert readers["grants"] == [("experiment", "*", "MANAGE"), ("prompt", "*", "READ"), ("run", "*", "READ")]
        for name in ("bob", "eve"):
            assert Rest(destination.url, name, password).get("users/current")["user"]["username"] == name
        named = {(f["kind"], f["name"]) for f in findings(result.report, "user", "role")}
        assert named == {("user", "bob"), ("user", "eve"), ("role", "readers")}
        assert not {"bob", "eve"} & {f["id"] for f in result.report["follow_up"] if f["kind"] == "user"}


def test_more_is_carried_over_and_nothing_taken(source, destination, tmp_path):
    """What the source gives later arrives; what it takes is told, and stays."""
    must(copy(source, destination))
    rest, made = admin_of(source), source.made
    late = role(rest, "late", "d", [("experiment", made["shared"], "READ")], ["eve"])
    eve = next(r for u in rest.get("users/list")["users"] if u["username"] == "eve" for r in u["roles"]
               if r["name"].startswith("__user_"))
    row = eve["permissions"][0]["id"]
    try:
        must(copy(source, destination))
        rest.patch(API3 + "roles/permissions/update", role_permission_id=row, permission="MANAGE")
        grant(rest, "nobody", "experiment", made["secret"], "USE")
        rest.patch(API3 + "roles/update", role_id=late, description="e")
        rest.post(API3 + "roles/assign", username="nobody", role_id=late)
        must(copy(source, destination, "--verify"))
        assert holdings(destination) == holdings(source)
        rest.delete(API3 + "roles/unassign", username="nobody", role_id=late)
        rest.patch(API3 + "roles/permissions/update", role_permission_id=row, permission="READ")
        result = copy(source, destination, report=tmp_path / "report.json")
        assert {(f["kind"], f["name"]) for f in findings(result.report, "user", "role")} == {("user", "eve"), ("role", "late")}
        users, roles = holdings(destination)["users"], holdings(destination)["roles"]
        assert ("experiment", "shared", "MANAGE") in users["eve"]["grants"]
        assert "nobody" in roles[("default", "late")]["members"]
    finally:
        rest.delete(API3 + "roles/delete", role_id=late)
        rest.patch(API3 + "roles/permissions/update", role_permission_id=row, permission="READ")
        rest.post(API3 + "users/permissions/revoke", username="nobody", resource_type="experiment", resource_id=made["secret"])


def test_destination_without_logins(source, empty, archive, tmp_path):
    must(export(source, archive))
    result = ferry.import_(archive, empty, "--verify", report=tmp_path / "report.json")
    must(result)
    assert counts(result.report, "found") == counts(result.report, "skipped") == [USERS, ROLES]
    assert counts(result.report, "created") == counts(result.report, "unchanged") == [0, 0]
    assert "the destination has no users: it runs without basic-auth" in result.text
    assert "the destination has no roles: it runs without basic-auth" in result.text
    assert not [f for f in result.report["follow_up"] if f["kind"] == "user"]


def assert_hidden(result, server, words):
    assert result.code == 3, result.text[-3000:]
    assert result.report["hidden"] and f"Hidden: {server.url} hides from the login 'eve', which is no administrator" in result.text
    for word in (words, "its users, roles and grants", "run as an administrator"):
        assert word in result.text
    assert counts(result.report, "found") == [0, 0]


def test_login_that_may_not_see_everything(source, destination, archive, tmp_path):
    """With NO_PERMISSIONS searches leave out without a word; with READ only what is denied. Both say so and end with 3."""
    eve = {"user": "eve", "password": source.made["passwords"]["eve"]}
    limited = export(source, archive, report=tmp_path / "limited.json", **eve)
    assert_hidden(limited, source, "every object that it was not granted (default permission NO_PERMISSIONS)")
    assert limited.report["kinds"]["experiment"]["found"] == 1 and limited.report["kinds"]["run"]["copied"] == 1
    imported = must(import_(archive, destination, report=tmp_path / "import.json"))  # all that is in the archive
    assert any("the archive may lack objects" in note and "'eve'" in note for note in imported.report["notes"])

    must(copy(source, destination))
    password = secrets.token_hex(8)
    admin_of(destination).patch("users/update-password", username="eve", password=password)
    grant(admin_of(destination), "eve", "registered_model", "shared model", "DENY")
    grant(admin_of(destination), "eve", "trace", "*", "DENY")
    eve = {"user": "eve", "password": password}
    reading = export(destination, tmp_path / "reading", report=tmp_path / "reading.json", **eve)
    assert_hidden(reading, destination, "every object that grants deny to it")
    experiments = admin_of(destination).pages("POST", "experiments/search", "experiments", max_results=100, view_type="ALL")
    assert reading.report["kinds"]["experiment"]["found"] == len(list(experiments))
    # What is refused, instead of left out, is named, and ends nothing.
    refusals = {f["name"] for f in findings(reading.report, "experiment") if "the list of its traces could not be read" in f["text"]}
    assert {"shared", "secret", "of alice"} <= refusals
    assert reading.report["kinds"]["registered_model"]["copied"] == 1 and reading.report["kinds"]["run"]["copied"] == 4
    compared = ferry.ferry("verify", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", destination.url, "--no-progress",
                           report=tmp_path / "refused.json",
                           env={**logins(source), **logins(destination=destination, **eve)})
    assert compared.code in (3, 20) and "its traces cannot be compared" in compared.text

    compared = ferry.ferry("verify", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", destination.url, "--no-progress",
                           report=tmp_path / "verify.json",
                           env={**logins(source, user="eve", password=source.made["passwords"]["eve"]),
                                **logins(destination=destination)})
    assert_hidden(compared, source, "default permission NO_PERMISSIONS")
    # One that may not make users: they fail, and the others arrive.
    must(export(source, tmp_path / "whole"))
    destination.reset()
    there = admin_of(destination)
    there.post("users/create", username="eve", password=password)
    writing = import_(tmp_path / "whole", destination, report=tmp_path / "writing.json", **eve)
    assert writing.code == 3
    assert counts(writing.report, "failed") == [USERS, ROLES] and writing.report["kinds"]["run"]["failed"] == 0
    assert "the login 'eve' of the destination is no administrator" in writing.text


def test_wrong_password(source, destination, archive):
    must(export(source, archive))
    for result in (export(source, archive, password="x" * 20), import_(archive, destination, user="nobody there"),
                   ferry.export(source, archive)):
        assert result.code == 12, result.text
        assert "log in with MLFLOW_TRACKING_USERNAME" in result.err
    assert refused(Rest(source.url).get, "users/current") == 401
