"""Lists: filters and pages."""

from common import same
from e2b import Sandbox, SandboxQuery, SandboxState


def every(paginator):
    found, pages = [], 0
    while paginator.has_next:
        found.extend(paginator.next_items())
        pages += 1
    return found, pages


def listed(boxes):
    ids = [box.sandbox_id for box in boxes]
    found, pages = every(Sandbox.list(query=SandboxQuery(metadata={"who": "a b&c=d"}), limit=2))
    # The newest first.
    same(([info.sandbox_id for info in found], pages), (ids[::-1], 3))
    found, _ = every(Sandbox.list(query=SandboxQuery(metadata={"who": "a b&c=d", "n": "3"})))
    same([info.sandbox_id for info in found], [ids[3]])
    same(found[0].metadata, {"who": "a b&c=d", "n": "3"})
    same(every(Sandbox.list(query=SandboxQuery(metadata={"who": "a"})))[0], [])


def states(boxes):
    boxes[0].pause()
    who = {"who": "a b&c=d"}
    for state, number in [(SandboxState.PAUSED, 1), (SandboxState.RUNNING, 4)]:
        found, _ = every(Sandbox.list(query=SandboxQuery(metadata=who, state=[state])))
        same({info.state for info in found}, {state})
        same(len(found), number)
    same(len(every(Sandbox.list(query=SandboxQuery(metadata=who)))[0]), 5)


def others(boxes):
    key = "e2b_another"
    same(every(Sandbox.list(api_key=key))[0], [])
    same(Sandbox.kill(boxes[0].sandbox_id, api_key=key), False)


boxes = []
try:
    for number in range(5):
        boxes.append(Sandbox.create(timeout=120, metadata={"who": "a b&c=d", "n": str(number)}))
    for part in [listed, states, others]:
        part(boxes)
        print("ok", part.__name__, flush=True)
finally:
    for box in boxes:
        box.kill()
