"""Each limit is a key of the configuration, and what ends at it is counted under that key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config.model import Listen
from gateway.config.model import Upstream as UpstreamConfig
from tests.support.black_hole import black_hole
from tests.support.running import Running, running
from tests.support.settling import OPEN, settled
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.waiting import until
from tests.support.wire import Client, Received, Upstream, get, once

Case = Callable[[Running], Awaitable[int]]


async def silent(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


async def half(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await reader.read()


async def switch(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SWITCH)
    await reader.read()


async def head_too_large(gateway: Running) -> int:
    return (await once(gateway.port, get("/", "X: " + "a" * 5000))).status


async def announced_too_large(gateway: Running) -> int:
    return (await once(gateway.port, get("/", "Content-Length: 11", method="POST"))).status


async def grown_too_large(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as client:
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        await asyncio.sleep(0.03)
        return (await client.ask(b"b\r\n01234567890\r\n")).status


async def slow_head(gateway: Running) -> int:
    return (await once(gateway.port, b"GET / HT")).status


async def never_a_word(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as client:
        return 0 if await client.closed() else -1


async def kept_alive_for_nothing(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as client:
        assert (await client.ask(get("/"))).status == 200
        return 0 if await client.closed() else -1


async def body_that_stops(gateway: Running) -> int:
    return (await once(gateway.port, get("/", "Content-Length: 10", method="POST") + b"12345")).status


async def one_too_many(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as first, await Client.connect(gateway.port) as second:
        assert (await first.ask(get("/"))).status == 200
        return (await second.reply()).status


async def plain(gateway: Running) -> int:
    return (await once(gateway.port, get("/"))).status


async def two_at_once(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as first:
        await first.send(get("/"))
        await until(lambda: gateway.upstream.requests)
        return await plain(gateway)


async def cut_answer(gateway: Running) -> int:
    reply = await once(gateway.port, get("/"))
    return 0 if not reply.whole else -1


async def silent_tunnel(gateway: Running) -> int:
    async with await Client.connect(gateway.port) as client:
        assert (await client.ask(get("/", *UPGRADE))).status == 101
        return 0 if await client.closed() else -1


# What happens → the key, its section's lines, what the client is answered (0: nothing, the connection ends).
CASES: dict[str, tuple[str, str, Case, int, Upstream | None]] = {
    "head too large": ("listen.max_header_size", "max_header_size: 4KiB", head_too_large, 431, None),
    "body announced": ("listen.max_body_size", "max_body_size: 10", announced_too_large, 413, None),
    "body grown": ("listen.max_body_size", "max_body_size: 10", grown_too_large, 413, None),
    "slow head": ("listen.header_timeout", "header_timeout: 100ms", slow_head, 408, None),
    "no head": ("listen.header_timeout", "header_timeout: 100ms", never_a_word, 0, None),
    "idle": ("listen.idle_timeout", "idle_timeout: 100ms", kept_alive_for_nothing, 0, None),
    "body stops": ("listen.idle_timeout", "idle_timeout: 100ms", body_that_stops, 408, None),
    "connections": ("listen.max_connections", "max_connections: 1", one_too_many, 503, None),
    "pool full": (
        *("upstream.max_connections", "max_connections: 1, connect_timeout: 1s", two_at_once, 503),
        Upstream(script=silent),
    ),
    "no answer": (
        *("upstream.response_timeout", "response_timeout: 100ms", plain, 504),
        Upstream(script=silent),
    ),
    "half an answer": (
        *("upstream.idle_timeout", "idle_timeout: 100ms", cut_answer, 0),
        Upstream(script=half),
    ),
    "silent tunnel": (
        *("upstream.idle_timeout", "idle_timeout: 100ms", silent_tunnel, 0),
        Upstream(script=switch),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_connections_ended_at_a_limit_are_counted_by_its_key(
    tmp_path: Path, case: tuple[str, str, Case, int, Upstream | None]
) -> None:
    key, lines, happens, status, upstream = case
    section = {f"{key.partition('.')[0]}_lines": lines}
    async with running(tmp_path, OPEN, upstream=upstream, **section) as gateway:  # type: ignore[arg-type]
        assert await happens(gateway) == status
        await settled(gateway)
        assert gateway.worker.metrics.limits_reached == {key: 1}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_unanswered_syn_ends_with_connect_timeout(tmp_path: Path, host: str) -> None:
    with black_hole() as port:
        async with running(
            tmp_path, OPEN, upstream_url=f"http://{host}:{port}", upstream_lines="connect_timeout: 200ms"
        ) as gateway:
            began = time.monotonic()
            replies = await asyncio.gather(*(once(gateway.port, get("/")) for _ in range(5)))
            assert [reply.status for reply in replies] == [502] * 5
            assert 0.19 < time.monotonic() - began < 100  # the kernel gives up after two minutes
            await settled(gateway)
            assert gateway.worker.app.pool.open == 0
            metrics = gateway.worker.metrics
            assert metrics.upstream_errors == {"upstream_unreachable": 5}
            # ::1 comes first for localhost, and is refused there at once.
            assert metrics.limits_reached == {"upstream.connect_timeout": 5}


def test_every_limit_of_the_configuration_is_among_them() -> None:
    keys = {f"listen.{each.name}" for each in fields(Listen)}
    keys |= {f"upstream.{each.name}" for each in fields(UpstreamConfig)}
    limits = {key for key in keys if key.split(".")[1].startswith("max_") or key.endswith("_timeout")}
    # A SYN nobody answers is the test above; what is cut when the drain's time is over is said in the log.
    limits -= {"listen.drain_timeout", "upstream.connect_timeout"}
    # Ends what nobody uses.
    limits -= {"upstream.keep_alive_timeout"}
    assert {key for key, *_ in CASES.values()} == limits
