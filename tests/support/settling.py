"""Gateways without a token on every path, and the moment in which one has nothing left to do."""

from __future__ import annotations

import contextlib

from tests.support.running import Running
from tests.support.waiting import until

OPEN = "routes: [{path: '/**', auth: none}]\n"


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def settled(gateway: Running, *, connections: int = 0) -> None:
    """Wait until nothing is in flight: no client connection beyond these, no upstream one that is lent."""
    pool = gateway.worker.app.pool
    with contextlib.suppress(TimeoutError):
        await until(lambda: len(gateway.worker.connections) == connections and pool.open == pool.idle)
    assert len(gateway.worker.connections) == connections
    assert pool.open == pool.idle, pool
    assert gateway.worker.metrics.requests_in_flight == 0


def waiters(gateway: Running) -> int:
    """How many requests wait for a connection to the upstream."""
    return int(repr(gateway.worker.app.pool).rpartition("waiting=")[2].rstrip(">"))
