#!/usr/bin/env python3
"""docs/coming-from-mlflow-export-import.md names every defect of the package once, with a test that exists, and every command.

usage: defects_listed.py               check; prints an "ok" line, or one line for each problem
       defects_listed.py --self-test   check deliberately wrong tables: each must be found
"""

import re
import sys

sys.dont_write_bytecode = True
from named_tests import ROOT, run_self_test, tests_there, wrong_names  # noqa: E402

DOCUMENT = ROOT / "docs" / "coming-from-mlflow-export-import.md"
NAMES = ROOT / "src" / "cli" / "package_names.hpp"
GROUPS = {"A": 1, "G": 12, "R": 15, "E": 12, "M": 23, "L": 8, "T": 8, "P": 7, "V": 5, "B": 9, "H": 4, "C": 5}
EXPECTED = [f"{group}{number}" for group, most in GROUPS.items() for number in range(1, most + 1)]
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.*?) \| (.*?) \| (.*) \|$")


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
        wrong, named = wrong_names(number, shown, tests)
        problems += wrong
        if not named:
            problems.append(f"{number}: no test is named")
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
    good = lambda changed, more=(): ("\n".join({**rows, **changed}.values()) + "\n`export-all`", tests, ["export-all", *more])  # noqa: E731
    run_self_test(check, good({}), [
        (good({"R3": ""}), "R3: is in the table 0 times"),
        (good({"R3": rows["R4"]}), "R4: is in the table 2 times"),
        (good({"R3": rows["R3"] + "\n| Z1 | a | b | `test_b.py::test_c` |"}), "Z1: no such defect"),
        (good({"R3": "| R3 | a | b | see there |"}), "R3: no test is named"),
        (good({"R3": "| R3 |  | b | `test_b.py::test_c` |"}), "R3: a column is empty"),
        (good({"R3": "| R3 | a | b | `test_b.py::test_` |"}), "R3: there is no test test_b.py::test_"),
        (good({"R3": "| R3 | a | b | `a_test.cpp::work` |"}), "R3: there is no test a_test.cpp::work"),
        (good({"R3": "| R3 | a | b | `none_test.cpp::things` |"}), "R3: there is no test none_test.cpp::things"),
        (good({}, ["export-run"]), "the command export-run is not in it"),
    ])


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
