"""Commands: output, input, users, ends."""

import time

from common import fails, same, sandbox, soon
from e2b import (
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    TimeoutException,
)
from e2b.exceptions import AuthenticationException


def foreground(box):
    seen = []
    ran = box.commands.run(
        "echo one; echo two >&2; echo three",
        on_stdout=lambda text: seen.append(("out", text)),
        on_stderr=lambda text: seen.append(("err", text)),
    )
    same((ran.stdout, ran.stderr, ran.exit_code, ran.error), ("one\nthree\n", "two\n", 0, None))
    same("".join(text for kind, text in seen if kind == "out"), "one\nthree\n")
    same("".join(text for kind, text in seen if kind == "err"), "two\n")
    # Much output comes whole and in order, though in many pieces.
    ran = box.commands.run("seq 1 200000")
    same(ran.stdout, "".join(f"{number}\n" for number in range(1, 200001)))
    same(box.commands.run("printf 'ä€𝄞'").stdout, "ä€𝄞")


def surroundings(box):
    same(box.commands.run("pwd; whoami; id -u; echo $HOME").stdout, "/home/user\nuser\n1000\n/home/user\n")
    same(box.commands.run("pwd; whoami; id -u", user="root").stdout, "/root\nroot\n0\n")
    same(box.commands.run("pwd", cwd="/tmp").stdout, "/tmp\n")
    same(box.commands.run("echo $OF_SANDBOX $OF_CALL", envs={"OF_CALL": "b"}).stdout, "a b\n")
    same(box.commands.run("echo $OF_SANDBOX", envs={"OF_SANDBOX": "c"}).stdout, "c\n")
    fails(InvalidArgumentException, lambda: box.commands.run("true", cwd="/nowhere"))
    fails(AuthenticationException, lambda: box.commands.run("true", user="nobody-here"))
    # A user that is not root can do nothing of root's.
    same(box.commands.run("grep CapEff /proc/self/status").stdout, "CapEff:\t0000000000000000\n")
    fails(CommandExitException, lambda: box.commands.run("ls /root"))
    fails(CommandExitException, lambda: box.commands.run("touch /etc/x /usr/local/x"))
    # Other processes of the machine are not there.
    same(box.commands.run("ls -d /proc/[0-9]* | wc -l").stdout.strip().isdigit(), True)
    assert int(box.commands.run("ls -d /proc/[0-9]* | wc -l").stdout) < 20


def ends(box):
    error = fails(CommandExitException, lambda: box.commands.run("echo before; exit 7"))
    same((error.exit_code, error.stdout, error.error), (7, "before\n", "exit status 7"))
    error = fails(CommandExitException, lambda: box.commands.run("no-such-program"))
    same(error.exit_code, 127)
    # A login shell that is killed is not an exit.
    error = fails(CommandExitException, lambda: box.commands.run("kill -9 $$"))
    same((error.exit_code, error.error), (-1, "signal: killed"))
    began = time.monotonic()
    fails(TimeoutException, lambda: box.commands.run("sleep 30", timeout=1))
    assert time.monotonic() - began < 10


def background(box):
    command = "echo here; touch /tmp/here; sleep 60"
    handle = box.commands.run(command, background=True)
    soon(lambda: box.files.exists("/tmp/here"))
    listed = {process.pid: process for process in box.commands.list()}
    same(listed[handle.pid].cmd, "/bin/bash")
    same(listed[handle.pid].args, ["-l", "-c", command])
    same(handle.kill(), True)
    error = fails(CommandExitException, handle.wait)
    same((error.exit_code, error.stdout), (-1, "here\n"))
    same(box.commands.kill(handle.pid), False)
    soon(lambda: handle.pid not in [process.pid for process in box.commands.list()])


def reconnect(box):
    handle = box.commands.run("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.4; done; exit 3", background=True)
    handle.disconnect()
    again = box.commands.connect(handle.pid)
    same(again.pid, handle.pid)
    error = fails(CommandExitException, again.wait)
    same(error.exit_code, 3)
    assert error.stdout.endswith("7\n8\n"), error.stdout
    # The end is told to who comes late, too.
    error = fails(CommandExitException, box.commands.connect(handle.pid).wait)
    same((error.exit_code, error.stdout), (3, ""))
    fails(NotFoundException, lambda: box.commands.connect(999999))


def stdin(box):
    handle = box.commands.run("cat; echo over", background=True, stdin=True)
    handle.send_stdin("a line\n")
    box.commands.send_stdin(handle.pid, b"another\n")
    handle.close_stdin()
    same(handle.wait().stdout, "a line\nanother\nover\n")
    handle = box.commands.run("wc -c", background=True, stdin=True)
    box.commands.stream_input(handle.pid, (b"x" * 100_000 for _ in range(10)))
    handle.close_stdin()
    same(handle.wait().stdout.strip(), "1000000")
    # Without it, standard input is at its end from the start.
    same(box.commands.run("cat; echo over").stdout, "over\n")


with sandbox(envs={"OF_SANDBOX": "a"}, timeout=120) as box:
    for part in [foreground, surroundings, ends, background, reconnect, stdin]:
        part(box)
        print("ok", part.__name__, flush=True)
