"""Terminals."""

from common import fails, same, sandbox
from e2b import CommandExitException, PtySize


def until(handle, text):
    """Reads the terminal until the text is there."""
    seen = b""
    for _, _, data in handle:
        seen += data or b""
        if text in seen:
            return seen
    raise AssertionError(f"{text!r} is not in {seen!r}")


def typed(box):
    handle = box.pty.create(PtySize(rows=24, cols=80), envs={"OF_CALL": "b"}, cwd="/tmp")
    box.pty.send_stdin(handle.pid, b"stty size; tty; pwd; echo $TERM-$OF_CALL-$((6*7))\n")
    seen = until(handle, b"xterm-256color-b-42")
    assert b"24 80" in seen and b"/dev/pts/" in seen and b"/tmp" in seen, seen
    box.pty.resize(handle.pid, PtySize(rows=50, cols=132))
    box.pty.send_stdin(handle.pid, b"stty size\n")
    until(handle, b"50 132")
    # It is the terminal of a session: an interrupt reaches what runs in front.
    # What runs says so itself: before that the interrupt would be the shell's.
    box.pty.send_stdin(handle.pid, b"sh -c 'echo up-$((1+1)); exec sleep 60'; echo rc=$?\n")
    until(handle, b"up-2")
    box.pty.send_stdin(handle.pid, b"\x03")
    box.pty.send_stdin(handle.pid, b"echo after-$((1+1))\n")
    until(handle, b"after-2")
    box.pty.send_stdin(handle.pid, b"exit 5\n")
    same(fails(CommandExitException, handle.wait).exit_code, 5)


def killed(box):
    handle = box.pty.create(PtySize(rows=10, cols=40), user="root")
    box.pty.send_stdin(handle.pid, b"id -un\n")
    until(handle, b"root\r\n")
    same(box.pty.kill(handle.pid), True)
    same(fails(CommandExitException, handle.wait).exit_code, -1)
    same(box.pty.kill(handle.pid), False)


with sandbox(timeout=120) as box:
    for part in [typed, killed]:
        part(box)
        print("ok", part.__name__, flush=True)
