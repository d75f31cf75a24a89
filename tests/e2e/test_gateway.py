"""The AI gateway's objects: what the copy holds is read from both servers and compared without mlferry's help."""

import json
import shutil

import ferry
import pytest
import seed_gateway
from ferry import must
from rest import API3, Rest
from seed_gateway import GATEWAY

KINDS = {"gateway_secret": 4, "gateway_model_definition": 4, "gateway_endpoint": 4, "gateway_guardrail": 3,
         "gateway_budget": 4}
VALUES = ("0123456789abcdef", "AKIA0123456789")


def text(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def holdings(url):
    """{kind: sorted texts} with names in place of ids and without times."""
    rest = Rest(url)
    experiments = {e["experiment_id"]: e["name"]
                   for e in rest.pages("POST", "experiments/search", "experiments", max_results=1000, view_type="ALL")}
    scorers = {s["scorer_id"]: f"{experiments[str(s['experiment_id'])]}/{s['scorer_name']}"
               for s in rest.get(API3 + "scorers/list")["scorers"]}
    endpoints = {e["endpoint_id"]: e for e in rest.get(GATEWAY + "endpoints/list")["endpoints"]}
    definitions = rest.get(GATEWAY + "model-definitions/list")["model_definitions"]
    names = {d["model_definition_id"]: d["name"] for d in definitions}

    def only(doc, *fields):
        return {f: doc[f] for f in fields if doc.get(f) not in (None, "")}

    held = {"secret": [only(s, "secret_name", "provider", "auth_config", "created_by")
                       for s in rest.get(GATEWAY + "secrets/list")["secrets"]],
            "definition": [only(d, "name", "secret_name", "provider", "model_name", "created_by") for d in definitions],
            "budget": [], "endpoint": [], "guardrail": []}
    configs = rest.get(API3 + "scorers/online-configs", scorer_ids=list(scorers))["configs"]
    held["online scoring"] = [{"scorer": scorers[c["scorer_id"]], "rate": c["sample_rate"], "filter": c.get("filter_string")}
                              for c in configs if c["sample_rate"]]
    for endpoint_id, e in endpoints.items():
        doc = only(e, "name", "routing_strategy", "fallback_config", "created_by")
        doc["tracked"] = e["usage_tracking"]
        doc["experiment"] = experiments.get(e.get("experiment_id"))
        doc["models"] = sorted((names[m["model_definition_id"]], m["linkage_type"], m["weight"], m.get("fallback_order", -1))
                               for m in e["model_mappings"])
        doc["tags"] = {t["key"]: t["value"] for t in e.get("tags", [])}
        bindings = rest.get(GATEWAY + "endpoints/bindings/list", endpoint_id=endpoint_id).get("bindings", [])
        doc["bindings"] = sorted((b["resource_type"], scorers[b["resource_id"]], b.get("created_by", "")) for b in bindings)
        configs = rest.get(GATEWAY + "guardrails/list-for-endpoint", endpoint_id=endpoint_id).get("configs", [])
        doc["guardrails"] = [(c["guardrail"]["name"], c["guardrail"]["stage"], c.get("execution_order")) for c in configs]
        held["endpoint"].append(doc)
    for g in rest.get(GATEWAY + "guardrails/list").get("guardrails", []):
        doc = only(g, "name", "stage", "action", "action_endpoint_id")  # the endpoint's name in answers
        doc["scorer"] = (scorers[g["scorer"]["scorer_id"]], g["scorer"]["scorer_version"])
        held["guardrail"].append(doc)
    for b in rest.pages("GET", GATEWAY + "budgets/list", "budget_policies", max_results=2):
        doc = only(b, "budget_unit", "budget_amount", "duration", "target_scope", "budget_action", "created_by")
        if b.get("target_value"):
            doc["target"] = endpoints[b["target_value"]]["name"]
        held["budget"].append(doc)
    held["scorer"] = list(scorers.values())
    held["experiment"] = list(experiments.values())
    return {kind: sorted(map(text, docs)) for kind, docs in held.items()}


def masked(url):
    return {s["secret_name"]: s.get("masked_values", {}) for s in Rest(url).get(GATEWAY + "secrets/list")["secrets"]}


def counts(report, what):
    return {kind: report["kinds"][kind][what] for kind in KINDS}


def assert_same(a, b):
    left, right = holdings(a.url), holdings(b.url)
    for kind in left:
        assert left[kind] == right[kind], kind


@pytest.fixture
def gateway(other):
    """A server with the gateway's objects."""
    other.made = seed_gateway.seed(other.url)
    return other


def test_gateway_through_an_archive(gateway, empty, archive, tmp_path):
    exported = must(ferry.export(gateway, archive, report=tmp_path / "export.json"))
    assert counts(exported.report, "found") == KINDS
    assert not any("gateway" in kind for kind in exported.report["not_copied"])
    dry = must(ferry.import_(archive, empty, "--dry-run", report=tmp_path / "dry.json"))
    assert counts(dry.report, "created") == KINDS
    first = must(ferry.import_(archive, empty, "--verify", report=tmp_path / "import.json"))
    assert counts(first.report, "created") == KINDS
    assert counts(first.report, "failed") == dict.fromkeys(KINDS, 0)
    assert_same(gateway, empty)

    # A second time, and with nothing known of the first: nothing is made twice.
    second = must(ferry.import_(archive, empty, report=tmp_path / "again.json"))
    assert counts(second.report, "copied") == dict.fromkeys(KINDS, 0)
    shutil.rmtree(tmp_path / "state")
    third = must(ferry.copy(gateway, empty, "--verify", report=tmp_path / "copy.json"))
    assert counts(third.report, "copied") == dict.fromkeys(KINDS, 0)
    assert_same(gateway, empty)

    # Values are asked for, and are nowhere: not in the archive, not in what is said.
    asked = text([f for f in first.report["follow_up"] if f["kind"] == "gateway_secret"])
    assert "re-enter the value of gateway secret 'plain key' (provider openai) in the destination" in asked
    assert "aws_secret_access_key" in asked
    assert set(masked(empty.url)["two ü/'fields'"]) == {"aws_access_key_id", "aws_secret_access_key"}
    said = exported.text + first.text + third.text + text([exported.report, first.report, third.report])
    shown = {value for values in masked(gateway.url).values() for value in values.values()}
    for secret in (*VALUES, *shown):
        assert secret not in said


def test_gateway_follows_changes(gateway, empty, tmp_path):
    """What was changed in the source since the last copy is changed in the destination."""
    must(ferry.copy(gateway, empty))
    rest, made = Rest(gateway.url), gateway.made
    rest.post(GATEWAY + "secrets/update", secret_id=made["own base"], auth_config={"api_base": ""})
    rest.post(GATEWAY + "secrets/update", secret_id=made["plain key"], auth_config={"auth_mode": "new"})
    rest.post(GATEWAY + "model-definitions/update", model_definition_id=made["small"], model_name="gpt-5",
              secret_id=made["own base"])
    rest.post(GATEWAY + "endpoints/update", endpoint_id=made["split"], usage_tracking=False, model_configs=[
        {"model_definition_id": made["local"], "linkage_type": "PRIMARY", "weight": 0.5}])
    rest.post(GATEWAY + "endpoints/set-tag", endpoint_id=made["split"], key="team", value="ads")
    rest.delete(GATEWAY + "endpoints/delete-tag", endpoint_id=made["split"], key="empty")
    guard = rest.get(GATEWAY + "guardrails/list-for-endpoint", endpoint_id=made["tracked"])["configs"][0]["guardrail_id"]
    rest.patch(GATEWAY + "guardrails/update-config", endpoint_id=made["split"], guardrail_id=guard, execution_order=9)
    rest.delete(GATEWAY + "guardrails/remove-from-endpoint", endpoint_id=made["tracked"], guardrail_id=guard)
    rest.post(GATEWAY + "guardrails/add-to-endpoint", endpoint_id=made["quiet-2"], guardrail_id=guard, execution_order=4)
    rest.post(GATEWAY + "budgets/update", budget_policy_id=made["endpoint budget"], budget_amount=8.25)
    again = must(ferry.copy(gateway, empty, "--verify", report=tmp_path / "report.json"))
    assert counts(again.report, "created") == dict.fromkeys(KINDS, 0)
    assert_same(gateway, empty)


def test_gateway_leaves_what_is_not_ours(gateway, empty, tmp_path):
    """Objects of the same name that the destination has already stay as they are, and are named."""
    there = Rest(empty.url)
    secret = there.post(GATEWAY + "secrets/create", secret_name="plain key", secret_value={"api_key": "kept-0123456789"},
                        provider="anthropic")["secret"]
    model = there.post(GATEWAY + "model-definitions/create", name="small", secret_id=secret["secret_id"],
                       provider="anthropic", model_name="claude")["model_definition"]
    there.post(GATEWAY + "endpoints/create", name="quiet-2", usage_tracking=False, model_configs=[
        {"model_definition_id": model["model_definition_id"], "linkage_type": "PRIMARY", "weight": 0.25}])
    result = ferry.copy(gateway, empty, report=tmp_path / "report.json")
    held = holdings(empty.url)
    assert text({"provider": "anthropic", "secret_name": "plain key"}) in held["secret"]
    assert masked(empty.url)["plain key"]["api_key"].endswith("6789")
    assert any('"model_name": "claude"' in doc for doc in held["definition"])
    assert any('"quiet-2"' in doc and "0.25" in doc for doc in held["endpoint"])
    assert [len(held[k]) for k in ("secret", "definition", "endpoint")] == [4, 4, 4]
    named = {(f["kind"], f.get("name")) for f in result.report["findings"]}
    assert {("gateway_secret", "plain key"), ("gateway_model_definition", "small"), ("gateway_endpoint", "quiet-2")} <= named
    assert counts(result.report, "failed") == dict.fromkeys(KINDS, 0)
