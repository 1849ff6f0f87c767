"""What is refused, and how."""

import json
import os
import urllib.request

from common import fails, same, sandbox
from e2b import (
    InvalidArgumentException,
    NotFoundException,
    RateLimitException,
    Sandbox,
    SandboxException,
)
from e2b.exceptions import AuthenticationException, SandboxNotFoundException

URL = os.environ["E2B_API_URL"]


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_emulator/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def refused():
    fails(AuthenticationException, lambda: Sandbox.create(api_key="e2b_bad_key"))
    fails(AuthenticationException, lambda: Sandbox.create(api_key="not_one"))
    error = fails(SandboxException, lambda: Sandbox.create("no-such-template"))
    assert "template 'no-such-template' not found" in str(error), error
    fails(NotFoundException, lambda: Sandbox.connect("i00000000000000000000"))
    fails(SandboxNotFoundException, lambda: Sandbox.get_info("i00000000000000000000"))
    same(Sandbox.kill("i00000000000000000000"), False)
    for timeout in [-1, 25 * 3600]:
        error = fails(SandboxException, lambda: Sandbox.create(timeout=timeout))
        assert "Timeout" in str(error), error


def tokens():
    with sandbox(timeout=60) as box:
        same(box.commands.run("echo in").stdout, "in\n")
        control("POST", f"tokens/rotate/{box.sandbox_id}")
        fails(AuthenticationException, lambda: box.commands.run("echo out"))
        fails(AuthenticationException, lambda: box.files.read("x"))
        same(Sandbox.connect(box.sandbox_id).commands.run("echo in").stdout, "in\n")


def faults():
    control("DELETE", "requests")
    # The SDK tries again by itself.
    limit = {"path": "/v2/sandboxes", "method": "POST", "kind": "status", "status": 429, "retry_after": 1}
    control("POST", "faults", limit)
    with sandbox(timeout=60) as box:
        same(control("GET", "requests")["counts"]["POST /v2/sandboxes"], 2)
        same(control("GET", "faults")[0]["hits"], 1)
        control("POST", "faults", {**limit, "times": 0})
        fails(RateLimitException, lambda: Sandbox.create(retries=0))
        control("DELETE", "faults")
        for fault in [
            {"kind": "reset"},
            {"kind": "garbage"},
            {"kind": "drop", "bytes": 20},
            {"kind": "status", "status": 500},
        ]:
            control("POST", "faults", {"path": "/process.Process/*", **fault})
            fails(Exception, lambda: box.commands.run("echo lost"))
            same(box.commands.run("echo found").stdout, "found\n")
        control("POST", "faults", {"path": "/process.Process/Start", "kind": "hang"})
        fails(Exception, lambda: box.commands.run("echo lost", timeout=1))
        control("DELETE", "faults")
        # Carried out, though the answer is lost.
        control("POST", "faults", {"path": "/files", "method": "POST", "kind": "reset", "after": True})
        fails(Exception, lambda: box.files.write("there", "all the same"))
        same(box.files.read("there"), "all the same")


for part in [refused, tokens, faults]:
    part()
    print("ok", part.__name__, flush=True)
