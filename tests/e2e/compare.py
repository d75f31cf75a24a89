"""Reads two MLflow servers by itself and prints every difference that a lossless copy must not have.

    compare.py SOURCE DESTINATION      exit 0: equal, 1: differences (one a line, then a JSON summary)
    compare.py --census SERVER         counts of one server, as JSON

Experiments are paired by name; runs and logged models by the tag `mlferry.source.id` of the destination within
the paired experiment; registered models and prompts by name and versions by number; traces by id. Not compared is what no REST call can
set: ids, creation times, artifact locations. Every id that a copy must rewrite is compared after mapping. With
--same-ids an object without the tag stands for the source object of the same id (to compare clones).
"""

import argparse
import json
import re
import sys

from snapshot import Snapshot

MARKER = "mlferry.source.id"
OWN_TAGS = "mlferry."
ID = re.compile(r"(?<![0-9a-f])(?:m-)?[0-9a-f]{32}(?![0-9a-f])")
PROXIED_EXPERIMENT = re.compile(r"(mlflow-artifacts:/+)(\d+)(?=/)")
PLAIN_LOCATION = re.compile(r"mlflow-artifacts:/+\d+")
# Tags that hold ids of other objects. All other tags and all params arrive unchanged.
MAPPED_TAGS = {"mlflow.parentRunId", "mlflow.log-model.history"}


def tags_of(rows):
    return {t["key"]: t.get("value", "") for t in rows or []}


def plain_tags(rows):
    return {k: v for k, v in tags_of(rows).items() if not k.startswith(OWN_TAGS)}


class Comparison:
    def __init__(self, source, destination, same_ids=False, out=sys.stdout):
        self.a, self.b, self.same_ids, self.out = source, destination, same_ids, out
        self.counts, self.compared = {}, {}
        self.ids = {}  # source run and logged model ids -> destination ids
        self.experiment_ids = {}
        self.locations = {}

    def report(self, what, text):
        self.counts[what] = self.counts.get(what, 0) + 1
        print(f"{what}: {text}", file=self.out)

    def equal(self, what, name, a, b):
        if a == b:
            return
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(set(a) | set(b), key=str):
                if a.get(key) != b.get(key):
                    one, two = (cut(side[key]) if key in side else "absent" for side in (a, b))
                    self.report(what, f"{name}: {key!r}: source {one}, destination {two}")
        elif isinstance(a, list) and isinstance(b, list):
            one, two = [x for x in a if x not in b], [x for x in b if x not in a]
            self.report(what, f"{name}: {len(a)} against {len(b)}; only source {cut(one)}, only destination {cut(two)}")
        else:
            self.report(what, f"{name}: source {cut(a)}, destination {cut(b)}")

    def mapped(self, text):
        """`text` of the source with the destination's ids in it."""
        text = ID.sub(lambda m: self.ids.get(m[0], m[0]), text)
        if self.locations:  # of workspaces, which stand before the experiment's id
            known = "|".join(map(re.escape, self.locations))
            return re.sub(f"({known})(?=/)", lambda m: self.locations[m[0]], text)
        return PROXIED_EXPERIMENT.sub(lambda m: m[1] + self.experiment_ids.get(m[2], m[2]), text)

    def run(self):
        self._experiments()
        self._pair("run", self.a.runs, self.b.runs, lambda r: tags_of(r["data"].get("tags")))
        self._pair("logged model", self.a.models, self.b.models, lambda m: tags_of(m["info"].get("tags")))
        for source, destination in self.pairs["run"]:
            self._run(source, destination)
        for source, destination in self.pairs["logged model"]:
            self._model(source, destination)
        self._registered("registered model", self.a.registered, self.b.registered)
        self._versions("version", self.a.versions, self.b.versions)
        self._registered("prompt", self.a.prompts, self.b.prompts)
        self._versions("prompt version", self.a.prompt_versions, self.b.prompt_versions)
        self._traces()
        self._objects()
        return sum(self.counts.values())

    # ---- pairs ------------------------------------------------------------------------------------------------

    def _experiments(self):
        self.pairs = {}
        a = {e["name"]: e for e in self.a.experiments.values()}
        b = {e["name"]: e for e in self.b.experiments.values()}
        self._names("experiment", a, b)
        self.compared["experiment"] = len(set(a) & set(b))
        for name in sorted(set(a) & set(b)):
            one, two = a[name], b[name]
            self.experiment_ids[one["experiment_id"]] = two["experiment_id"]
            places = [e["artifact_location"].rstrip("/") for e in (one, two)]
            if not all(PLAIN_LOCATION.fullmatch(place) for place in places) and places[0].startswith("mlflow-artifacts:"):
                self.locations[places[0]] = places[1]
            where = f"experiment {name[:60]!r}"
            self.equal("experiment lifecycle", where, one["lifecycle_stage"], two["lifecycle_stage"])
            self.equal("experiment tag", where, plain_tags(one.get("tags")), plain_tags(two.get("tags")))
            self._marker("experiment", where, tags_of(two.get("tags")), one["experiment_id"])

    def _marker(self, kind, where, tags, wanted):
        if MARKER in tags and tags[MARKER] != wanted:
            self.report(f"{kind} marker", f"{where}: says {tags[MARKER]!r}, the source is {wanted!r}")

    def _names(self, kind, a, b):
        for name in sorted(set(a) - set(b)):
            self.report(f"missing {kind}", repr(name))
        for name in sorted(set(b) - set(a)):
            self.report(f"extra {kind}", repr(name))

    def _pair(self, kind, a, b, tags):
        seen, pairs = {}, []
        # In a clone the object of the same id comes first, so that a second copy is the one called duplicate.
        for identity, doc in sorted(b.items(), key=lambda item: item[0] not in a):
            source = tags(doc).get(MARKER) or (identity if self.same_ids else None)
            if source is None or source not in a:
                self.report(f"extra {kind}", f"{identity} has no source ({source or 'no marker'})")
                continue
            if source in seen:
                self.report(f"duplicate {kind}", f"{identity} and {seen[source]} are both copies of {source}")
                continue
            seen[source] = identity
            wanted = self.experiment_ids.get(a[source]["info"]["experiment_id"])
            if doc["info"]["experiment_id"] != wanted:
                self.report(f"{kind} experiment", f"{identity} is in experiment {doc['info']['experiment_id']}, not {wanted}")
            pairs.append((source, identity))
        for source in a:
            if source not in seen:
                self.report(f"missing {kind}", f"{source} {a[source]['info'].get('run_name') or a[source]['info'].get('name')!r}")
        self.ids.update(pairs)
        self.pairs[kind], self.compared[kind] = pairs, len(pairs)

    # ---- runs -------------------------------------------------------------------------------------------------

    def _run(self, source, destination):
        a, b = self.a.runs[source], self.b.runs[destination]
        where = f"run {source} {a['info'].get('run_name', '')[:40]!r}"
        for field in ("status", "start_time", "end_time", "user_id", "run_name", "lifecycle_stage"):
            self.equal(f"run {field}", where, a["info"].get(field) or "", b["info"].get(field) or "")
        self.equal("run param", where, tags_of(a["data"].get("params")), tags_of(b["data"].get("params")))
        self.equal("run tag", where, self._mapped_tags(a["data"].get("tags")), self._parsed_tags(b["data"].get("tags")))
        self._histories(where, a["history"], b["history"])
        self.equal("dataset input", where, *(sorted(canonical(d) for d in doc.get("inputs", {}).get("dataset_inputs", [])) for doc in (a, b)))
        inputs = [sorted(m["model_id"] for m in doc.get("inputs", {}).get("model_inputs", [])) for doc in (a, b)]
        self.equal("model input", where, sorted(self.ids.get(m, m) for m in inputs[0]), inputs[1])
        outputs = [sorted((m["model_id"], int(m.get("step", 0))) for m in doc.get("outputs", {}).get("model_outputs", [])) for doc in (a, b)]
        self.equal("model output", where, sorted((self.ids.get(m, m), s) for m, s in outputs[0]), outputs[1])
        if self.a.contents and self.b.contents:
            self._files("run file", where, self.a.run_files[source], self.b.run_files[destination])

    def _mapped_tags(self, rows):
        return {k: parsed(k, self.mapped(v) if k in MAPPED_TAGS else v) for k, v in plain_tags(rows).items()}

    def _parsed_tags(self, rows):
        return {k: parsed(k, v) for k, v in plain_tags(rows).items()}

    def _histories(self, where, a, b):
        for key in sorted(set(a) | set(b)):
            one, two = sorted(a.get(key, [])), sorted(b.get(key, []))
            if one != two:
                first = next((pair for pair in zip(one, two) if pair[0] != pair[1]), ("-", "-"))
                self.report("metric history", f"{where}: {key!r}: {len(one)} against {len(two)} points, first difference {first}")

    def _files(self, what, where, a, b):
        for path in sorted(set(a) | set(b)):
            if path not in a or path not in b:
                self.report(what, f"{where}: {path!r} only in the {'source' if path in a else 'destination'}")
            elif a[path][2] is not None:  # MLmodel: its ids are rewritten
                one, two = (self.mapped(a[path][2].decode("utf-8", "surrogateescape")), b[path][2].decode("utf-8", "surrogateescape"))
                if one != two:
                    lines = [pair for pair in zip(one.splitlines(), two.splitlines()) if pair[0] != pair[1]] or "number of lines"
                    self.report(what, f"{where}: {path!r} differs after mapping ids: {cut(lines)}")
            elif a[path][:2] != b[path][:2]:
                self.report(what, f"{where}: {path!r}: {a[path][0]} bytes {a[path][1][:8]} against {b[path][0]} bytes {b[path][1][:8]}")

    # ---- models -----------------------------------------------------------------------------------------------

    def _model(self, source, destination):
        a, b = self.a.models[source], self.b.models[destination]
        where = f"logged model {source} {a['info'].get('name', '')!r}"
        for field in ("name", "model_type", "status"):
            self.equal(f"logged model {field}", where, a["info"].get(field, ""), b["info"].get(field, ""))
        self.equal("logged model lifecycle", where, bool(a.get("deleted")), bool(b.get("deleted")))
        run = a["info"].get("source_run_id", "")
        self.equal("logged model source run", where, self.ids.get(run, run), b["info"].get("source_run_id", ""))
        self.equal("logged model param", where, *(tags_of(d.get("data", {}).get("params")) for d in (a, b)))
        links = [plain_tags(d["info"].get("tags")) for d in (a, b)]
        # The server's own list of versions; it keeps entries of versions that are deleted since.
        live = [{(v["name"], int(v["version"])) for v in json.loads(t.pop("mlflow.modelVersions", "[]"))} for t in links]
        self.equal("logged model version link", where, sorted(live[0] & set(self.a.versions)), sorted(live[1] & set(self.b.versions)))
        self.equal("logged model tag", where, *links)
        self.equal("logged model metric", where, self._model_metrics(a, True), self._model_metrics(b, False))
        if self.a.contents and self.b.contents:
            self._files("logged model file", where, self.a.model_files[source], self.b.model_files[destination])

    def _model_metrics(self, model, map_run):
        rows = []
        for m in model.get("data", {}).get("metrics", []):
            run = m.get("run_id", "")
            rows.append(canonical({**m, "run_id": self.ids.get(run, run) if map_run else run,
                                   "model_id": "", "value": repr(m.get("value"))}))
        return sorted(rows)

    # ---- registry ---------------------------------------------------------------------------------------------

    def _registered(self, kind, a, b):
        self._names(kind, a, b)
        self.compared[kind] = len(set(a) & set(b))
        for name in sorted(set(a) & set(b)):
            where = f"{kind} {name[:60]!r}"
            self.equal(f"{kind} description", where, a[name].get("description", ""), b[name].get("description", ""))
            self.equal(f"{kind} tag", where, self._prompt_tags(a[name].get("tags"), True), self._prompt_tags(b[name].get("tags"), False))
            self.equal("alias", where, *({x["alias"]: x["version"] for x in m[name].get("aliases", [])} for m in (a, b)))

    def _prompt_tags(self, rows, map_ids):
        """Tags of models and prompts; a prompt lists experiments by id, and its version runs."""
        tags = plain_tags(rows)
        for key, ids in (("_mlflow_experiment_ids", self.experiment_ids), ("mlflow.prompt.associatedRunIds", self.ids)):
            if key in tags:
                tags[key] = sorted(ids.get(i, i) if map_ids else i for i in tags[key].strip(",").split(","))
        return tags

    def _versions(self, kind, a, b):
        self._names(kind, a, b)
        self.compared[kind] = len(set(a) & set(b))
        for key in sorted(set(a) & set(b)):
            one, two = a[key], b[key]
            where = f"{kind} {key[0][:60]!r} {key[1]}"
            for field, default in (("description", ""), ("current_stage", "None"), ("status", "READY"), ("run_link", "")):
                self.equal(f"{kind} {field}", where, one.get(field) or default, two.get(field) or default)
            run = one.get("run_id", "")
            # Newer servers take the run of the version that the source names.
            if run or not one.get("source", "").startswith("models:/"):
                self.equal(f"{kind} run", where, self.ids.get(run, run), two.get("run_id", ""))
            self.equal(f"{kind} source", where, self.mapped(one.get("source", "")), two.get("source", ""))
            self.equal(f"{kind} tag", where, self._prompt_tags(one.get("tags"), True), self._prompt_tags(two.get("tags"), False))

    # ---- traces -----------------------------------------------------------------------------------------------

    def _traces(self):
        """Ids are kept, so is everything in the info but the experiment's and other objects' ids; spans byte for byte."""
        a, b = self.a.traces, self.b.traces
        self._names("trace", a, b)
        self.compared["trace"] = len(set(a) & set(b))
        for key in sorted(set(a) & set(b)):
            one, two = dict(a[key]), dict(b[key])
            where = f"trace {key}"
            experiments = [t.pop("trace_location")["mlflow_experiment"]["experiment_id"] for t in (one, two)]
            self.equal("trace experiment", where, self.experiment_ids.get(experiments[0]), experiments[1])
            for field, kind in (("tags", "trace tag"), ("trace_metadata", "trace metadata"), ("assessments", "assessment"),
                                ("runs", "trace run"), ("prompts", "trace prompt")):
                values = [t.pop(field, None) for t in (one, two)]
                if field == "tags":
                    values = [{k: v for k, v in (v or {}).items() if k != "mlflow.artifactLocation"} for v in values]
                elif field == "trace_metadata":
                    values = [{k: v for k, v in (v or {}).items() if k != "mlflow.trace.infoFinalized"} for v in values]
                    values[0] = {k: self.ids.get(v, v) for k, v in values[0].items()}
                elif field == "assessments":
                    values = [{x["assessment_id"]: dict(x) for x in v or []} for v in values]
                    for x in values[0].values():
                        if "metadata" in x:
                            x["metadata"] = {k: self.ids.get(v, v) for k, v in x["metadata"].items()}
                elif field == "runs":
                    values = [sorted(self.ids.get(r, r) for r in values[0]), sorted(values[1])]
                else:
                    values = [sorted(v) for v in values]
                self.equal(kind, where, *values)
            files = [t.pop("files", {}) for t in (one, two)]
            data = [t.pop("data", None) for t in (one, two)]
            self._files("trace file", where, *files)
            if data[0] != data[1]:
                at = next((i for i, (x, y) in enumerate(zip(*(d or b"" for d in data))) if x != y), 0)
                self.report("trace spans", f"{where}: from byte {at}: {cut((data[0] or b'')[at:][:60])} against {cut((data[1] or b'')[at:][:60])}")
            self.equal("trace info", where, one, two)

    # ---- what is whole in one document ------------------------------------------------------------------------

    def _objects(self):
        """All fields but ids and times; equal ones are counted, so that none can be missing or there twice."""
        a, b = self.a, self.b
        scorers = {(self.experiment_ids.get(e, e), name): versions for (e, name), versions in a.scorers.items()}
        self._names("scorer", scorers, b.scorers)
        for key in sorted(set(scorers) & set(b.scorers)):
            self.equal("scorer version", f"scorer {key}", scorers[key], b.scorers[key])

        def experiments(ids, mapped):
            return sorted(self.experiment_ids.get(i, i) if mapped else i for i in ids)

        def dataset(doc, mapped):
            records = sorted(json.dumps({k: r.get(k) or None for k in ("inputs", "outputs", "expectations", "tags", "source")}, sort_keys=True)
                             for r in doc["records"])
            tags = {k: v for k, v in json.loads(doc.get("tags") or "{}").items() if not k.startswith(OWN_TAGS)}
            return {"name": doc["name"], "tags": tags, "experiments": experiments(doc["experiments"], mapped), "records": records}

        def issue(doc, mapped):
            doc = {k: v for k, v in doc.items() if k not in ("issue_id", "created_timestamp", "last_updated_timestamp")}
            if mapped:
                doc["experiment_id"] = self.experiment_ids.get(doc["experiment_id"], doc["experiment_id"])
                if "source_run_id" in doc:
                    doc["source_run_id"] = self.ids.get(doc["source_run_id"], doc["source_run_id"])
            return doc

        def webhook(doc, mapped):
            return {k: v for k, v in doc.items() if k not in ("webhook_id", "creation_timestamp", "last_updated_timestamp")}

        for kind, form, one, two in (("dataset", dataset, a.datasets, b.datasets), ("issue", issue, a.issues, b.issues),
                                     ("webhook", webhook, a.webhooks, b.webhooks)):
            sides = [sorted(json.dumps(form(d, mapped), sort_keys=True, ensure_ascii=False) for d in docs)
                     for docs, mapped in ((one, True), (two, False))]
            self.compared[kind] = len(one)
            for text in set(sides[0]) | set(sides[1]):
                counts = [side.count(text) for side in sides]
                if counts[0] != counts[1]:
                    self.report(kind, f"{counts[0]} in the source, {counts[1]} in the destination: {cut(text)}")


def canonical(doc):
    """JSON text with sorted keys and lists of tags in order, to compare documents as wholes."""
    doc = {k: sorted(v, key=lambda t: t["key"]) if k == "tags" else v for k, v in doc.items() if v not in ("", [])}
    return json.dumps(doc, sort_keys=True, ensure_ascii=False)


def parsed(key, value):
    if key != "mlflow.log-model.history":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def cut(value):
    text = repr(value)
    return text if len(text) <= 160 else text[:110] + f"… ({len(text)} characters)"


def compare(a, b, same_ids=False, out=sys.stdout):
    """Compares two snapshots: (number of differences, summary)."""
    work = Comparison(a, b, same_ids, out)
    total = work.run()
    return total, {"differences": total, "by_kind": work.counts, "compared": work.compared,
                   "unreadable_source_files": len(a.unreadable), "source": a.census(), "destination": b.census()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="URL")
    parser.add_argument("--census", action="store_true")
    parser.add_argument("--same-ids", action="store_true")
    parser.add_argument("--no-files", action="store_true", help="do not list or read artifacts")
    options = parser.parse_args()
    if options.census:
        for url in options.servers:
            print(json.dumps(Snapshot(url, contents=not options.no_files).census(), ensure_ascii=False))
        return 0
    if len(options.servers) != 2:
        parser.error("two servers to compare")
    snapshots = [Snapshot(url, contents=not options.no_files) for url in options.servers]
    total, summary = compare(*snapshots, same_ids=options.same_ids)
    print(json.dumps(summary, ensure_ascii=False))
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
