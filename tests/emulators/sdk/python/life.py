"""Life: time, pause, resume, end."""

import time
from datetime import datetime, timezone

from common import fails, same, sandbox, soon
from e2b import Sandbox, SandboxState, TimeoutException
from e2b.exceptions import NotFoundException, SandboxException, SandboxNotFoundException


def told():
    with sandbox(timeout=100, metadata={"a": "b"}) as box:
        info = box.get_info()
        same((info.sandbox_id, info.metadata, info.state), (box.sandbox_id, {"a": "b"}, SandboxState.RUNNING))
        same((info.name, info.envd_version), ("base", "0.6.13"))
        left = (info.end_at - datetime.now(timezone.utc)).total_seconds()
        assert 90 < left <= 100, left
        box.set_timeout(500)
        left = (box.get_info().end_at - datetime.now(timezone.utc)).total_seconds()
        assert 490 < left <= 500, left
        same(box.is_running(), True)
        numbers = box.get_metrics()
        assert numbers and numbers[0].mem_total > 0 and numbers[0].cpu_count > 0, numbers
        # Connecting makes life longer, and never shorter.
        Sandbox.connect(box.sandbox_id, timeout=60)
        left = (box.get_info().end_at - datetime.now(timezone.utc)).total_seconds()
        assert 480 < left, left


def killed():
    box = Sandbox.create(timeout=60)
    same(box.kill(), True)
    same(box.kill(), False)
    same(box.is_running(), False)
    fails(SandboxNotFoundException, box.get_info)
    fails(TimeoutException, lambda: box.commands.run("true"))
    fails(NotFoundException, lambda: Sandbox.connect(box.sandbox_id))


def rests(box):
    """Whether it is paused; on the way there it answers 409."""
    try:
        return not box.is_running()
    except SandboxException as error:
        assert "409" in str(error), error
        return False


def over():
    box = Sandbox.create(timeout=60)
    box.set_timeout(1)
    soon(lambda: not box.is_running())
    fails(SandboxNotFoundException, box.get_info)
    # Or it is paused then.
    box = Sandbox.create(timeout=60, lifecycle={"on_timeout": "pause"})
    try:
        box.files.write("kept", "yes")
        box.set_timeout(1)
        soon(lambda: box.get_info().state == SandboxState.PAUSED)
        soon(lambda: rests(box))
        same(Sandbox.connect(box.sandbox_id).files.read("kept"), "yes")
    finally:
        box.kill()


COUNT = "i=0; while true; do i=$((i+1)); echo $i > /tmp/next; mv /tmp/next /tmp/count; sleep 0.05; done"


def paused():
    with sandbox(timeout=60) as box:
        box.files.write("kept", "yes")
        handle = box.commands.run(COUNT, background=True)
        soon(lambda: box.files.exists("/tmp/count"))
        before = int(box.files.read("/tmp/count"))
        same(box.pause(), True)
        same(box.pause(), False)
        same(box.get_info().state, SandboxState.PAUSED)
        same(box.is_running(), False)
        fails(TimeoutException, lambda: box.commands.run("true"))
        time.sleep(4)
        again = Sandbox.connect(box.sandbox_id, timeout=60)
        same(again.sandbox_id, box.sandbox_id)
        same(again.files.read("kept"), "yes")
        # The process is the same one, and stood still: it counts 20 a second at most.
        assert handle.pid in [process.pid for process in again.commands.list()]
        first = int(again.files.read("/tmp/count"))
        assert first - before < 40, (before, first)
        soon(lambda: int(again.files.read("/tmp/count")) > first)
        same(again.commands.kill(handle.pid), True)
        # Connecting by the object does so, too.
        box.pause()
        box.connect()
        same(box.commands.run("cat kept").stdout, "yes")


def rebooted():
    with sandbox(timeout=60, envs={"E": "e"}) as box:
        box.files.write("kept", "yes")
        handle = box.commands.run("sleep 600", background=True)
        same(box.pause(mode="filesystem"), True)
        box.connect(timeout=60)
        # The environment of the create was in envd's memory.
        same(box.commands.run("cat kept; echo [$E]").stdout, "yes[]\n")
        assert handle.pid not in [process.pid for process in box.commands.list()]
        handle = box.commands.run("sleep 600", background=True)
        box.pause()
        box.connect(timeout=60, on_resume="reboot")
        same([process.pid for process in box.commands.list()], [])


def once():
    first = Sandbox.create(timeout=60, idempotency_key="the-same-1")
    try:
        second = Sandbox.create(timeout=60, idempotency_key="the-same-1")
        same(second.sandbox_id, first.sandbox_id)
    finally:
        first.kill()


for part in [told, killed, over, paused, rebooted, once]:
    part()
    print("ok", part.__name__, flush=True)
