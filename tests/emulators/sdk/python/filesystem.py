"""Files and folders."""

import io
import os
import time
import urllib.error
import urllib.request

from common import fails, same, sandbox, soon
from e2b import FileType, InvalidArgumentException, NotFoundException
from e2b.exceptions import FileNotFoundException
from e2b.sandbox.filesystem.filesystem import WriteEntry
from e2b.sandbox.filesystem.watch_handle import FilesystemEventType


def contents(box):
    info = box.files.write("a/b/text.txt", "first\n")
    same((info.path, info.name, info.type), ("/home/user/a/b/text.txt", "text.txt", FileType.FILE))
    same(box.files.read("a/b/text.txt"), "first\n")
    box.files.write("/home/user/a/b/text.txt", "2")
    same(box.files.read("~/a/b/text.txt"), "2")
    everything = bytes(range(256)) * 5000
    box.files.write("/tmp/bytes", everything)
    same(bytes(box.files.read("/tmp/bytes", format="bytes")), everything)
    box.files.write("/tmp/stream", io.BytesIO(everything))
    same(b"".join(box.files.read("/tmp/stream", format="stream")), everything)
    box.files.write("/tmp/pieces", (b"%d\n" % number for number in range(1000)))
    same(box.files.read("/tmp/pieces").count("\n"), 1000)
    box.files.write("/tmp/packed", "p" * 100_000, gzip=True)
    same(box.files.read("/tmp/packed", gzip=True), "p" * 100_000)
    box.files.write("empty", "")
    same(box.files.read("empty"), "")
    written = box.files.write_files(
        [WriteEntry(path="m/1", data="one"), WriteEntry(path="m/2", data=b"two")]
    )
    same([entry.path for entry in written], ["/home/user/m/1", "/home/user/m/2"])
    same(box.files.read("m/2"), "two")
    same(box.commands.run("stat -c %U a a/b a/b/text.txt m/1").stdout, "user\n" * 4)
    box.files.write("/root/secret", "s", user="root")
    same(box.commands.run("stat -c %U /root/secret", user="root").stdout, "root\n")
    # Answers are of JSON that any parser takes, and names need no escape but their own.
    odd = "/tmp/ä \" ' &?#%.txt"
    box.files.write(odd, "odd")
    same(box.files.read(odd), "odd")
    same(box.files.get_info(odd).name, os.path.basename(odd))


def folders(box):
    same(box.files.make_dir("d/e/f"), True)
    same(box.files.make_dir("d/e/f"), False)
    box.files.write("d/e/x", "x")
    same([(e.name, e.type) for e in box.files.list("d")], [("e", FileType.DIR)])
    same(sorted(e.path for e in box.files.list("d", depth=2)), ["/home/user/d/e", "/home/user/d/e/f", "/home/user/d/e/x"])
    same(box.files.exists("d/e/x"), True)
    moved = box.files.rename("d/e/x", "d/y/z")
    same((moved.path, moved.type, moved.size), ("/home/user/d/y/z", FileType.FILE, 1))
    same(box.files.exists("d/e/x"), False)
    box.files.remove("d")
    same(box.files.exists("d"), False)
    box.files.remove("d")
    fails(NotFoundException, lambda: box.files.list("d"))
    box.files.write("file", "")
    fails(InvalidArgumentException, lambda: box.files.list("file"))
    fails(InvalidArgumentException, lambda: box.files.make_dir("file"))


def info(box):
    box.files.write("told", "12345", metadata={"made-by": "a test"})
    box.commands.run("chmod 640 told; ln -s told link; ln -s nowhere broken")
    found = box.files.get_info("told")
    same((found.name, found.path, found.size, found.mode), ("told", "/home/user/told", 5, 0o640))
    same((found.permissions, found.owner, found.group), ("-rw-r-----", "user", "user"))
    same((found.type, found.symlink_target), (FileType.FILE, None))
    same(found.metadata, {"made-by": "a test"})
    assert abs(found.modified_time.timestamp() - time.time()) < 60
    found = box.files.get_info("link")
    # The SDK's own word for a link, whatever it leads to.
    same((found.type, found.symlink_target), (FileType.SYMLINK, "/home/user/told"))
    same(box.files.get_info("/tmp").permissions, "dtrwxrwxrwx")
    same(box.files.get_info("broken").name, "broken")
    fails(FileNotFoundException, lambda: box.files.get_info("nothing"))


def errors(box):
    error = fails(FileNotFoundException, lambda: box.files.read("nothing"))
    assert "path '/home/user/nothing' does not exist" in str(error), error
    error = fails(InvalidArgumentException, lambda: box.files.read("/tmp"))
    assert "path '/tmp' is a directory" in str(error), error
    fails(InvalidArgumentException, lambda: box.files.write("/tmp", "x"))


def watch(box):
    box.files.make_dir("w/inner")
    handle = box.files.watch_dir("w", recursive=True, include_entry=True)
    box.files.write("w/new", "1")
    box.files.write("w/inner/deep", "1")
    box.files.rename("w/new", "w/named")
    box.files.remove("w/named")
    seen = []

    def all_there():
        seen.extend(handle.get_new_events())
        return {(event.type, event.name) for event in seen} >= {
            (FilesystemEventType.CREATE, "new"),
            (FilesystemEventType.WRITE, "new"),
            (FilesystemEventType.CREATE, "inner/deep"),
            (FilesystemEventType.RENAME, "new"),
            (FilesystemEventType.CREATE, "named"),
            (FilesystemEventType.REMOVE, "named"),
        }

    soon(all_there)
    deep = [event for event in seen if event.name == "inner/deep" and event.entry]
    same(deep[0].entry.path, "/home/user/w/inner/deep")
    handle.stop()
    fails(NotFoundException, lambda: box.files.watch_dir("nowhere"))


def get(box, url, headers=None):
    headers = {"E2b-Sandbox-Id": box.sandbox_id, "E2b-Sandbox-Port": "49983", **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def signed(box):
    box.files.write("signed text", "0123456789")
    url = box.download_url("signed text", use_signature_expiration=60)
    same(get(box, url)[::2], (200, b"0123456789"))
    status, headers, body = get(box, url, {"Range": "bytes=2-4"})
    same((status, headers["Content-Range"], body), (206, "bytes 2-4/10", b"234"))
    same(get(box, url, {"Range": "bytes=100-"})[0], 416)
    assert get(box, url)[1]["Last-Modified"]
    status, _, body = get(box, url.replace("signature=v1_", "signature=v1_x"))
    same((status, b"invalid signature" in body), (401, True))
    status, _, body = get(box, box.download_url("signed text", use_signature_expiration=-60))
    same((status, b"already expired" in body), (401, True))
    status, _, body = get(box, url.split("&signature")[0])
    same((status, b"missing signature query parameter" in body), (401, True))


with sandbox(timeout=120) as box:
    for part in [contents, folders, info, errors, watch, signed]:
        part(box)
        print("ok", part.__name__, flush=True)
