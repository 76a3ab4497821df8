"""A client that takes all connections to the upstream that it can, in front of everybody else's requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.running import Running, running
from tests.support.settling import OPEN, settled
from tests.support.waiting import until
from tests.support.wire import OK, Client, Received, Upstream, get, once, read_body

# The default is 1,024, and the rule does not depend on the number.
PLACES = 64
GREEDY = 70
LINES = f"max_connections: {PLACES}, connect_timeout: 1s"
UPLOAD = get("/slow", "Content-Length: 2", method="POST") + b"a"


async def slow(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers at once, but /slow never."""
    if received.target == b"/slow":
        with contextlib.suppress(ConnectionError):
            await reader.read()
        return
    received.body = await read_body(received.head, reader)
    writer.write(OK)


@contextlib.asynccontextmanager
async def greedy(gateway: Running, request: bytes) -> AsyncIterator[None]:
    """Somebody with so many slow requests at once, whose upstream connections are all in use."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(GREEDY):
            client = await stack.enter_async_context(await Client.connect(gateway.port))
            await client.send(request)
        await until(lambda: gateway.worker.app.pool.open > PLACES // 2)
        # Those that were too many have their answer.
        limits = gateway.worker.metrics.limits_reached
        await until(lambda: limits["upstream.max_connections"] >= GREEDY - PLACES // 2 - 1)
        yield


@pytest.mark.parametrize("kind", ["uploads with a byte missing", "slow requests with one token"])
async def test_one_client_leaves_places_for_all_others(tmp_path: Path, kind: str) -> None:
    routes = "routes: [{path: /slow, methods: [POST], auth: none}, {path: /open, auth: none}]\n"
    async with running(tmp_path, routes, upstream=Upstream(script=slow), upstream_lines=LINES) as gateway:
        token = gateway.bearer(sub="greedy")
        request = UPLOAD if kind.startswith("uploads") else get("/slow", token)
        async with greedy(gateway, request):
            # Others: who is signed in, from the same address too; and where nobody is, another address.
            for number in range(10):
                others = [
                    once(gateway.port, get("/", gateway.bearer(sub=f"{number}-{n}"))) for n in range(20)
                ]
                assert {reply.status for reply in await asyncio.gather(*others)} == {200}
            assert gateway.worker.app.pool.open <= PLACES
        await settled(gateway)
        assert (await once(gateway.port, get("/open"))).status == 200


async def test_each_address_is_a_client(tmp_path: Path) -> None:
    """Behind a trusted proxy: the addresses are those that it names."""
    async with running(
        tmp_path,
        OPEN,
        upstream=Upstream(script=slow),
        upstream_lines=LINES,
        listen_lines="trusted_proxies: [127.0.0.0/8]",
    ) as gateway:
        async with greedy(gateway, get("/slow", "X-Forwarded-For: 192.0.2.1")):
            for number in range(2, 8):
                reply = await once(gateway.port, get("/", f"X-Forwarded-For: 192.0.2.{number}"))
                assert reply.status == 200
            late = await once(gateway.port, get("/", "X-Forwarded-For: 192.0.2.1"))
            assert (late.status, late.get("retry-after")) == (503, "1")


async def test_a_client_over_its_share_waits_for_its_own_connections(tmp_path: Path) -> None:
    """A burst of one client is served whole, a share at a time."""

    async def brief(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK)

    lines = "max_connections: 8, connect_timeout: 60s"
    async with running(tmp_path, OPEN, upstream=Upstream(script=brief), upstream_lines=lines) as gateway:
        replies = await asyncio.gather(*(once(gateway.port, get(f"/{n}")) for n in range(9)))
        assert {reply.status for reply in replies} == {200}
        assert gateway.upstream.connections <= 5
        await settled(gateway)
