#!/usr/bin/env python3
"""Restores an mlferry archive (version 1) without mlferry: restore.py ARCHIVE OUTPUT [SNAPSHOT-ID]
Writes OUTPUT/<kind>/<id>/record.json and OUTPUT/<kind>/<id>/files/<path>. See FORMAT.md."""
import functools, hashlib, json, pathlib, sqlite3, subprocess, sys, urllib.parse
try:
    from zstandard import decompress as unzstd
except ImportError:
    def unzstd(data):
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout

def checked(data, sha256, what):
    if hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"{what}: damaged")
    return data

archive, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
wanted = sys.argv[3] if len(sys.argv) > 3 else ""
manifest_path = max(p for p in (archive / "snapshots").glob("*.json") if p.stem.rsplit("-", 1)[1].startswith(wanted))
text = manifest_path.read_bytes()
manifest = json.loads(text)
checked(text[:-79], manifest["sha256"], manifest_path)
catalog = archive / manifest["catalog"]["name"]
checked(catalog.read_bytes(), catalog.stem, catalog)
db = sqlite3.connect(f"file:{urllib.parse.quote(str(catalog.absolute()))}?immutable=1", uri=True)

@functools.lru_cache(maxsize=8)
def frame(pack, number):
    name, offset, stored, encoding = db.execute("SELECT name, offset, stored, encoding FROM frames JOIN packs USING(pack) WHERE pack=? AND frame=?", (pack, number)).fetchone()
    with open(archive / name, "rb") as file:
        file.seek(offset)
        return unzstd(file.read(stored)) if encoding == 1 else file.read(stored)

for number, kind, id_, pack, fr, offset, length in db.execute("SELECT object, kind, id, pack, frame, offset, length FROM objects"):
    folder = output.joinpath(*(urllib.parse.quote(part, safe="").replace(".", "%2E") for part in (kind, id_ or "%")))
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_bytes(frame(pack, fr)[offset:offset + length])
    for path, size, sha256 in db.execute("SELECT path, size, lower(hex(sha256)) FROM files WHERE object=?", (number,)):
        chunks = [c for c, in db.execute("SELECT sha256 FROM file_chunks WHERE object=? AND path=? ORDER BY position", (number, path))]
        places = [db.execute("SELECT pack, frame, offset, size FROM chunks WHERE sha256=?", (c,)).fetchone() for c in chunks or ([bytes.fromhex(sha256)] if size else [])]
        if path.startswith("/") or ".." in path.split("/"): sys.exit(f"{path}: refused")
        target = folder / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(checked(b"".join(frame(p, f)[o:o + n] for p, f, o, n in places), sha256, path))
