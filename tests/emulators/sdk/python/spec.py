"""Checks answers of the management API against the published description."""

import json
import os
import sys
import urllib.error
import urllib.request

import yaml
from common import same
from jsonschema import Draft4Validator
from jsonschema.validators import extend

URL = os.environ["E2B_API_URL"]
KEY = {"X-API-Key": os.environ["E2B_API_KEY"]}

with open(sys.argv[1], encoding="utf-8") as file:
    SPEC = yaml.safe_load(file)


def nothing_or_type(validator, types, instance, schema):
    """OpenAPI 3.0 says `nullable` where JSON Schema has a type of that."""
    if not (instance is None and schema.get("nullable")):
        yield from Draft4Validator.VALIDATORS["type"](validator, types, instance, schema)


Validator = extend(Draft4Validator, {"type": nothing_or_type})


def asked(method, path, route, wanted, body=None, headers=KEY, resolve=True):
    """Asks, and checks status and body by what the description says of that route."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            status, found, told = answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        status, found, told = error.code, error.read(), error.headers
    same((path, status), (path, wanted))
    responses = SPEC["paths"][route][method.lower()]["responses"]
    response = responses[str(status)]
    if "$ref" in response:
        response = SPEC["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    content = response.get("content")
    if content is None:
        same(found, b"")
        return None, told
    value = json.loads(found)
    schema = {**content["application/json"]["schema"], "components": SPEC["components"]}
    wrong = [f"{list(error.path)}: {error.message}" for error in Validator(schema).iter_errors(value)]
    same((method, path, wrong), (method, path, []))
    for name in response.get("headers", {}):
        if name == "X-Total-Running":
            assert name in told, f"{path} has no {name}"
    return value, told


def main():
    one = "/sandboxes/{sandboxID}"
    new = {"templateID": "base", "timeout": 60, "metadata": {"a": "b"}, "secure": True}
    made, _ = asked("POST", "/sandboxes", "/sandboxes", 201, new)
    path = f"/sandboxes/{made['sandboxID']}"
    whole = f"{path}-{made['clientID']}"
    try:
        for route in [path, whole]:
            asked("GET", route, one, 200)
        asked("GET", "/v2/sandboxes", "/v2/sandboxes", 200)
        asked("GET", "/v2/sandboxes?limit=1&state=running,paused", "/v2/sandboxes", 200)
        asked("GET", "/v2/sandboxes?limit=101", "/v2/sandboxes", 400)
        asked("GET", "/v2/sandboxes?limit=many", "/v2/sandboxes", 400)
        asked("GET", "/v2/sandboxes?nextToken=no", "/v2/sandboxes", 400)
        asked("GET", "/sandboxes", "/sandboxes", 200)
        asked("GET", f"{path}/metrics", f"{one}/metrics", 200)
        asked("GET", f"/sandboxes/metrics?sandbox_ids={made['sandboxID']}", "/sandboxes/metrics", 200)
        asked("GET", f"/v2{path}/logs", f"/v2{one}/logs", 200)
        asked("GET", f"{path}/logs", f"{one}/logs", 200)
        asked("POST", f"{path}/timeout", f"{one}/timeout", 204, {"timeout": 90})
        asked("POST", f"{path}/refreshes", f"{one}/refreshes", 204, {"duration": 100})
        asked("POST", f"{path}/connect", f"{one}/connect", 200, {"timeout": 60})
        asked("POST", f"{path}/connect", f"{one}/connect", 400, {"timeout": 0})
        asked("POST", f"{path}/resume", f"{one}/resume", 409, {"timeout": 60})
        asked("POST", f"{path}/pause", f"{one}/pause", 204)
        asked("POST", f"{path}/pause", f"{one}/pause", 409, {})
        asked("GET", path, one, 200)
        asked("POST", f"{path}/timeout", f"{one}/timeout", 404, {"timeout": 90})
        asked("POST", f"{path}/resume", f"{one}/resume", 201, {"timeout": 60})
        asked("POST", f"{path}/pause", f"{one}/pause", 204, {"memory": False})
        asked("POST", f"{path}/connect", f"{one}/connect", 201, {"timeout": 60})
    finally:
        asked("DELETE", path, one, 204)
    asked("DELETE", path, one, 404)
    asked("GET", path, one, 404)
    asked("POST", f"{path}/connect", f"{one}/connect", 404, {"timeout": 60})
    asked("POST", "/sandboxes", "/sandboxes", 400, {"timeout": 60})
    asked("POST", "/sandboxes", "/sandboxes", 401, new, headers={})
    for key, said in [("abc", "malformed"), ("e2b_bad", "Invalid API key")]:
        found, _ = asked("GET", "/sandboxes", "/sandboxes", 401, headers={"X-API-Key": key})
        assert said in found["message"], found


main()
print("ok spec")
