"""The AI gateway's objects for the tests: secrets, model definitions, endpoints, guardrails and budgets, with
scorers that call an endpoint and are bound to it."""

import json

from rest import API3, Rest

GATEWAY = API3 + "gateway/"


def judge(name, model):
    """A judge's text as MLflow serializes it; guardrails take no other custom scorers."""
    return json.dumps({
        "name": name, "description": None, "aggregations": [], "is_session_level_scorer": False, "mlflow_version": "3.0",
        "serialization_version": 1, "builtin_scorer_class": None, "builtin_scorer_pydantic_data": None, "call_source": None,
        "call_signature": None, "original_func_name": None,
        "instructions_judge_pydantic_data": {"feedback_value_type": {"type": "string"},
                                             "instructions": "Is {{ outputs }} polite?", "model": model}})


def seed(url, workspace=None):
    """Returns the ids by name, for tests that change something."""
    rest = Rest(url, workspace=workspace)
    made = {}
    for name in ("gateway calls", "judges"):
        made[name] = rest.post("experiments/create", name=name)["experiment_id"]

    secrets = [{"secret_name": "plain key", "secret_value": {"api_key": "sk-0123456789abcdef"}, "provider": "openai",
                "created_by": "ada"},
               {"secret_name": "two ü/'fields'", "secret_value": {"aws_access_key_id": "AKIA0123456789",
                                                                "aws_secret_access_key": "0123456789abcdef"},
                "provider": "bedrock", "auth_config": {"auth_mode": "access_keys", "aws_region_name": "eu-west-1"}},
               {"secret_name": "own base", "secret_value": {"api_key": "zz-0123456789abcdef"}, "provider": "openai",
                "auth_config": {"api_base": "https://8.8.8.8/v1"}},
               {"secret_name": "nothing", "secret_value": {}}]
    for body in secrets:
        made[body["secret_name"]] = rest.post(GATEWAY + "secrets/create", **body)["secret"]["secret_id"]

    for name, secret, provider, model, by in (("small", "plain key", "openai", "gpt-4o-mini", "ada"),
                                              ("large ü", "plain key", "openai", "gpt-4o", None),
                                              ("other", "two ü/'fields'", "bedrock", "anthropic.claude/3", "bob"),
                                              ("local", "nothing", "ollama", "llama", None)):
        body = {"name": name, "secret_id": made[secret], "provider": provider, "model_name": model}
        if by:
            body["created_by"] = by
        made[name] = rest.post(GATEWAY + "model-definitions/create", **body)["model_definition"]["model_definition_id"]

    def endpoint(name, *models, tags=(), **more):
        configs = [{"model_definition_id": made[model], "linkage_type": linkage, **extra} for model, linkage, extra in models]
        made[name] = rest.post(GATEWAY + "endpoints/create", name=name, model_configs=configs, **more)["endpoint"]["endpoint_id"]
        for key, value in tags:
            rest.post(GATEWAY + "endpoints/set-tag", endpoint_id=made[name], key=key, value=value)

    endpoint("split", ("small", "PRIMARY", {"weight": 0.3}), ("large ü", "PRIMARY", {"weight": 0.7}),
             ("other", "FALLBACK", {"fallback_order": 2}), ("small", "FALLBACK", {"fallback_order": 1}),
             routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT", fallback_config={"strategy": "SEQUENTIAL", "max_attempts": 2},
             experiment_id=made["gateway calls"], usage_tracking=True, created_by="ada",
             tags=(("team", "search ü"), ("empty", ""), ("a/b c", "1")))
    # The server makes an experiment for this one.
    endpoint("tracked", ("large ü", "PRIMARY", {}))
    endpoint("quiet.1_x", ("other", "PRIMARY", {"weight": 0.0}), ("local", "FALLBACK", {}), usage_tracking=False)
    endpoint("quiet-2", ("small", "PRIMARY", {}), usage_tracking=False, experiment_id=made["judges"], created_by="bob")

    def scorer(experiment, name, *models):
        for model in models:
            made[name] = rest.post(API3 + "scorers/register", experiment_id=made[experiment], name=name,
                                   serialized_scorer=judge(name, model))["scorer_id"]

    scorer("judges", "polite", "openai:/gpt-4o", "gateway:/split", "gateway:/tracked")
    scorer("judges", "safe", "openai:/gpt-4o")
    scorer("gateway calls", "polite", "gateway:/split")
    for experiment, name, rate, filter_string in (("judges", "polite", 0.25, "attributes.status = 'OK'"),
                                                  ("gateway calls", "polite", 1.0, None), ("judges", "safe", 0.0, None)):
        rest.call("PUT", API3 + "scorers/online-config", {"experiment_id": made[experiment], "name": name, "sample_rate": rate,
                                                          **({"filter_string": filter_string} if filter_string else {})})
    # Bound by hand, to an endpoint that it does not call.
    rest.post(GATEWAY + "endpoints/bindings/create", endpoint_id=made["quiet-2"], resource_type="scorer",
              resource_id=made["safe"], created_by="ada")

    def guardrail(name, scorer, version, stage, action, places, **more):
        got = rest.post(GATEWAY + "guardrails/create", name=name, scorer_id=made[scorer], scorer_version=version, stage=stage,
                        action=action, **more)["guardrail"]["guardrail_id"]
        for place, order in places:
            rest.post(GATEWAY + "guardrails/add-to-endpoint", endpoint_id=made[place], guardrail_id=got, **order)

    guardrail("guard", "safe", 1, "BEFORE", "VALIDATION", [("split", {"execution_order": 2}), ("tracked", {})])
    guardrail("guard", "safe", 1, "AFTER", "SANITIZATION", [("split", {"execution_order": 1})],
              action_endpoint_id=made["quiet-2"])
    guardrail("idle ü", "polite", 1, "AFTER", "VALIDATION", [])

    def budget(**more):
        return rest.post(GATEWAY + "budgets/create", budget_unit="USD", **more)["budget_policy"]["budget_policy_id"]

    day = {"unit": "DAYS", "value": 1}
    for _ in range(2):  # two equal ones
        budget(budget_amount=12.5, duration=day, target_scope="GLOBAL", budget_action="ALERT", created_by="ada")
    budget(budget_amount=0.1, duration={"unit": "MONTHS", "value": 3}, target_scope="WORKSPACE", budget_action="REJECT")
    made["endpoint budget"] = budget(budget_amount=7, duration=day, target_scope="ENDPOINT", target_value=made["split"],
                                     budget_action="REJECT")
    return made
