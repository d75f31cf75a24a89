"""Runs the built mlferry and gives back what a user would see: exit code, standard output, standard error."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from servers import ROOT, environment

BINARY = pathlib.Path(os.environ.get("MLFERRY_BIN", ROOT / "build" / "release" / "mlferry"))
TIMEOUT = 300


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    report: dict | None

    @property
    def text(self):
        return self.out + self.err

    def error_line(self):
        """The last line of standard error: the one that says what went wrong."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def command(*arguments):
    return [str(BINARY), *map(str, arguments)]


def ferry(*arguments, env=None, report=None, timeout=TIMEOUT):
    """Runs to the end. `report`: a path to have the JSON report written to and read from."""
    if report is not None:
        arguments = (*arguments, "--report", report)
    start = time.monotonic()
    done = subprocess.run(command(*arguments), env=environment(env), capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    text = [part.decode("utf-8", "replace") for part in (done.stdout, done.stderr)]
    document = None
    if report is not None and pathlib.Path(report).exists():
        document = json.loads(pathlib.Path(report).read_text())
    return Result(done.returncode, *text, time.monotonic() - start, document)


def ferry_ok(*arguments, **more):
    result = ferry(*arguments, **more)
    assert result.code == 0, f"mlferry {' '.join(map(str, arguments))}: exit {result.code}\n{result.text[-3000:]}"
    return result


def ferry_killed(seconds, *arguments, env=None):
    """Starts and kills with SIGKILL after `seconds`. True when it was killed, False when it had ended before."""
    process = subprocess.Popen(command(*arguments), env=environment(env), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


@dataclasses.dataclass
class Usage:
    seconds: float
    cpu: float  # user and system
    peak_kib: int


def measured(*program, env=None, cwd=None, timeout=3600):
    """Runs a program and measures it. A small process stands between: the peak that Linux gives for a child
    counts what its parent was when it forked, and this process may be large."""
    between = ("import resource,subprocess,sys,time; t = time.monotonic(); c = subprocess.run(sys.argv[1:], stdout=2).returncode; "
               "s = time.monotonic() - t; r = resource.getrusage(resource.RUSAGE_CHILDREN); "
               "print(c, s, r.ru_utime + r.ru_stime, r.ru_maxrss)")
    done = subprocess.run([sys.executable, "-S", "-c", between, *map(str, program)], env=environment(env), capture_output=True,
                          text=True, timeout=timeout, cwd=cwd, stdin=subprocess.DEVNULL)
    code, seconds, cpu, peak = done.stdout.split()
    assert code == "0", f"{' '.join(map(str, program))}: exit {code}\n{done.stderr[-3000:]}"
    return Usage(float(seconds), float(cpu), int(peak))


def export(server, archive, *more, **keywords):
    return ferry("export-all", "--src-mlflow-uri", server.url, "--archive", archive, "--no-progress", *more, **keywords)


def import_(archive, server, *more, **keywords):
    return ferry("import-all", "--archive", archive, "--dst-mlflow-uri", server.url, "--no-progress", *more, **keywords)


def copy(source, destination, *more, **keywords):
    return ferry("copy-all", "--src-mlflow-uri", source.url, "--dst-mlflow-uri", destination.url, "--no-progress", *more,
                 **keywords)


def must(result):
    """The result, asserted to be a success."""
    assert result.code == 0, f"exit {result.code}\n{result.text[-3000:]}"
    return result
