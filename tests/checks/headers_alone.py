#!/usr/bin/env python3
"""Every header under src/ compiles alone: it includes what it uses.

usage: headers_alone.py [--jobs N] [SRC_FOLDER]   check; prints an "ok" line, or the compiler's first error per header
       headers_alone.py --self-test               a header that leans on another must be found
The compiler is $CXX, else clang++-19.

Two libraries take most of the time. A header that reads them anyway, itself or through others, gets them from a
precompiled header: nothing else is in there, so that nothing else can be missing unseen.
"""

import concurrent.futures
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FLAGS = [
    "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
    "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_BEAST_SEPARATE_COMPILATION", "-DBOOST_ASIO_NO_DEPRECATED",
    "-DSPDLOG_FMT_EXTERNAL", '-DMLFERRY_VERSION="0"',
]
LIBRARIES = ("boost/asio/awaitable.hpp", "boost/json/value.hpp")
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.MULTILINE)


def compiler():
    return os.environ.get("CXX", "clang++-19").split()


class Libraries:
    """Which of LIBRARIES a header reads, and a precompiled header for each set of them."""

    def __init__(self, src, folder):
        self._src, self._folder = src, pathlib.Path(folder)
        self._made = {names: self._make(names) for names in ((LIBRARIES[0],), (LIBRARIES[1],), LIBRARIES)}

    def _make(self, names):
        made = self._folder / "-".join(name.replace("/", "_") for name in names)
        text = "".join(f"#include <{name}>\n" for name in names)
        command = compiler() + [flag for flag in FLAGS if flag != "-fsyntax-only"] + ["-x", "c++-header", "-", "-o", str(made)]
        subprocess.run(command, input=text, text=True, check=True)
        return made

    @functools.lru_cache(maxsize=None)
    def read_by(self, name):
        path = self._src / name
        if not path.is_file():
            return frozenset()
        found = set()
        for kind, included in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if kind == '"':
                found |= self.read_by(included)
            elif included in LIBRARIES:
                found.add(included)
        return frozenset(found)

    def flags(self, name):
        names = tuple(library for library in LIBRARIES if library in self.read_by(name))
        return ["-include-pch", str(self._made[names])] if names else []


def compile_alone(src, header, libraries):
    """What the compiler says, or "" when it is content. Included twice: #pragma once must be there."""
    name = header.relative_to(src).as_posix()
    command = compiler() + ["-I", str(src)] + FLAGS + libraries.flags(name) + ["-x", "c++", "-"]
    text = f'#include "{name}"\n#include "{name}"\n'
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()
    return f"src/{name}: does not compile alone: " + (lines[0] if lines else "no message").replace(f"{src}/", "src/")


def check(src, jobs):
    """(number of headers, [message])"""
    headers = sorted(src.rglob("*.hpp"))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        libraries = Libraries(src, folder)
        problems = [text for text in pool.map(lambda header: compile_alone(src, header, libraries), headers) if text]
    return len(headers), problems


def self_test(jobs):
    samples = {
        "async/good.hpp": "#pragma once\n#include <string>\nstruct Good { std::string text; };\n",
        "async/user.hpp": '#pragma once\n#include "async/good.hpp"\nstruct User { Good good; };\n',
        "async/leans.hpp": "#pragma once\nstruct Leans { std::string text; };\n",
        "async/twice.hpp": "struct Twice {};\n",
        "async/warns.hpp": "#pragma once\ninline int f(int unused) { return 1; }\n",
    }
    wrong = {"async/leans.hpp", "async/twice.hpp", "async/warns.hpp"}
    with tempfile.TemporaryDirectory() as folder:
        src = pathlib.Path(folder)
        (src / "async").mkdir()
        for name, text in samples.items():
            (src / name).write_text(text, encoding="utf-8")
        problems = check(src, jobs)[1]
    found = {problem.split(":")[0].removeprefix("src/") for problem in problems}
    if found != wrong:
        sys.exit(f"self-test: expected {sorted(wrong)}, got {problems}")
    print(f"ok self-test: {len(wrong)} wrong headers found")


def main(arguments):
    jobs = 2
    if arguments[:1] == ["--jobs"] and len(arguments) > 1 and arguments[1].isdigit():
        jobs = max(1, int(arguments[1]))
        arguments = arguments[2:]
    if arguments == ["--self-test"]:
        return self_test(jobs)
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        sys.exit(__doc__)
    src = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2] / "src"
    if not src.is_dir():
        sys.exit(f"{src}: no such folder")
    count, problems = check(src.resolve(), jobs)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    if count == 0:
        sys.exit(f"{src}: no headers")
    print(f"ok headers alone: {count} headers")


if __name__ == "__main__":
    main(sys.argv[1:])
