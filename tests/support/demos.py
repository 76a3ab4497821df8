"""`demo` takes the same ports wherever it runs; the tests that run it take turns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def taking_turns() -> Iterator[None]:
    """No other test on this machine runs a demo meanwhile, or looks whether the ports of one are free.

    Two that start at once would find the same port free, and one that ends would give up what the other has
    just seen taken.
    """
    name = f"cognito-gateway-tests-demo-{os.getuid()}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
