"""Fills a server with what reviewers work with: label schemas, review queues with items, MCP servers.

Every kind has several objects, in experiments of equal and of different content; `seed` gives the names and
ids that the tests need.
"""

import types

from rest import API3

INPUTS = [
    ("verdict", "FEEDBACK", {"pass_fail": {"positive_label": "Yes é", "negative_label": "No"}}, "Is it right?", True),
    ("topics 'x\" / ü", "EXPECTATION", {"categorical": {"options": ["a", "b c", "ü"], "multi_select": True}}, None, False),
    ("one of", "FEEDBACK", {"categorical": {"options": ["z", "a"], "multi_select": False}}, "", None),
    ("score", "FEEDBACK", {"numeric": {"min_value": -0.5, "max_value": 1e9}}, "How good?\nsecond line", False),
    ("open end", "EXPECTATION", {"numeric": {}}, None, True),
    ("words", "FEEDBACK", {"text": {"max_length": 9007199254740993}}, "Say", None),
    ("free", "EXPECTATION", {"text": {}}, None, False),
]


def trace(rest, experiment, number):
    """A trace whose spans are in the database; gives its id."""
    key = f"{number:032x}"
    rest.post("/api/3.0/mlflow/traces", trace={"trace_info": {
        "trace_id": "tr-" + key, "request_time": "2026-01-02T03:04:05.678Z", "state": "OK", "execution_duration": "0.5s",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "tags": {"mlflow.traceName": f"trace {number}"}}})
    return "tr-" + key


def schema(rest, experiment, name, kind, form, instruction, comment):
    more = {} if instruction is None else {"instruction": instruction}
    if comment is not None:
        more["enable_comment"] = comment
    made = rest.post(API3 + "label-schemas/create", experiment_id=experiment, name=name, type=kind, input=form, **more)
    return made["label_schema"]["schema_id"]


def queue(rest, experiment, name, users=(), schemas=(), owner=None):
    made = rest.post(API3 + "review-queues/create", experiment_id=experiment, name=name, queue_type="CUSTOM",
                     users=list(users), schema_ids=list(schemas))["review_queue"]["queue_id"]
    if owner:
        rest.post(API3 + "review-queues/update", queue_id=made, new_owner=owner)
    return made


def items(rest, queue_id, states):
    """`states`: {trace id: (status, by whom)}."""
    rest.post(API3 + "review-queues/items/add", queue_id=queue_id, item_type="TRACE", item_ids=list(states))
    for item, (status, user) in states.items():
        if status != "PENDING":
            rest.post(API3 + "review-queues/items/set-status", queue_id=queue_id, item_id=item, status=status, completed_by=user)


def seed_queues(rest, made):
    first, second = made.first, made.second
    for experiment in (first, second):
        made.schemas[experiment] = [schema(rest, experiment, *row) for row in INPUTS]
    gone = schema(rest, first, "deleted later", "FEEDBACK", {"text": {}}, None, False)
    # Asks for it: the server makes the experiment's default schema.
    listed = rest.get(API3 + "label-schemas/list", experiment_id=first)["label_schemas"]
    default = next(s["schema_id"] for s in listed if s.get("is_default"))
    traces = [trace(rest, first, 0xabc000 + i) for i in range(5)]
    states = dict(zip(traces, [("PENDING", None), ("COMPLETE", "ann@x.org"), ("DECLINED", "bob"), ("COMPLETE", "bob"),
                               ("PENDING", None)]))
    items(rest, queue(rest, first, "Nightly Ü/1", ["ann@x.org", "bob"], [default, *made.schemas[first][:3], gone], "Ann@X.org"), states)
    queue(rest, first, "empty")
    queue(rest, first, "asks only the default", ["carl"], [default], "carl")
    for user in ("dora@x.org", "default"):
        user_queue = rest.post(API3 + "review-queues/get-or-create-user", experiment_id=first, user=user)["review_queue"]["queue_id"]
        items(rest, user_queue, {traces[0]: ("COMPLETE", user), traces[1]: ("PENDING", None)})
    rest.delete(API3 + "label-schemas/delete", schema_id=gone)
    # The same name in an experiment that has no default schema yet, and no trace.
    queue(rest, second, "nightly ü/1", ["bob"], made.schemas[second][1:2], "bob")
    made.traces = traces


def version(rest, name, number, status="draft", tags=(), **more):
    rest.post(API3 + f"mcp-servers/{name}/versions", status="draft" if status == "draft" else "active",
              server_json={"name": name, "version": number, **more.pop("server_json", {})}, **more)
    path = API3 + f"mcp-servers/{name}/versions/{number.replace('+', '%2B')}"
    for key, value in tags:
        rest.post(path + "/tags", key=key, value=value)
    if status not in ("draft", "active"):
        rest.patch(path, status=status)


def seed_mcp(rest, made):
    full = "io.example/full.server"
    rest.post(API3 + "mcp-servers", name=full, description="own text é", icons=[{"src": "https://8.8.8.8/i.png", "sizes": ["48x48"]}])
    tools = [{"name": "add", "title": "Add", "description": "é", "inputSchema": {"type": "object", "properties": {"a": {"type": ["integer", "null"], "default": None}}},
              "annotations": {"readOnlyHint": True}, "icons": [{"src": "https://8.8.8.8/t.png", "mimeType": "image/png"}]}, {"name": "bare"}]
    version(rest, full, "1.0.0", "deprecated", [("k", "v é"), ("empty", "")], source="https://example.com/src", tools=tools,
            server_json={"title": "T", "description": "of the version", "websiteUrl": "https://example.com", "extra": {"a": [1, 1.5, None]},
                         "_meta": {"x/y": {"z": 1}}, "remotes": [{"type": "streamable-http", "url": "https://example.com/mcp"}],
                         "packages": [{"registryType": "npm", "identifier": "@x/y", "transport": {"type": "stdio"}, "version": "1.0.0",
                                       "environmentVariables": [{"name": "TOKEN", "isSecret": True}]}]})
    version(rest, full, "1.1.0", "active")
    version(rest, full, "2.0.0-beta.1", "draft", [("later", "1")], connect_options={"remote:0": {"hidden": True}})
    # Builds of one version: which is the latest follows from which was made later.
    version(rest, full, "1.5.0+zz", "active")
    version(rest, full, "1.5.0+aa", "active", [("build", "aa")])
    version(rest, full, "1.2.0", "draft")
    rest.delete(API3 + f"mcp-servers/{full}/versions/1.2.0")
    rest.patch(API3 + f"mcp-servers/{full}", display_name="Full Server")
    for key, value in (("team", "ü"), ("a/b c", "slash"), ("empty", "")):
        rest.post(API3 + f"mcp-servers/{full}/tags", key=key, value=value)
    for alias, number in (("prod", "1.1.0"), ("old", "1.0.0"), ("build x", "1.5.0+aa")):
        rest.post(API3 + f"mcp-servers/{full}/aliases", alias=alias, version=number)
    for target in ({"server_version": "1.0.0"}, {"server_alias": "prod", "transport_type": "sse"}, {"server_alias": "latest"}, {"server_alias": "latest"}):
        rest.post(API3 + f"mcp-servers/{full}/endpoints", url="https://example.com/e?x=1&y=é", **target)
    rest.post(API3 + "mcp-servers", name="io.example/bare")
    # Shows its version's description and icons, and has none of its own.
    shown = "com.example/shown"
    version(rest, shown, "0.0.1", "active", server_json={"description": "of the version", "icons": [{"src": "https://8.8.8.8/v.png"}]})
    # The description of its own is what the version says, too.
    rest.post(API3 + "mcp-servers", name="com.example/drafts", description="")
    version(rest, "com.example/drafts", "1.0.0", "draft")
    made.servers = [full, "io.example/bare", shown, "com.example/drafts"]


def seed(url):
    from rest import Rest

    rest = Rest(url)
    made = types.SimpleNamespace(schemas={})
    made.first, made.second, made.quiet, made.traced, made.deleted = (
        rest.post("experiments/create", name="review " + name)["experiment_id"]
        for name in ("first", "second", "quiet", "traced", "deleted"))
    trace(rest, made.traced, 0xdef001)
    seed_queues(rest, made)
    schema(rest, made.deleted, *INPUTS[0])
    rest.post("experiments/delete", experiment_id=made.deleted)
    seed_mcp(rest, made)
    return made
