#!/usr/bin/env python3
"""docs/package-tests.md names every test of the package once, with a test of ours that exists or the reason why there is none.

usage: package_tests_listed.py               check; prints an "ok" line, or one line for each problem
       package_tests_listed.py --self-test   check deliberately wrong tables: each must be found
"""

import re
import sys

sys.dont_write_bytecode = True
from named_tests import ROOT, run_self_test, tests_there, wrong_names  # noqa: E402

DOCUMENT = ROOT / "docs" / "package-tests.md"
EXPECTED = range(1, 162)
ROW = re.compile(r"^\| *(\d+) *\|(.*?)\|(.*)\|$")
REASON = re.compile(r"^none: .{10,}")


def check(text, tests):
    """[problem]"""
    problems, seen = [], []
    for line in text.splitlines():
        row = ROW.match(line)
        if not row:
            continue
        number, theirs, ours = (part.strip() for part in row.groups())
        seen.append(int(number))
        if not theirs or not ours:
            problems.append(f"{number}: a column is empty")
        wrong, named = wrong_names(number, ours, tests)
        problems += wrong
        if not named and not REASON.match(ours):
            problems.append(f"{number}: neither a test nor a reason")
    for number in EXPECTED:
        if seen.count(number) != 1:
            problems.append(f"{number}: is in the table {seen.count(number)} times")
    return problems + [f"{number}: no such test of the package" for number in seen if number not in EXPECTED]


def self_test():
    tests = {"a_test.cpp": ["things: work always"], "test_b.py": ["test_c"]}
    rows = {number: f"| {number} | what | `test_b.py::test_c` |" for number in EXPECTED} | \
        {1: "| 1 | what | `a_test.cpp::things: work`: and more, `test_b.py::test_c` |", 2: "| 2 | what | none: needs another world |"}
    good = lambda changed: ("\n".join({**rows, **changed}.values()), tests)  # noqa: E731
    run_self_test(check, good({}), [(good({3: row}), expected) for row, expected in (
        ("", "3: is in the table 0 times"),
        (rows[4], "4: is in the table 2 times"),
        (rows[3] + "\n| 162 | a | `test_b.py::test_c` |", "162: no such test of the package"),
        ("| 3 | a | see there |", "3: neither a test nor a reason"),
        ("| 3 | a | none: |", "3: neither a test nor a reason"),
        ("| 3 |  | `test_b.py::test_c` |", "3: a column is empty"),
        ("| 3 | a | `test_b.py::test_` |", "3: there is no test test_b.py::test_"),
        ("| 3 | a | `a_test.cpp::work` |", "3: there is no test a_test.cpp::work"),
        ("| 3 | a | none: not here, but `none_test.cpp::things` |", "3: there is no test none_test.cpp::things"),
    )])


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if arguments:
        sys.exit(__doc__)
    text = DOCUMENT.read_text(encoding="utf-8")
    problems = check(text, tests_there())
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    without = len(re.findall(r"^\|.*\| none: ", text, re.MULTILINE))
    print(f"ok package tests listed: {len(EXPECTED)} tests, {len(EXPECTED) - without} with ours, {without} with a reason")


if __name__ == "__main__":
    main(sys.argv[1:])
