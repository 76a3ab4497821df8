"""One question at an address of the cluster, and waiting for an answer to become true."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.support.cluster.shop import people
from tests.support.wire import Reply, get, once


async def ask(address: str, target: str, *lines: str, port: int = 80) -> Reply:
    return await once(port, get(target, *lines), at=address)


def bearer() -> str:
    (token,) = people(1)
    return f"Authorization: Bearer {token}"


def eventually(true: Callable[[], object], seconds: float = 120) -> float:
    """Wait until calling it gives something true; return the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, f"not within {seconds} s"
        time.sleep(0.5)
    return time.monotonic() - began
