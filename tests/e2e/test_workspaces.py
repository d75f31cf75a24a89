"""Servers with workspaces: each arrives apart from the others, whatever names they share. What the copies hold is read
from both servers without mlferry's help."""

import pathlib

import ferry
import pytest
import seed_gateway
import seed_hostile
from compare import compare
from ferry import must
from rest import API3, Rest
from servers import Server
from snapshot import Snapshot

NAMES = ["default", "team-a", "team-b", "team-c"]
SMALL = seed_hostile.Sizes(runs=8, params=20, history=50, big_file=20_000, models=2, versions=4, traces=4)


def workspaces(url):
    return {w["name"]: w for w in Rest(url).get(API3 + "workspaces")["workspaces"]}


def seed_shared(url, workspace, value):
    """The same names in every workspace, with other contents."""
    rest = Rest(url, workspace=workspace)
    experiment = rest.post("experiments/create", name="shared", tags=[{"key": "of", "value": workspace}])["experiment_id"]
    run = rest.post("runs/create", experiment_id=experiment, run_name="same name", start_time=1_700_000_000_000)["run"]["info"]
    rest.post("runs/log-parameter", run_id=run["run_id"], key="where", value=workspace)
    path = run["artifact_uri"].removeprefix("mlflow-artifacts:").lstrip("/")
    status, body = rest.raw("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}/model/weights.bin", workspace.encode() * value)
    assert status == 200, body
    rest.post("registered-models/create", name="net", description=f"of {workspace}")
    for n in range(1, 3 + value):
        rest.post("model-versions/create", name="net", source=run["artifact_uri"] + "/model", run_id=run["run_id"],
                  description=f"{workspace} {n}")
    rest.call("DELETE", "model-versions/delete", {"name": "net", "version": "1"})
    rest.post("registered-models/alias", name="net", alias="best", version="2")


@pytest.fixture(scope="module")
def servers(place):
    extra = ["--enable-workspaces"]
    found = {name: Server(place / f"workspaces {name}", extra=extra) for name in ("from", "to")}
    try:
        for server in found.values():
            server.launch()
        for server in found.values():
            server.wait()
        url = found["from"].url
        rest = Rest(url)
        rest.post(API3 + "workspaces", name="team-a", description="The first team é")
        rest.post(API3 + "workspaces", name="team-b", description="")
        rest.post(API3 + "workspaces", name="team-c", default_artifact_root="mlflow-artifacts:/elsewhere/c")
        for value, name in enumerate(NAMES, 1):
            seed_shared(url, name, value)
        seed_hostile.seed(url, 12, SMALL, workspace="team-b")
        seed_gateway.seed(url, workspace="team-a")
        found["snapshots"] = {name: Snapshot(url, workspace=name) for name in NAMES}
        yield found
    finally:
        for server in found.values():
            if isinstance(server, Server):
                server.stop()


def check_equal(servers, destination, names=NAMES, renamed=None):
    for name in names:
        counts, summary = compare(servers["snapshots"][name], Snapshot(destination.url, workspace=renamed or name))
        assert counts == 0, (name, summary)


def test_each_workspace_arrives_apart(servers, tmp_path):
    source, target = servers["from"], servers["to"].reset()
    archive, state = tmp_path / "archive", tmp_path / "state"
    made = must(ferry.export(source, archive, report=tmp_path / "export.json"))
    assert made.report["kinds"]["workspace"]["found"] == 4
    listed = must(ferry.ferry("snapshots", "--archive", archive)).out
    assert all(f"workspace {name}" in listed for name in NAMES), listed

    plain = ["convert", "--from", archive, "--output-dir", tmp_path / "plain", "--no-progress"]
    refused = ferry.ferry(*plain)
    assert refused.code == 2 and "one at a time" in refused.error_line(), refused.text
    one = next(line.split()[0] for line in listed.splitlines() if "workspace team-a" in line)
    converted = must(ferry.ferry(*plain, "--snapshot", one, report=tmp_path / "convert.json")).report
    assert converted["kinds"]["registered_model"]["copied"] == 1

    planned = must(ferry.import_(archive, target, "--dry-run", "--state-dir", state))
    assert "workspace 'team-a' is not in the destination" in planned.out
    assert list(workspaces(target.url)) == ["default"]

    report = must(ferry.import_(archive, target, "--state-dir", state, report=tmp_path / "import.json")).report
    assert report["kinds"]["workspace"] | {"verified": 0} == report["kinds"]["workspace"]
    assert (report["kinds"]["workspace"]["created"], report["kinds"]["workspace"]["unchanged"]) == (3, 1)
    there, here = workspaces(target.url), workspaces(source.url)
    assert there == here
    check_equal(servers, target)

    again = must(ferry.import_(archive, target, "--state-dir", state, report=tmp_path / "again.json")).report
    assert sum(kind["copied"] for kind in again["kinds"].values()) == 0, again["kinds"]
    verified = must(ferry.ferry("verify", "--archive", archive, "--dst-mlflow-uri", target.url, "--no-progress",
                                report=tmp_path / "verify.json")).report
    assert verified["kinds"]["workspace"]["verified"] == 4
    assert verified["kinds"]["experiment"]["verified"] == report["kinds"]["experiment"]["found"]


def test_one_workspace_into_another_name(servers, tmp_path):
    source, target = servers["from"], servers["to"].reset()
    report = must(ferry.copy(source, target, "--workspaces", "team-[b]", "--dst-workspace", "renamed", "--verify", "--state-dir",
                             tmp_path / "state", report=tmp_path / "copy.json")).report
    assert report["not_selected"] == {"workspace": 3}
    assert set(workspaces(target.url)) == {"default", "renamed"}
    check_equal(servers, target, ["team-b"], renamed="renamed")
    assert report["kinds"]["run"]["verified"] == report["kinds"]["run"]["found"] > 0


def test_mlflow_workspace_chooses_the_source(servers, tmp_path):
    report = must(ferry.export(servers["from"], tmp_path / "archive", report=tmp_path / "export.json",
                               env={"MLFLOW_WORKSPACE": "team-b"})).report
    assert report["kinds"]["workspace"]["found"] == 1
    assert report["not_selected"] == {"workspace": 3}
    target = servers["to"].reset()
    must(ferry.import_(tmp_path / "archive", target, "--state-dir", tmp_path / "state"))
    check_equal(servers, target, ["team-b"])


def test_a_server_without_workspaces_takes_one(servers, empty, tmp_path):
    refused = ferry.copy(servers["from"], empty, "--state-dir", tmp_path / "state")
    assert refused.code == 2
    assert "--workspaces" in refused.error_line() and "team-a" in refused.error_line()
    must(ferry.copy(servers["from"], empty, "--workspaces", "team-b", "--state-dir", tmp_path / "state"))
    Rest(empty.url).post("experiments/delete", experiment_id="0")  # "Default", which the workspace has not
    counts, summary = compare(servers["snapshots"]["team-b"], Snapshot(empty.url))
    assert summary["by_kind"] == {"extra experiment": 1}, summary
    # And from there into a workspace.
    target = servers["to"].reset()
    must(ferry.copy(empty, target, "--dst-workspace", "back", "--state-dir", tmp_path / "state"))
    counts, summary = compare(Snapshot(empty.url), Snapshot(target.url, workspace="back"))
    assert counts == 0, summary


@pytest.mark.parametrize("arguments, code, words", [
    (["--workspaces", "nobody"], 2, ["--workspaces matches none", "team-a"]),
    (["--dst-workspace", "x"], 2, ["cannot take the source's 4 workspaces"]),
    (["--workspaces", "team-a", "--dst-workspace", "Bad Name"], 1, ["Bad Name"]),
])
def test_wrong_choices_say_what_helps(servers, tmp_path, arguments, code, words):
    result = ferry.copy(servers["from"], servers["to"].reset(), *arguments, "--state-dir", tmp_path / "state")
    assert result.code == code, result.text
    assert all(word in result.error_line() for word in words), result.text
