"""What the scripts share: sandboxes that are gone at the end, and checks that say what they saw."""

import time
from contextlib import contextmanager

from e2b import Sandbox


@contextmanager
def sandbox(**options):
    made = Sandbox.create(**options)
    try:
        yield made
    finally:
        made.kill()


def same(found, wanted):
    assert found == wanted, f"found {found!r}, wanted {wanted!r}"


def fails(kind, call):
    try:
        found = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but {found!r}")


def soon(look, seconds=10):
    """The first answer that is not empty."""
    late = time.monotonic() + seconds
    while time.monotonic() < late:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
