"""Fills a server of MLflow 2.22 or 3.1 with what of the hostile workload it can hold, and with traces of their form."""

import json

from rest import Rest
from seed_hostile import Hostile, Sizes

SIZES = Sizes(runs=24, history=300, big_file=200_000, models=3, versions=4, folders=4)


class Older(Hostile):
    def __init__(self, rest, logged_models, seed=1):
        super().__init__(rest, seed, SIZES)
        self.has_logged_models = logged_models

    def build(self):
        self.ordinary()
        self.big_run()
        self.nested()
        self.statuses()
        self.files()
        self.inputs_and_outputs()
        if self.has_logged_models:
            self.logged_models()
        self.old_style_model()
        self.registry()
        self.deleted_objects()
        self.prompts()
        self.old_traces()
        for path, arguments in self.deleted_last:
            self.rest.post(path, **arguments)
        return self

    def old_trace(self, experiment, start, status, duration, metadata, tags, spans):
        """`status` None: it is never ended. `spans` None: it has no file."""
        rows = [[{"key": k, "value": v} for k, v in part.items()] for part in (metadata, tags)]
        made = self.rest.post("traces", experiment_id=experiment, timestamp_ms=start, request_metadata=rows[0], tags=rows[1])["trace_info"]
        if status is not None:
            self.rest.patch(f"traces/{made['request_id']}", request_id=made["request_id"], timestamp_ms=start + duration, status=status,
                            request_metadata=[{"key": "mlflow.traceOutputs", "value": json.dumps(self.text(3))}], tags=[])
        location = next(t["value"] for t in made["tags"] if t["key"] == "mlflow.artifactLocation")
        if spans is not None:
            self.put(location, "traces.json", spans)
        return made["request_id"]

    def old_traces(self):
        """Every state, whole and broken seconds, a link to a run, files that are and are not the client's, a deleted experiment."""
        home, other, gone = self.experiments[0], self.experiments[3], self.experiments[-1]
        schema = {"mlflow.trace_schema.version": "2"}
        self.trace_ids = []
        for i, (status, start, duration) in enumerate((("OK", 1_767_322_000_123, 1500), ("ERROR", 1_767_322_001_000, 2000), ("OK", 1_700_000_000_999, 7),
                                                       (None, 1_767_322_002_040, 0))):
            metadata = {**schema, "a é": self.text(3), "mlflow.sourceRun": self.runs[i % 3][1], "mlflow.traceInputs": '{"x": "é"}'}
            tags = {"mlflow.traceName": f"name {i}", "t é": self.text(3), "long": "ü" * 240}
            self.trace_ids.append(self.old_trace(home if i % 2 else other, start, status, duration, metadata, tags, client_file(i)))
        self.old_trace(home, 1_767_322_003_000, "OK", 1, schema, {}, None)
        self.old_trace(gone, 1_767_322_004_000, "OK", 1, schema, {"mlflow.traceName": "of a deleted experiment"}, b'{"spans": []}')


def client_file(number):
    """traces.json as the Python client of 2.14 to 2.22 writes it."""
    trace_id = f"0x{number + 1:032x}"
    attributes = {"mlflow.traceRequestId": f'"{number:032x}"', "mlflow.spanType": '"CHAIN"', "mlflow.spanInputs": '{"x": "é"}', "mlflow.spanOutputs": "[1, 2.50]"}
    spans = [{"name": f"span {s}", "context": {"span_id": f"0x{s + 1:016x}", "trace_id": trace_id}, "parent_id": f"0x{s:016x}" if s else None,
              "start_time": 1_767_322_000_123_456_789 + s, "end_time": 1_767_322_000_999_000_000 - s, "status_code": "OK", "status_message": "",
              "attributes": attributes, "events": []} for s in range(2)]
    return json.dumps({"spans": spans, "request": '{"x": "é"}', "response": "[1, 2.50]"}).encode()


def seed(url, logged_models, number=1):
    return Older(Rest(url), logged_models, number).build()
