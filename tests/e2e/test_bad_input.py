"""Bad input: a one-line error that names the object, the right exit code, and nothing half-published."""

import os
import shutil
import subprocess

import ferry
import pytest
from conftest import assert_equal
from ferry import must
from proxies import Recorder, make_certificates
from servers import Server, free_port


def one_line_error(result, codes, *names):
    """The exit code is one of `codes`; standard error is one line; it holds each of `names`."""
    codes = codes if isinstance(codes, tuple) else (codes,)
    assert result.code in codes, f"exit {result.code}\n{result.text[-2000:]}"
    lines = [line for line in result.err.splitlines() if line.strip()]
    assert len(lines) == 1, result.err
    for name in names:
        assert str(name) in lines[0], (name, lines[0])


def quiet(command, *arguments, **more):
    """Without warnings about retries, for the commands that can log at all."""
    logs = () if command in ("check", "snapshots", "ls", "cat") else ("--log-level", "error")
    return ferry.ferry(command, *arguments, *logs, **more)


def export_quiet(url, archive, *more, **keywords):
    return quiet("export-all", "--src-mlflow-uri", url, "--archive", archive, "--no-progress", *more, **keywords)


def import_quiet(archive, url, *more, **keywords):
    return quiet("import-all", "--archive", archive, "--dst-mlflow-uri", url, "--no-progress", *more, **keywords)


def assert_no_snapshot(archive):
    assert not list(archive.glob("snapshots/*")), "half-published"


def test_unreachable(archive, exported):
    url = f"http://127.0.0.1:{free_port()}"
    one_line_error(export_quiet(url, archive), 4, url)
    assert_no_snapshot(archive)
    one_line_error(import_quiet(exported, url), 4, url)


def test_not_an_mlflow_server(archive, tmp_path):
    """Something answers HTTP there, but it is no MLflow server."""
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        one_line_error(export_quiet(url, archive), (1, 4), url)
        server.shutdown()
    assert_no_snapshot(archive)


def test_wrong_login(place, archive):
    """A server with basic-auth: wrong password and a token it does not know are 12; the right password works."""
    pytest.importorskip("flask_wtf", reason="tests/requirements.txt is not installed")
    ini = place / "auth.ini"
    ini.write_text(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{place}/auth.db\nadmin_username = admin\n"
                   "admin_password = long-enough-7\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n")
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(ini), "MLFLOW_FLASK_SERVER_SECRET_KEY": "for this test"}
    with Server(place / "auth", extra=("--app-name", "basic-auth"), env=env, workers=1) as server:
        for login in ({"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "wrong secret"},
                      {"MLFLOW_TRACKING_TOKEN": "wrong secret"}, {}):
            result = export_quiet(server.url, archive, env=login)
            one_line_error(result, 12, server.url)
            assert "wrong secret" not in result.text
        assert_no_snapshot(archive)
        login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "long-enough-7"}
        must(export_quiet(server.url, archive, env=login))


def test_tls_with_unknown_ca(empty, archive, tmp_path):
    ca, certificate, key = make_certificates(tmp_path)
    with Recorder(empty.url, tls=(certificate, key)) as front:
        one_line_error(export_quiet(front.url, archive), 4, front.url)
        assert_no_snapshot(archive)
        assert front.requests == [], "a request was sent before the certificate was checked"
        must(export_quiet(front.url, archive, env={"MLFLOW_TRACKING_SERVER_CERT_PATH": str(ca)}))
        must(export_quiet(front.url, archive, env={"MLFLOW_TRACKING_INSECURE_TLS": "true"}))


def test_not_an_archive(empty, tmp_path):
    folder = tmp_path / "something else"
    folder.mkdir()
    (folder / "file.txt").write_text("not an archive")
    for place in (folder, tmp_path / "missing"):
        one_line_error(import_quiet(place, empty.url), 4, place)
        one_line_error(quiet("check", "--archive", place), 4, place)
        one_line_error(quiet("snapshots", "--archive", place), 4, place)
    # An export must not mix its files into a folder that holds other things.
    result = export_quiet(empty.url, folder)
    one_line_error(result, (1, 4), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["file.txt"]
    (tmp_path / "file").write_text("x")
    one_line_error(quiet("check", "--archive", tmp_path / "file"), (1, 4), tmp_path / "file")


def largest_pack(archive):
    return max(archive.rglob("*.pack"), key=lambda f: f.stat().st_size)


@pytest.fixture
def damaged(exported, archive):
    shutil.copytree(exported, archive)
    return archive


def assert_damage_is_found(archive, pack, server):
    checked = quiet("check", "--archive", archive, "--read-data")
    assert checked.code == 20 and pack.name[:16] in checked.text, checked.text[-2000:]
    result = import_quiet(archive, server.url)
    assert result.code in (1, 3), f"exit {result.code}\n{result.text[-2000:]}"
    assert pack.name[:16] in result.text, result.text[-2000:]


def test_truncated_pack(damaged, empty):
    pack = largest_pack(damaged)
    os.truncate(pack, pack.stat().st_size * 2 // 3)
    assert quiet("check", "--archive", damaged).code == 20, "sizes are checked without --read-data"
    assert_damage_is_found(damaged, pack, empty)


def test_flipped_byte(damaged, empty):
    pack = largest_pack(damaged)
    with open(pack, "r+b") as f:
        f.seek(pack.stat().st_size // 2)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 0x10]))
    assert_damage_is_found(damaged, pack, empty)


def test_missing_pack(damaged, empty):
    pack = largest_pack(damaged)
    pack.unlink()
    assert_damage_is_found(damaged, pack, empty)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB; the random file of the source alone does not fit."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(source, small_disk, empty):
    archive = small_disk / "archive"
    result = export_quiet(source.url, archive)
    assert result.code in (1, 3), f"exit {result.code}\n{result.text[-2000:]}"
    assert "No space left" in result.err and str(archive) in result.err, result.err
    assert_no_snapshot(archive)
    # With room the same command finishes, and what was left behind does no harm.
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    must(export_quiet(source.url, archive))
    must(quiet("check", "--archive", archive, "--read-data"))
    must(import_quiet(archive, empty.url))
    assert_equal(source, empty)


def test_output_folder_not_writable(empty, tmp_path):
    """A file stands where the folder should be: this stops root too."""
    (tmp_path / "file").write_text("in the way")
    one_line_error(export_quiet(empty.url, tmp_path / "file"), (1, 4), tmp_path / "file")
    one_line_error(export_quiet(empty.url, tmp_path / "file" / "archive"), (1, 4), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_usage_errors(empty, tmp_path, archive):
    result = ferry.ferry("export-all", "--archive", archive, "--src-mlflow-uri", empty.url, "--no-such-option")
    assert result.code == 2 and "--no-such-option" in result.err
    result = ferry.ferry("no-such-command")
    assert result.code == 2 and "no-such-command" in result.err
    result = ferry.ferry("export-all", "--src-mlflow-uri", empty.url, "--no-progress")
    assert result.code == 2 and "--archive" in result.err, result.text
    result = ferry.ferry("export-all", "--archive", archive, "--no-progress")
    assert result.code == 2 and "MLFLOW_TRACKING_URI" in result.err, result.text
    result = ferry.ferry("import-all", "--archive", archive, "--dst-mlflow-uri", empty.url, "--jobs", "many")
    assert result.code == 2 and "--jobs" in result.err, result.text
    assert not archive.exists()


def test_help_and_version():
    assert "export-all" in must(ferry.ferry("--help")).out
    assert must(ferry.ferry("--version")).out.strip()
    for command in ("export-all", "import-all", "copy-all", "verify", "check", "snapshots", "ls", "cat"):
        assert "--archive" in must(ferry.ferry(command, "--help")).out or command == "copy-all"


def test_environment_names_the_source(empty, archive):
    must(ferry.ferry("export-all", "--archive", archive, "--no-progress", env={"MLFLOW_TRACKING_URI": empty.url}))
