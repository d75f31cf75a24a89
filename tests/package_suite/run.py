"""Runs the package's tests/open_source against two real servers. The last line is `N passed, N failed, N not applicable`; exit 1
when one failed, or when one neither ran nor is listed as not applicable. See README.md."""

import argparse
import collections
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from servers import Server, environment  # noqa: E402

TESTS = "tests/open_source"


def not_applicable():
    """{test, or file for all of its tests: reason}"""
    found, reason = {}, None
    for line in (HERE / "not_applicable.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            found[line.strip()] = reason
    return found


def collected(python, work, env):
    done = subprocess.run([*python, "--collect-only", "-q"], cwd=work / TESTS, env=env, capture_output=True, text=True)
    names = [pathlib.PurePath(line).name for line in done.stdout.splitlines() if "::" in line]
    if done.returncode != 0 or not names:
        raise SystemExit(f"the package's tests cannot be collected:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return names


def results(path):
    """{test: passed, failed or skipped}"""
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        name = f"{case.get('classname').rpartition('.')[2]}.py::{case.get('name')}"
        found[name] = "passed" if not bad else "skipped" if bad == ["skipped"] else "failed"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=pathlib.Path, help="folder of the package's repository")
    parser.add_argument("--package", action="store_true", help="the package's own code instead, to compare")
    parser.add_argument("--local-artifacts", action="store_true", help="servers that name local folders for artifacts, not their proxy")
    parser.add_argument("--logged-models", action="store_true", help="log models as MLflow 3 does, not among the run's artifacts")
    options, more = parser.parse_known_args()
    work = ROOT / "build" / "-".join(["package-suite", *(name for name in ("package", "local_artifacts", "logged_models")
                                                         if getattr(options, name))])
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(options.checkout / "tests", work / "tests")
    if options.package:
        shutil.copytree(options.checkout / "mlflow_export_import", work / "mlflow_export_import")

    # Without marker tags, since the tests compare all tags; what an import made is then known from the state folder.
    journal, report = work / "journal.jsonl", work / "junit.xml"
    journal.touch()
    servers = [Server(work / end, extra=("--no-serve-artifacts", "--default-artifact-root", str(work / end / "artifacts"))
                      if options.local_artifacts else ()) for end in ("source", "destination")]
    source, destination = servers
    env = environment({
        "PYTHONPATH": ":".join(map(str, (*([] if options.package else [HERE / "shim"]), work, HERE / "plugin"))), "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC",
        "MLFLOW_TRACKING_URI": source.url, "MLFLOW_TRACKING_URI_SRC": source.url, "MLFLOW_TRACKING_URI_DST": destination.url,
        "MLFERRY_BIN": str(ROOT / "build" / "release" / "mlferry"), "MLFERRY_NO_MARKER_TAGS": "true",
        "MLFERRY_STATE_DIR": str(work / "state"), "PACKAGE_SUITE_JOURNAL": str(journal)})
    if options.logged_models:
        env["PACKAGE_SUITE_LOGGED_MODELS"] = "1"
    python = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "for_current_mlflow", "--rootdir", str(work)]
    # Two files of the package's tests cannot even import its code.
    everything, left_out = ([], {}) if options.package else (collected(python, work, env), not_applicable())
    reasons = {name: left_out.get(name) or left_out.get(name.partition("::")[0]) for name in everything}
    unknown = [name for name in left_out if not any(test == name or test.startswith(name + "::") for test in everything)]
    if unknown:
        raise SystemExit(f"not_applicable.txt names what is not there: {', '.join(unknown)}")
    deselected = [f"--deselect={TESTS}/{name}" for name in everything if reasons[name]]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        subprocess.run([*python, "-q", "--tb=short", "-W", "ignore", f"--junit-xml={report}",
                        "--continue-on-collection-errors", *deselected, *more],
                       cwd=work / TESTS, env=env)
    finally:
        for server in servers:
            server.stop()

    found = results(report)
    print("\nCommands that did not end with 0:")
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        print(f"  {pathlib.PurePath(entry['test']).name}: {entry['command'][0]} ended with {entry['code']}: "
              f"{entry['error'].strip('; ').replace(chr(10), ' ')[:200]}")
    print("Not applicable:")
    for reason, n in collections.Counter(filter(None, reasons.values())).items():
        print(f"  {n}: {reason}")
    lost = [] if more else [name for name in everything if name not in found and not reasons[name]]
    bad = [name for name, result in found.items() if result != "passed"] + lost
    for name in bad:
        print(f"FAILED  {name} ({found.get(name, 'did not run')})")
    print(f"{len(found) + len(lost) - len(bad)} passed, {len(bad)} failed, {sum(map(bool, reasons.values()))} not applicable")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
