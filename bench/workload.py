"""Generated servers for the benchmark, made once under build/bench and cloned for every later run."""

import os
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from rest import Rest, parallel, proxied  # noqa: E402
from servers import ROOT, Server  # noqa: E402

KEEP = ROOT / "build" / "bench"


def run_documents(runs, metrics, points):
    """(create, log-batch, update) bodies of `runs` runs, the same each time."""
    rng = random.Random(1)
    for i in range(runs):
        rows = [{"key": f"metric_{m}", "value": rng.random(), "timestamp": 1_700_000_000_000 + p * 1000, "step": p}
                for m in range(metrics) for p in range(points)]
        params = [{"key": f"param_{p}", "value": str(rng.random())} for p in range(5)]
        yield ({"run_name": f"run {i}", "start_time": 1_700_000_000_000 + i, "user_id": "user",
                "tags": [{"key": "kind", "value": "bench"}]},
               {"metrics": rows, "params": params}, {"status": "FINISHED", "end_time": 1_700_000_100_000 + i})


def write_runs(rest, name, documents):
    experiment = rest.post("experiments/create", name=name)["experiment_id"]

    def one(document):
        create, batch, update = document
        run = rest.post("runs/create", experiment_id=experiment, **create)["run"]["info"]["run_id"]
        rest.post("runs/log-batch", run_id=run, **batch)
        rest.post("runs/update", run_id=run, **update)

    parallel(one, documents, 4)
    return experiment


def kept(name, fill):
    """The folder of a server that `fill(server)` has filled; made when missing."""
    folder = KEEP / name
    if not (folder / "done").exists():
        print(f"generating {name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        # In memory: the server syncs its database at every write.
        with tempfile.TemporaryDirectory(dir=memory_folder()) as work:
            with Server(pathlib.Path(work) / "server") as server:
                fill(server)
            shutil.copytree(pathlib.Path(work) / "server", folder)
        (folder / "done").touch()
    return folder


def memory_folder():
    """A folder in memory with room, or None for the usual place of temporary files."""
    memory = pathlib.Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 6 << 30 else None


def runs_server(runs, metrics, points):
    def fill(server):
        write_runs(Rest(server.url), "runs", list(run_documents(runs, metrics, points)))

    return kept(f"runs-{runs}-{metrics}-{points}", fill)


def peer_server(runs, metrics, points):
    """Four experiments, because the peer's threads work on experiments."""
    def fill(server):
        documents = list(run_documents(runs, metrics, points))
        for i in range(4):
            write_runs(Rest(server.url), f"peer {i}", documents[i::4])

    return kept(f"peer-{runs}-{metrics}-{points}", fill)


def artifacts_server(megabytes, kind, each):
    """Files of `each` bytes, 5 a run: `text` compresses well, `random` does not. Each file of `text` exists twice."""
    def fill(server):
        rest, rng = Rest(server.url), random.Random(2)
        experiment = rest.post("experiments/create", name=kind)["experiment_id"]
        words = [str(rng.random()).encode() for _ in range(4000)]
        count, data = max(megabytes * 1_000_000 // each, 1), b""
        for i in range(count):
            if i % 5 == 0:
                run = rest.post("runs/create", experiment_id=experiment, run_name=f"r{i}", start_time=i)["run"]["info"]
            if kind == "random":
                data = os.urandom(each)
            elif i % 2 == 0:
                data = b",".join(rng.choices(words, k=each // 16))[:each].ljust(each, b"\n")
            rest.put_file(f"{proxied(run['artifact_uri'])}/files/f{i}.bin", data)

    return kept(f"artifacts-{kind}-{megabytes}-{each}", fill)


def mixed_server(megabytes):
    """What training runs leave: a folder with a model, its small files, plots and a table; sizes as they come."""
    def fill(server):
        rest, rng = Rest(server.url), random.Random(3)
        experiment = rest.post("experiments/create", name="mixed")["experiment_id"]
        left, i = megabytes * 1_000_000, 0
        while left > 0:
            run = rest.post("runs/create", experiment_id=experiment, run_name=f"r{i}", start_time=i)["run"]["info"]
            rows = "".join(f"{n},{rng.random()},{rng.gauss(0, 1):.4f},{rng.choice(['low', 'high'])}\n" for n in range(rng.randrange(2000, 40000)))
            files = {"model/MLmodel": f"artifact_path: model\nrun_id: {run['run_id']}\n".encode() * 9, "model/conda.yaml": b"name: env\n" * 30,
                     "model/requirements.txt": b"scikit-learn==1.5.0\n" * 12, "model/model.pkl": rng.randbytes(int(2 ** rng.uniform(20, 24))),
                     "eval/rows.csv": rows.encode()}
            files |= {f"plots/plot_{n}.png": rng.randbytes(rng.randrange(30_000, 300_000)) for n in range(3)}
            for path, data in files.items():
                rest.put_file(f"{proxied(run['artifact_uri'])}/{path}", data)
                left -= len(data)
            i += 1

    return kept(f"artifacts-mixed-{megabytes}", fill)
