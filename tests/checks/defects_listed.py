#!/usr/bin/env python3
"""docs/coming-from-mlflow-export-import.md names every defect of the package once, with a test that exists, and every command.

usage: defects_listed.py               check; prints an "ok" line, or one line for each problem
       defects_listed.py --self-test   check deliberately wrong tables: each must be found
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "coming-from-mlflow-export-import.md"
NAMES = ROOT / "src" / "cli" / "package_names.hpp"
GROUPS = {"A": 1, "G": 12, "R": 15, "E": 12, "M": 23, "L": 8, "T": 8, "P": 7, "V": 5, "B": 9, "H": 4, "C": 5}
EXPECTED = [f"{group}{number}" for group, most in GROUPS.items() for number in range(1, most + 1)]
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.*?) \| (.*?) \| (.*) \|$")
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


def check(text, tests, commands):
    """[problem]"""
    problems, seen = [], []
    for line in text.splitlines():
        row = ROW.match(line)
        if not row:
            continue
        number, theirs, ours, shown = row.groups()
        seen.append(number)
        if not theirs.strip() or not ours.strip():
            problems.append(f"{number}: a column is empty")
        named = TEST.findall(shown)
        if not named:
            problems.append(f"{number}: no test is named")
        for file, name in named:
            if not has_test(tests, file, name):
                problems.append(f"{number}: there is no test {file}::{name}")
    for number in EXPECTED:
        if seen.count(number) != 1:
            problems.append(f"{number}: is in the table {seen.count(number)} times")
    problems += [f"{number}: no such defect" for number in seen if number not in EXPECTED]
    problems += [f"the command {name} is not in it" for name in commands if f"`{name}`" not in text]
    return problems


def self_test():
    tests = {"a_test.cpp": ["things: work always"], "test_b.py": ["test_c"]}
    rows = {number: f"| {number} | bad | good | `test_b.py::test_c` |" for number in EXPECTED}
    rows["A1"] = "| A1 | bad | good | `a_test.cpp::things: work`, `test_b.py::test_c` |"
    good = lambda changed: "\n".join({**rows, **changed}.values()) + "\n`export-all`"  # noqa: E731
    if check(good({}), tests, ["export-all"]):
        sys.exit(f"self-test: the right table was refused: {check(good({}), tests, ['export-all'])}")
    wrong = [
        ({"R3": ""}, [], "R3: is in the table 0 times"),
        ({"R3": rows["R4"]}, [], "R4: is in the table 2 times"),
        ({"R3": rows["R3"] + "\n| Z1 | a | b | `test_b.py::test_c` |"}, [], "Z1: no such defect"),
        ({"R3": "| R3 | a | b | see there |"}, [], "R3: no test is named"),
        ({"R3": "| R3 |  | b | `test_b.py::test_c` |"}, [], "R3: a column is empty"),
        ({"R3": "| R3 | a | b | `test_b.py::test_` |"}, [], "R3: there is no test test_b.py::test_"),
        ({"R3": "| R3 | a | b | `a_test.cpp::work` |"}, [], "R3: there is no test a_test.cpp::work"),
        ({"R3": "| R3 | a | b | `none_test.cpp::things` |"}, [], "R3: there is no test none_test.cpp::things"),
        ({}, ["export-run"], "the command export-run is not in it"),
    ]
    for changed, commands, expected in wrong:
        problems = check(good(changed), tests, ["export-all", *commands])
        if expected not in problems:
            sys.exit(f"self-test: expected {expected!r}, got {problems}")
    print(f"ok self-test: {len(wrong)} wrong tables found")


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if arguments:
        sys.exit(__doc__)
    names = re.findall(r'^    "([a-z-]+)"|"([a-z-]+)",', NAMES.read_text(encoding="utf-8"), re.MULTILINE)
    commands = sorted({name for pair in names for name in pair if name})
    if len(commands) != 42:
        sys.exit(f"{NAMES}: {len(commands)} names, not 42")
    problems = check(DOCUMENT.read_text(encoding="utf-8"), tests_there(), commands)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"ok defects listed: {len(EXPECTED)} defects, {len(commands)} commands")


if __name__ == "__main__":
    main(sys.argv[1:])
