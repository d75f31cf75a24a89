"""Measures mlferry against plain request loops, parallel curl and the Python package mlflow-export-import.

Real servers on this machine; contestants take turns within each round, and what counts is the median of the
rounds' ratios, so that a slow moment of the machine hits both. Run it with build/venv/bin/python; prints a table,
then JSON.
"""

import argparse
import contextlib
import functools
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import loops  # noqa: E402
import workload  # noqa: E402

import ferry  # noqa: E402
from proxies import Recorder  # noqa: E402
from rest import Rest, proxied, quote_path  # noqa: E402
from servers import ROOT, Server, environment  # noqa: E402

PEER = ["mlflow-export-import==1.2.0", "mlflow==3.17.2", "tabulate==0.10.0"]

MB = 1_000_000
# Kind and bytes of the files that the artifacts come in. The server sends 64 KiB at a time; where that does not divide a
# file, curl waits up to 40 ms for its end, which the server holds back until all before it is acknowledged.
FILES = [*(("random", n * MB) for n in (1, 2, 5, 20, 50)), *(("random", n << 20) for n in (1, 2, 4, 8, 10)), ("text", 4 << 20), ("text", 20 * MB)]


class Bench:
    def __init__(self, options, work):
        self.options, self.work, self.rows = options, work, []

    def row(self, what, ours, theirs, ratio, note=""):
        self.rows.append({"what": what, "mlferry": ours, "other": theirs, "ratio": ratio, "note": note})
        print(f"  {what}: {ours} against {theirs}: {ratio:.2f} {note}", file=sys.stderr)

    def fresh(self, name):
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    @contextlib.contextmanager
    def server(self, name, like=None):
        folder = self.fresh(name)
        with Server(folder, clone_of=like) as server:
            yield server
        shutil.rmtree(folder)

    def ferry(self, *arguments):
        jobs = ["--jobs", self.options.jobs] if self.options.jobs else []
        state = self.fresh("state")
        return ferry.measured(*ferry.command(*arguments, "--no-progress", *jobs), env={"HOME": str(state), "XDG_STATE_HOME": str(state)})

    def export(self, url, archive):
        return self.ferry("export-all", "--src-mlflow-uri", url, "--archive", archive)

    def import_(self, archive, url):
        return self.ferry("import-all", "--archive", archive, "--dst-mlflow-uri", url)

    def duel(self, what, ours, theirs, other_name):
        """Rounds of ours() -> Usage and theirs() -> seconds, the first of each round changing; one row. Returns the usages."""
        usages, seconds = [], []
        for i in range(self.options.rounds):
            if i % 2:
                seconds.append(theirs())
                usages.append(ours())
            else:
                usages.append(ours())
                seconds.append(theirs())
        ratio = statistics.median(u.seconds / s for u, s in zip(usages, seconds))
        self.row(f"{what} against {other_name}", f"{statistics.median(u.seconds for u in usages):.2f} s",
                 f"{statistics.median(seconds):.2f} s", ratio, f"median of {self.options.rounds} rounds")
        return usages

    def per_request(self, what, usages, arguments, url):
        """CPU time per request, with the requests of one more run counted by a proxy, and the peak of memory."""
        with Recorder(url) as proxy:
            self.ferry(*(proxy.url if a is url else a for a in arguments))
        cpu = statistics.median(u.cpu for u in usages)
        self.row(f"{what}: CPU", f"{cpu:.2f} s", f"{len(proxy.requests)} requests", cpu / len(proxy.requests) * 1e6, "µs a request")
        peak = max(u.peak_kib for u in usages) / 1024
        self.row(f"{what}: peak memory", f"{peak:.0f} MiB", "300 MiB", peak / 300)

    # ---- parts ------------------------------------------------------------------------------------------------

    def runs(self):
        o = self.options
        size = f"{o.runs} runs x {o.metrics} metrics x {o.points} points"
        documents = list(workload.run_documents(o.runs, o.metrics, o.points))
        keys = [f"metric_{m}" for m in range(o.metrics)]
        archive = self.work / "archive"
        with self.server("source", workload.runs_server(o.runs, o.metrics, o.points)) as source:
            experiment = Rest(source.url).get("experiments/get-by-name", experiment_name="runs")["experiment"]["experiment_id"]

            def ours():
                return self.export(source.url, self.fresh("archive"))

            usages = self.duel(f"export {size}", ours, lambda: loops.export_loop(
                source.url, [experiment], keys, o.concurrency, listings=True)[0], "loop with listings")
            self.duel(f"export {size}", ours, lambda: loops.export_loop(
                source.url, [experiment], keys, o.concurrency, listings=False)[0], "loop without listings (less work)")
            url = source.url
            self.per_request("export", usages, ("export-all", "--src-mlflow-uri", url, "--archive", self.fresh("counted")), url)
            size_on_disk = sum(f.stat().st_size for f in archive.rglob("*") if f.is_file())
            database = (source.folder / "mlflow.db").stat().st_size
            self.row("archive of the runs", f"{size_on_disk / 1e6:.2f} MB", f"{database / 1e6:.2f} MB", size_on_disk / database,
                     "of the server's database")
        with self.server("target") as target:
            usages = self.duel(f"import {size}", lambda: self.import_(archive, target.reset().url),
                               lambda: loops.import_loop(target.reset().url, documents, o.concurrency)[0], "loop create, log-batch, update")
            url = target.reset().url
            self.per_request("import", usages, ("import-all", "--archive", archive, "--dst-mlflow-uri", url), url)
            if "peer" in o.parts:
                self.peer()

    def artifacts(self):
        megabytes = self.options.megabytes
        sets = [(f"{megabytes} MB as runs leave them", functools.partial(workload.mixed_server, megabytes))]
        for kind, each in FILES:
            size = f"{each >> 20} MiB" if each % (1 << 20) == 0 else f"{each // MB} MB"
            sets.append((f"{megabytes} MB {kind} in files of {size}",
                         functools.partial(workload.artifacts_server, megabytes, kind, each)))
        for size, make in sets:
            with self.server("source", make()) as source, \
                    self.server("target") as target:
                files = self.file_urls(source)
                usages = self.duel(f"export {size}", lambda: self.export(source.url, self.fresh("archive")),
                                   lambda: self.curl(files), f"curl --parallel-max {self.options.transfers}")
                self.row(f"export {size}: peak memory", f"{max(u.peak_kib for u in usages) / 1024:.0f} MiB", "300 MiB",
                         max(u.peak_kib for u in usages) / 1024 / 300)
                raw = sum(f.stat().st_size for f in source.artifacts.rglob("*") if f.is_file())
                stored = sum(f.stat().st_size for f in (self.work / "archive").rglob("*") if f.is_file())
                self.row(f"archive of {size}", f"{stored / 1e6:.1f} MB", f"{raw / 1e6:.1f} MB", stored / raw, "of the input")
                usages = [self.import_(self.work / "archive", target.reset().url) for _ in range(self.options.rounds)]
                seconds = statistics.median(u.seconds for u in usages)
                self.row(f"import {size}", f"{seconds:.2f} s", f"{raw / 1e6 / seconds:.0f} MB/s",
                         max(u.peak_kib for u in usages) / 1024 / 300, "of 300 MiB memory")

    def file_urls(self, server):
        rest, urls = Rest(server.url), []
        for experiment in rest.post("experiments/search", max_results=100)["experiments"]:
            for run in rest.pages("POST", "runs/search", "runs", experiment_ids=[experiment["experiment_id"]], max_results=1000):
                info = run["info"]
                folders = [{}]
                while folders:
                    for file in rest.get("artifacts/list", run_id=info["run_id"], **folders.pop()).get("files", []):
                        if file.get("is_dir"):
                            folders.append({"path": file["path"]})
                        else:
                            urls.append(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/"
                                        + quote_path(f"{proxied(info['artifact_uri'])}/{file['path']}"))
        return urls

    def curl(self, urls):
        folder = self.fresh("curl")
        folder.mkdir()
        config = folder / "config"
        config.write_text("".join(f'url = "{u}"\noutput = "{folder}/{i}"\n' for i, u in enumerate(urls)))
        start = time.monotonic()
        subprocess.run(["curl", "--silent", "--fail", "--parallel", "--parallel-max", str(self.options.transfers), "--config", str(config)],
                       check=True, stderr=subprocess.DEVNULL)  # --silent does not silence its parallel meter
        seconds = time.monotonic() - start
        assert all((folder / str(i)).stat().st_size > 0 for i in range(len(urls)))
        shutil.rmtree(folder)
        return seconds

    # ---- the peer ---------------------------------------------------------------------------------------------

    def peer(self):
        """On fewer runs, since the peer is slow: the same ones for both, one after the other. Both meet servers that have
        answered each kind of request before: the first ones of a new process take it seconds."""
        programs = self.install_peer()
        if programs is None:
            return
        o, count = self.options, self.options.peer_runs
        names = ",".join(f"peer {i}" for i in range(4))
        folder = self.fresh("peer")
        with self.server("peer-source", workload.peer_server(count, o.metrics, o.points)) as source:
            self.export(source.url, self.fresh("peer-archive"))
            our_export = self.export(source.url, self.fresh("peer-archive")).seconds
            seconds = self.run_peer(programs / "export-experiments", source.url, "--experiments", names, "--output-dir", folder)
        if seconds is None:
            return
        self.row(f"export {count} runs against the peer with threads", f"{our_export:.2f} s", f"{seconds:.2f} s",
                 our_export / seconds, f"{seconds / our_export:.0f} times faster")
        with self.server("peer-target") as target:
            self.import_(self.work / "peer-archive", target.url)
            our_import = self.import_(self.work / "peer-archive", target.reset().url).seconds
            target.reset()
            seconds = self.run_peer(programs / "import-experiments", target.url, "--input-dir", folder)
            if seconds is None:
                return
            rest = Rest(target.url)
            experiments = [e["experiment_id"] for e in rest.post("experiments/search", max_results=100)["experiments"]]
            arrived = len(rest.post("runs/search", experiment_ids=experiments, max_results=10000).get("runs", []))
        if arrived == 0:
            print("  the peer's import made no run: not compared", file=sys.stderr)
            return
        self.row(f"import {count} runs against the peer with threads", f"{our_import:.2f} s", f"{seconds:.2f} s",
                 our_import / seconds, f"{seconds / our_import:.0f} times faster; {arrived} of {count} runs arrived by the peer")

    def install_peer(self):
        folder = ROOT / "build" / "peer-venv"
        mark = folder / "installed"
        if not mark.exists() or mark.read_text() != "\n".join(PEER):
            print("installing the peer into build/peer-venv", file=sys.stderr)
            subprocess.run(["python3", "-m", "venv", str(folder)], check=True)
            done = subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PEER],
                                  capture_output=True, text=True)
            if done.returncode:
                print(f"  the peer does not install, not compared: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                return None
            mark.write_text("\n".join(PEER))
        return folder / "bin"

    def run_peer(self, program, url, *arguments):
        start = time.monotonic()
        done = subprocess.run([str(program), *map(str, arguments), "--use-threads", "True"], env=environment({"MLFLOW_TRACKING_URI": url}),
                              capture_output=True, text=True, cwd=self.work, timeout=3600)
        if done.returncode:
            print(f"  {program.name} fails, not compared: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return None
        return time.monotonic() - start


def print_table(rows):
    columns = [("what", "what"), ("mlferry", "mlferry"), ("other", "other"), ("ratio", "ratio"), ("note", "")]
    cells = [[title for _, title in columns]] + [[f"{r[k]:.2f}" if k == "ratio" else r[k] for k, _ in columns] for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=16, help="of the request loops")
    parser.add_argument("--jobs", default="", help="given to mlferry; without it mlferry's own default")
    parser.add_argument("--transfers", type=int, default=8, help="of curl")
    parser.add_argument("--peer-runs", type=int, default=60)
    parser.add_argument("--parts", default="runs,artifacts,peer", help="which of runs, artifacts, peer (peer needs runs)")
    parser.add_argument("--json", help="file for the JSON, besides standard output")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    with tempfile.TemporaryDirectory(prefix="mlferry-bench-", dir=workload.memory_folder()) as work:
        bench = Bench(options, pathlib.Path(work))
        if "runs" in options.parts:
            bench.runs()
        if "artifacts" in options.parts:
            bench.artifacts()
    print_table(bench.rows)
    text = json.dumps({"options": vars(options), "rows": bench.rows}, ensure_ascii=False)
    print(text)
    if options.json:
        pathlib.Path(options.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
