#!/usr/bin/env python3
"""Every #include under src/ points in the right direction: cli -> engine -> storage -> protocol -> async.

usage: include_directions.py [SRC_FOLDER]     check; prints an "ok" line, or one line for each wrong include
       include_directions.py --self-test      check deliberately wrong samples: each must be found
"""

import pathlib
import re
import sys
import tempfile

LAYERS = ["cli", "engine", "storage", "protocol", "async"]  # each may include itself and what stands to its right
QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
ANGLED = re.compile(r"^\s*#\s*include\s*<([^>]+)>")
# Heavy or leaky headers: in .cpp files only, and in these layers not at all.
HIDDEN = re.compile(r"^(boost/beast($|[./])|boost/asio/ssl($|[./])|openssl/|zstd[a-z_]*\.h$|zlib\.h$|zconf\.h$)")
WITHOUT_HIDDEN = {"cli", "engine"}
SUFFIXES = {".hpp", ".cpp", ".h", ".ipp", ".cc"}


def wrong_with(src, path, line):
    """What is wrong with this line of the file, or None."""
    layer = path.relative_to(src).parts[0]
    quoted = QUOTED.match(line)
    angled = ANGLED.match(line)
    name = (quoted or angled).group(1) if quoted or angled else None
    if name is None:
        return "an #include that is neither \"...\" nor <...>" if re.match(r"^\s*#\s*include\b", line) else None
    if HIDDEN.match(name):
        if layer in WITHOUT_HIDDEN:
            return f"{layer} must not include <{name}>"
        if path.suffix != ".cpp":
            return f"<{name}> belongs in .cpp files only"
    first = pathlib.PurePosixPath(name).parts[0]
    if angled:
        if first in LAYERS and (src / name).exists():
            return f'write "{name}" for our own header'
        return None
    if HIDDEN.match(name):
        return None
    if first not in LAYERS:
        return f'"{name}" does not begin with a layer (paths start at src/)'
    if not (src / name).is_file():
        return f'"{name}" does not exist'
    if LAYERS.index(first) < LAYERS.index(layer):
        return f"{layer} must not include {first}"
    return None


def check(src):
    """(number of files, number of includes, [message])"""
    files = includes = 0
    problems = []
    for path in sorted(src.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        files += 1
        where = path.relative_to(src)
        if where.parts[0] not in LAYERS:
            problems.append(f"src/{where}: not in a layer")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            includes += bool(QUOTED.match(line) or ANGLED.match(line))
            problem = wrong_with(src, path, line)
            if problem:
                problems.append(f"src/{where}:{number}: {line.strip()}: {problem}")
    return files, includes, problems


def self_test():
    good = {
        "async/a.hpp": "#include <vector>\n",
        "async/ssl.cpp": "#include <boost/asio/ssl/impl/src.hpp>\n",
        "protocol/http/p.hpp": '#include "async/a.hpp"\n#include <boost/asio/ip/tcp.hpp>\n',
        "protocol/http/p.cpp": '#include "protocol/http/p.hpp"\n#include <boost/beast/http.hpp>\n#include <zlib.h>\n',
        "storage/s.cpp": '#include "protocol/http/p.hpp"\n#include <zstd.h>\n#include <openssl/evp.h>\n',
        "storage/s.hpp": '#include "async/a.hpp"\n',
        "engine/e.hpp": '  #  include "storage/s.hpp"\n',
        "cli/c.hpp": '#include "engine/e.hpp"\n',
        "cli/main.cpp": '#include "cli/c.hpp"\n// #include "not/one.hpp"\n',
    }
    wrong = [  # (file, line, what the message must say)
        ("async/x.hpp", '#include "protocol/http/p.hpp"', "async must not include protocol"),
        ("protocol/x.cpp", '#include "storage/s.hpp"', "protocol must not include storage"),
        ("storage/x.cpp", '#include "engine/e.hpp"', "storage must not include engine"),
        ("engine/x.cpp", '#include "cli/c.hpp"', "engine must not include cli"),
        ("async/x.cpp", '#include "cli/c.hpp"', "async must not include cli"),
        ("protocol/x.hpp", "#include <boost/beast/core.hpp>", ".cpp files only"),
        ("protocol/x.hpp", "#include <boost/asio/ssl.hpp>", ".cpp files only"),
        ("storage/x.hpp", "#include <openssl/sha.h>", ".cpp files only"),
        ("storage/x.hpp", "#include <zstd.h>", ".cpp files only"),
        ("storage/x.hpp", "#include <zstd_errors.h>", ".cpp files only"),
        ("storage/x.hpp", "#include <zlib.h>", ".cpp files only"),
        ("engine/x.cpp", "#include <boost/beast/http.hpp>", "engine must not include <boost/beast/http.hpp>"),
        ("cli/x.cpp", "#include <openssl/ssl.h>", "cli must not include <openssl/ssl.h>"),
        ("engine/x.cpp", "#include <zstd.h>", "engine must not include <zstd.h>"),
        ("storage/x.cpp", '#include "s.hpp"', "does not begin with a layer"),
        ("storage/x.cpp", '#include "../engine/e.hpp"', "does not begin with a layer"),
        ("storage/x.cpp", '#include "async/missing.hpp"', "does not exist"),
        ("storage/x.cpp", "#include <async/a.hpp>", "for our own header"),
        ("storage/x.cpp", "#include SOME_MACRO", "neither"),
        ("other/x.cpp", "int x;", "not in a layer"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        src = pathlib.Path(folder)

        def write(name, text):
            path = src / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return path

        for name, text in good.items():
            write(name, text)
        problems = check(src)[2]
        if problems:
            sys.exit("self-test: the right sample was refused: " + "; ".join(problems))
        for name, line, expected in wrong:
            path = write(name, "\n" + line + "\n")
            problems = check(src)[2]
            path.unlink()
            if len(problems) != 1 or expected not in problems[0]:
                sys.exit(f"self-test: {name} with {line!r}: expected {expected!r}, got {problems}")
    print(f"ok self-test: {len(wrong)} wrong includes found")


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        sys.exit(__doc__)
    src = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2] / "src"
    if not src.is_dir():
        sys.exit(f"{src}: no such folder")
    files, includes, problems = check(src.resolve())
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    if files == 0:
        sys.exit(f"{src}: no source files")
    print(f"ok include directions: {includes} includes in {files} files")


if __name__ == "__main__":
    main(sys.argv[1:])
