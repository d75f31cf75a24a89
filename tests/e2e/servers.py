"""Real `mlflow server` processes for the tests: SQLite, proxied artifacts in a folder, a free loopback port. Of the
MLflow of this Python, or of an older one that scripts/test installs into an environment of its own.

A database is migrated once into a template (see `template`) and copied for each server, which saves five
seconds a start. A server ends with its process group, by the process id that was started here.
"""

import argparse
import contextlib
import os
import pathlib
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def python_of(version):
    """The Python that has this MLflow ("2.22", "3.1"); None: the one that runs this."""
    return pathlib.Path(sys.executable) if version is None else ROOT / "build" / f"venv-{version}" / "bin" / "python"


def mlflow_program(version=None):
    """The `mlflow` beside that Python."""
    program = python_of(version).parent / "mlflow"
    if not program.exists():
        raise SystemExit(f"no {program}: scripts/test e2e installs it")
    return str(program)


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "MLFERRY_"))}
    # The job runner would be another process that polls; the tests need none. Usage reports go nowhere.
    env.update(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true",
               GIT_PYTHON_REFRESH="quiet", PYTHONWARNINGS="ignore")
    env["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"  # webhooks of the tests point to this machine
    env.update(extra or {})
    return env


def template(version=None):
    """A migrated database of that version with nothing but the Default experiment, made once under build/."""
    asked = [str(python_of(version)), "-c", "from importlib.metadata import version; print(version('mlflow'))"]
    installed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    folder = ROOT / "build" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"empty-{installed}.db"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = pathlib.Path(work) / "mlflow.db"
            # What the server does at its first start: migrate, and make the Default experiment.
            program = ("import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; "
                       "SqlAlchemyStore(sys.argv[1], 'mlflow-artifacts:/')")
            subprocess.run([str(python_of(version)), "-c", program, f"sqlite:///{made}"], env=environment(), check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.replace(made, path)
    return path


class Server:
    """One server. `folder` holds mlflow.db, artifacts/ and log; `clone_of`: a stopped or idle server's folder
    whose contents the new one begins with; `version`: see python_of."""

    def __init__(self, folder, clone_of=None, extra=(), env=None, workers=2, version=None):
        self.folder = pathlib.Path(folder)
        self.database = self.folder / "mlflow.db"
        self.artifacts = self.folder / "artifacts"
        self._extra, self._env, self._workers, self.version = list(extra), env, workers, version
        self.folder.mkdir(parents=True, exist_ok=True)
        if clone_of is not None:
            copy_database(pathlib.Path(clone_of) / "mlflow.db", self.database)
            shutil.copytree(pathlib.Path(clone_of) / "artifacts", self.artifacts)
        elif not self.database.exists():
            shutil.copyfile(template(version), self.database)
        self.artifacts.mkdir(exist_ok=True)
        self.process, self.port = None, free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def reset(self, like=None):
        """Makes a running, idle server empty (or equal to the server whose folder is `like`) in place: some
        hundred times faster than a new process. SQLite's own backup writes under the server's connections."""
        copy_database(template(self.version) if like is None else pathlib.Path(like) / "mlflow.db", self.database)
        shutil.rmtree(self.artifacts)
        if like is None:
            self.artifacts.mkdir()
        else:
            shutil.copytree(pathlib.Path(like) / "artifacts", self.artifacts)
        return self

    def launch(self):
        """Starts the process without waiting for it."""
        command = [mlflow_program(self.version), "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers",
                   str(self._workers), "--backend-store-uri", f"sqlite:///{self.database}",
                   "--artifacts-destination", str(self.artifacts), *self._extra]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, env=environment(self._env), cwd=self.folder, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def wait(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"mlflow server ended at start, see {self.folder}/log:\n" + self.log_tail())
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=5) as answer:
                    if answer.status == 200:
                        return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"mlflow server not healthy after {START_SECONDS} s:\n" + self.log_tail())

    def start(self):
        return self.launch().wait()

    def log_tail(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def stop(self):
        """Kills the process group and waits until it is gone. Nothing can tear: SQLite is transactional, and a
        polite end takes uvicorn five seconds while clients keep connections."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + 10
        while group_alive(self.process.pid) and time.monotonic() < end:
            time.sleep(0.02)
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class AuthServer(Server):
    """A server with logins. Its administrator is `admin` with a password of this object's own; whoever has no grant on
    an object may do `default_permission` with it."""

    def __init__(self, folder, default_permission, admin="admin"):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.admin, self.password = admin, secrets.token_hex(16)
        self.logins = folder / "logins.db"
        settings = folder / "basic_auth.ini"
        settings.write_text(f"[mlflow]\ndefault_permission = {default_permission}\ndatabase_uri = sqlite:///{self.logins}\n"
                            f"admin_username = {admin}\nadmin_password = {self.password}\n"
                            # Each request's password is hashed again otherwise, which costs more than most requests.
                            "auth_cache_ttl_seconds = 600\n"
                            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n")
        super().__init__(folder, extra=("--app-name", "basic-auth"), env={
            "MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16)})

    def wait(self):
        super().wait()
        self._empty = self.folder / "no logins.db"
        copy_database(self.logins, self._empty)
        return self

    def reset(self, like=None):
        """Also without users but the administrator."""
        copy_database(self._empty, self.logins)
        return super().reset(like)


def group_alive(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


def copy_database(source, destination):
    """A consistent copy, also while a server has it open (plain file copies miss what is in the WAL)."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as a, sqlite3.connect(destination) as b:
        a.backup(b)
    a.close()
    b.close()


def main():
    """Serves one server until a signal: prints its URL. For use by hand and by scripts/demo."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", help="holds the database, the artifacts and the log; made if missing")
    parser.add_argument("--clone-of", help="folder of a server to begin with")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--version", help="an older MLflow that scripts/test installed: 2.22, 3.1")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(options.folder, clone_of=options.clone_of, workers=options.workers, version=options.version) as server:
        print(server.url, flush=True)
        server.process.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
