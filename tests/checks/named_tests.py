"""For the checks of documents that name tests: which tests there are. Not a check itself."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST = re.compile(r"`([a-z_0-9]+\.(?:py|cpp))::([^`]+)`")


def tests_there():
    """{file name: [names of its tests]}"""
    found = {}
    for path in (ROOT / "tests").rglob("*_test.cpp"):
        found[path.name] = found.get(path.name, []) + re.findall(r'TEST_CASE\(\s*"([^"]+)', path.read_text(encoding="utf-8"))
    for path in (ROOT / "tests" / "e2e").glob("test_*.py"):
        found[path.name] = re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found


def has_test(tests, file, name):
    if file.endswith(".py"):
        return name in tests.get(file, [])
    return any(test.startswith(name) for test in tests.get(file, []))


def wrong_names(where, text, tests):
    """([problem], whether a test is named)"""
    named = TEST.findall(text)
    return [f"{where}: there is no test {file}::{name}" for file, name in named if not has_test(tests, file, name)], bool(named)


def run_self_test(check, right, wrong):
    """check(*right) finds nothing; each of `wrong` is (arguments, the problem that it has to find)."""
    if check(*right):
        raise SystemExit(f"self-test: the right table was refused: {check(*right)}")
    for arguments, expected in wrong:
        problems = check(*arguments)
        if expected not in problems:
            raise SystemExit(f"self-test: expected {expected!r}, got {problems}")
    print(f"ok self-test: {len(wrong)} wrong tables found")
