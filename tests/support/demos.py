"""A lock between tests that run `demo`, which uses the same ports everywhere."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def taking_turns() -> Iterator[None]:
    """Keep other tests on this machine from running a demo or checking its ports meanwhile.

    Two that start at once would find the same port free, and one that ends would free a port that the other
    has just seen in use.
    """
    name = f"cognito-gateway-tests-demo-{os.getuid()}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
