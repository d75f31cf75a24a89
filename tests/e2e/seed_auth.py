"""A server with logins for the tests: users, roles and grants on every type of object that can be granted on."""

import secrets
import urllib.parse

from rest import API3, Rest, RestError
from seed_gateway import GATEWAY

SCORER = "judge a/b ü"
ODD = "carol ü/'x' \"y\""  # no ':', which ends the name in a login


def grant(rest, user, kind, target, permission):
    rest.post(API3 + "users/permissions/grant", username=user, resource_type=kind, resource_id=target, permission=permission)


def role(rest, name, description=None, grants=(), members=()):
    more = {} if description is None else {"description": description}
    made = rest.post(API3 + "roles/create", name=name, workspace="default", **more)["role"]["id"]
    for kind, pattern, permission in grants:
        rest.post(API3 + "roles/permissions/add", role_id=made, resource_type=kind, resource_pattern=pattern,
                  permission=permission)
    for member in members:
        rest.post(API3 + "roles/assign", username=member, role_id=made)
    return made


def scorer_pattern(experiment, name):
    return f"{experiment}/{urllib.parse.quote(name, safe='')}"


def seed(server):
    """Returns {"passwords": of users, ids by name}."""
    admin = Rest(server.url, server.admin, server.password)
    passwords = {name: secrets.token_hex(12) for name in ("alice", "bob", ODD, "dora", "eve", "nobody")}
    for name, password in passwords.items():
        admin.post("users/create", username=name, password=password)
    admin.patch("users/update-admin", username="dora", is_admin=True)
    made = {"passwords": passwords, "alice": Rest(server.url, "alice", passwords["alice"])}

    # Who makes an object gets MANAGE on it.
    admin.post("experiments/create", name="filler")  # so that ids differ in the copy
    for owner, name in ((made["alice"], "of alice"), (admin, "shared"), (admin, "secret"), (made["alice"], "deleted")):
        made[name] = owner.post("experiments/create", name=name)["experiment_id"]
        owner.post("runs/create", experiment_id=made[name], start_time=1, run_name="run in " + name)
    made["alice"].post("experiments/delete", experiment_id=made["deleted"])
    made["alice"].post("registered-models/create", name="model of alice")
    admin.post("registered-models/create", name="shared model")
    admin.post("registered-models/create", name="a prompt", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    admin.post(API3 + "scorers/register", experiment_id=made["shared"], name=SCORER, serialized_scorer='{"name": "s"}')
    made["secret key"] = admin.post(GATEWAY + "secrets/create", secret_name="key", secret_value={"api_key": "sk-0123456789abcdef"},
                                    provider="openai")["secret"]["secret_id"]
    made["definition"] = admin.post(GATEWAY + "model-definitions/create", name="small", secret_id=made["secret key"],
                                    provider="openai", model_name="gpt-4o")["model_definition"]["model_definition_id"]
    made["endpoint"] = admin.post(GATEWAY + "endpoints/create", name="chat", usage_tracking=False, model_configs=[
        {"model_definition_id": made["definition"], "linkage_type": "PRIMARY", "weight": 1}])["endpoint"]["endpoint_id"]
    admin.post(API3 + "mcp-servers", name="io.x/srv")

    for kind, target, permission in (("experiment", made["shared"], "EDIT"), ("experiment", made["deleted"], "READ"),
                                     ("registered_model", "shared model", "READ"), ("prompt", "a prompt", "USE"),
                                     ("scorer", scorer_pattern(made["shared"], SCORER), "MANAGE"),
                                     ("gateway_secret", made["secret key"], "USE"), ("gateway_endpoint", made["endpoint"], "EDIT"),
                                     ("gateway_model_definition", made["definition"], "READ"), ("mcp_server", "io.x/srv", "READ"),
                                     ("trace", "*", "DENY"), ("registered_model", "*", "READ")):
        grant(admin, "bob", kind, target, permission)
    # A whole workspace can be granted to one user by way of the role that the server keeps for it.
    own = next(r for r in admin.get(API3 + "roles/list")["roles"]
               if any(p["resource_type"] == "mcp_server" for p in r["permissions"]) and r["name"].startswith("__user_"))
    admin.post(API3 + "roles/permissions/add", role_id=own["id"], resource_type="workspace", resource_pattern="*",
               permission="USE")
    grant(admin, ODD, "experiment", made["of alice"], "DENY")
    grant(admin, "eve", "experiment", made["shared"], "READ")

    role(admin, "readers", "reads all ü", [("experiment", "*", "READ"), ("run", "*", "READ")], ["alice", "bob", ODD])
    role(admin, "operators / ü", None, [("workspace", "*", "MANAGE"), ("gateway_endpoint", made["endpoint"], "USE"),
                                        ("scorer", scorer_pattern(made["shared"], SCORER), "EDIT"),
                                        ("experiment", made["of alice"], "EDIT")], ["dora"])
    role(admin, "nobody in it", "")
    role(admin, "no grants", "x", (), ["alice"])
    # Roles keep grants on what is gone; those of users go with the object.
    role(admin, "remembers", None, [("experiment", "987654", "EDIT"), ("experiment", "no number", "EDIT"),
                                    ("gateway_endpoint", "e-gone", "USE"), ("experiment", made["secret"], "READ")], ["bob"])
    return made


def refused(call, *arguments, **keywords):
    """The status that a call is refused with, or None."""
    try:
        call(*arguments, **keywords)
    except RestError as error:
        return error.status
    return None
