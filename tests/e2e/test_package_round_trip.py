"""What each of our export commands writes, its import command brings back: twice into one folder, twice into one server."""

import json
import shutil

import pytest
from ferry import ferry
from rest import API3
from test_package_imports import World, created, data, same_run, tags


@pytest.fixture(scope="module")
def world(fleet, place):
    folder = place / "package round trip"
    folder.mkdir()
    yield World(fleet["other"].reset(), fleet["empty"].reset(), folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def travel(world, tmp_path):
    """export COMMAND twice, import COMMAND twice; the report of the first import."""
    def go(what, *wanted, into=()):
        tree = tmp_path / " ".join((what, *wanted)).replace("/", "_")
        files = None
        for _ in range(2):
            result = ferry(f"export-{what}", *wanted, "--output-dir", tree, "--src-mlflow-uri", world.source.url, "--no-progress")
            assert result.code == 0, result.text[-3000:]
            found = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if ".mlferry" not in path.parts)
            assert files is None or found == files
            files = found
        report = world.twice(f"import-{what}", "--input-dir", tree, *into)
        assert all(n["failed"] == 0 for n in report["kinds"].values()), report["findings"]
        return report
    return go


def originals(world):
    return world.runs("alpha", world.from_)


def same_runs(world, experiment, names):
    copies, wanted = world.runs(experiment), originals(world)
    assert set(copies) == set(names)
    for name in names:
        same_run(world, copies[name], wanted[name])
        for key in data(wanted[name], "metrics"):
            assert world.history(copies[name], key) == world.history(wanted[name], key, world.from_), (name, key)
    return copies


def check_versions(world, model, experiment):
    """Numbers, stages, tags, descriptions and aliases; each version at the copy of its run."""
    copies, wanted = world.versions(model), world.versions("wine", world.from_)
    assert set(copies) == set(wanted) == {1, 3, 4, 10}
    run = world.runs(experiment)["main"]
    for number, version in copies.items():
        for field in ("current_stage", "description"):
            assert version.get(field) == wanted[number].get(field), (number, field)
        assert tags(version)["n"] == str(number)
        assert version["run_id"] == run["info"]["run_id"]
    aliases = {a["alias"]: a["version"] for a in world.model(model)["aliases"]}
    assert aliases == {"champ": "1", "next": "3"}
    assert copies[1]["source"] == f"{run['info']['artifact_uri']}/model"


def test_run(world, travel):
    report = travel("run", "--run-id", world.seed.runs["main"], into=("--experiment-name", "run"))
    assert report["kinds"]["logged_model"]["created"] == 1
    run = same_runs(world, "run", ["main"])["main"]
    assert world.file(run["info"]["artifact_uri"], "notes.txt") == "notes"
    assert set(world.logged_models("run")) == {"net"}


def test_deleted_run(world, travel):
    travel("run", "--run-id", world.seed.runs["gone"], into=("--experiment-name", "deleted run"))
    assert same_runs(world, "deleted run", ["gone"])["gone"]["info"]["lifecycle_stage"] == "deleted"


def test_experiment(world, travel):
    active = [name for name, run in originals(world).items() if run["info"]["lifecycle_stage"] == "active"]
    assert "gone" not in active and len(active) > 3
    travel("experiment", "--experiment", "alpha", into=("--experiment-name", "experiment"))
    copies = same_runs(world, "experiment", active)
    assert tags(copies["child"]["data"])["mlflow.parentRunId"] == copies["parent"]["info"]["run_id"]
    assert set(world.logged_models("experiment")) == {"net", "free"}
    assert len(world.traces("experiment")) == 2
    assert tags(world.experiment("experiment"))["team"] == "red"
    world.forget_traces("experiment")
    travel("experiment", "--experiment", "alpha", "--export-deleted-runs", "true", into=("--experiment-name", "with deleted"))
    same_runs(world, "with deleted", originals(world))
    world.forget_traces("with deleted")


def test_experiments_and_models(world, travel, tmp_path):
    experiments, models = tmp_path / "experiments", tmp_path / "models"
    experiments.write_text("alpha,many alpha\nbeta,many beta\n")
    models.write_text("wine,many wine\n")
    travel("experiments", "--experiments", "alpha,beta", into=("--experiment-rename-file", experiments))
    assert set(world.runs("many beta")) == {"of beta"} and len(world.runs("many alpha")) > 3
    experiments.write_text("alpha,models alpha\n")
    travel("models", "--models", "wine", into=("--experiment-rename-file", experiments, "--model-rename-file", models))
    check_versions(world, "many wine", "models alpha")
    assert set(world.runs("models alpha")) == {"main"}
    for name in ("many alpha", "models alpha"):
        world.forget_traces(name)


def test_model(world, travel):
    travel("model", "--model", "wine", into=("--model", "model", "--experiment-name", "model"))
    check_versions(world, "model", "model")


def test_model_version(world, travel):
    for number in (10, 3):
        report = travel("model-version", "--model", "wine", "--version", str(number), into=(
            "--model", "version", "--experiment-name", "version", "--create-model", "true",
            "--import-stages-and-aliases", "true", "--import-metadata", "true"))
        assert created(report)["model_version"] == 1
    versions = world.versions("version")
    assert {n: tags(v)["n"] for n, v in versions.items()} == {1: "10", 2: "3"}
    assert versions[2]["current_stage"] == "Staging"
    assert tags(world.model("version"))["owner"] == "me"


def test_logged_models(world, travel):
    travel("logged-model", "--model-id", world.seed.free, into=("--experiment-name", "logged model"))
    assert set(world.logged_models("logged model")) == {"free"}
    travel("logged-models", "--experiment-ids", world.seed.alpha)
    assert set(world.logged_models("alpha")) == {"net", "free"}


def test_traces(world, travel):
    travel("trace", "--request-id", world.seed.traces[0], into=("--experiment-name", "trace"))
    assert set(world.traces("trace")) == {world.seed.traces[0]}
    world.forget_traces("trace")
    travel("traces", "--experiment-ids", world.seed.alpha)
    assert set(world.traces("alpha")) == set(world.seed.traces)
    world.forget_traces("alpha")


def test_prompts(world, travel):
    text_of = lambda name: {n: tags(v)["mlflow.prompt.text"] for n, v in world.prompt_versions(name).items()}  # noqa: E731
    travel("prompt", "--prompt-name", "greet", "--prompt-version", "7", into=("--prompt-name", "one"))
    assert text_of("one") == {1: "Hi {{who}} 7"}
    travel("prompts", "--prompts", "all")
    assert text_of("greet") == {n: f"Hi {{{{who}}}} {n}" for n in range(1, 12)}


def test_evaluation_datasets(world, travel):
    travel("evaluation-dataset", "--dataset-name", "qa", into=("--evaluation-dataset-name", "one"))
    travel("evaluation-datasets", "--evaluation-datasets", "all")
    found = {d["name"]: d["dataset_id"] for d in world.datasets()}
    assert set(found) == {"one", "qa"}
    for dataset in found.values():
        records = json.loads(world.to.get(API3 + f"datasets/{dataset}/records", max_results=10)["records"])
        assert {r["inputs"]["q"] for r in records} == {"2+2", "1+3"}
