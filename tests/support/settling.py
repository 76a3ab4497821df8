"""Gateways without authentication on every path, and waiting until one is idle."""

from __future__ import annotations

import contextlib

from tests.support.running import Running
from tests.support.waiting import until

OPEN = "routes: [{path: '/**', auth: none}]\n"


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def settled(gateway: Running, *, connections: int = 0) -> None:
    """Wait until nothing is in flight: this number of client connections, and no upstream connection in
    use."""
    pool = gateway.worker.app.pool
    with contextlib.suppress(TimeoutError):
        await until(lambda: len(gateway.worker.connections) == connections and pool.open == pool.idle)
    assert len(gateway.worker.connections) == connections
    assert pool.open == pool.idle, pool
    assert gateway.worker.metrics.requests_in_flight == 0


def waiters(gateway: Running) -> int:
    """Return the number of requests that wait for an upstream connection."""
    return int(repr(gateway.worker.app.pool).rpartition("waiting=")[2].rstrip(">"))
