"""Each limit: what is within it passes, what is beyond is refused with its own status, nothing leaks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.requests import a_request
from tests.support.running import running
from tests.support.settling import OPEN, chunked, settled, waiters
from tests.support.waiting import Lag, at_rest, until
from tests.support.wire import OK, UNDER_WAY, Client, Received, Upstream, get, once

# --- heads ---


@pytest.mark.parametrize(
    "head",
    [
        get("/" + "a" * 5000),
        get("/", "X-Long: " + "a" * 5000),
        get("/", "X" * 5000 + ": a"),
        get("/", *(f"X-{number}: {'a' * 100}" for number in range(60))),
        get("/" + "a" * 3000, "X-Long: " + "a" * 3000),
        get("/", *(f"X-{number}: a" for number in range(200))),
    ],
    ids=["target", "value", "name", "many lines", "target and value", "too many lines"],
)
@pytest.mark.parametrize("piece", [10**9, 700, 64])
async def test_a_head_over_the_limit_is_refused(tmp_path: Path, head: bytes, piece: int) -> None:
    async with running(tmp_path, OPEN, listen_lines="max_header_size: 4KiB") as gateway:
        async with await Client.connect(gateway.port) as client:
            for start in range(0, len(head), piece):
                await client.send(head[start : start + piece])
                await asyncio.sleep(0)
            reply = await client.reply()
            assert reply.status in {400, 431}
            assert await client.closed()
        assert gateway.upstream.requests == []
        await settled(gateway)


async def test_a_head_within_the_limit_passes_however_it_is_cut(tmp_path: Path) -> None:
    head = get("/", "X-Long: " + "a" * 3500)
    async with running(tmp_path, OPEN, listen_lines="max_header_size: 4KiB") as gateway:
        async with await Client.connect(gateway.port) as client:
            for piece in (len(head), 500, 100):
                for start in range(0, len(head), piece):
                    await client.send(head[start : start + piece])
                    await asyncio.sleep(0)
                assert (await client.reply()).status == 200


async def test_a_head_behind_a_slow_request_has_the_same_limit(tmp_path: Path) -> None:
    """Bytes that come while another request is served are counted too."""
    release = asyncio.Event()

    async def slow(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)

    lines = [f"X-{number}: {'a' * 1000}" for number in range(20)]
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=slow), listen_lines="max_header_size: 4KiB"
    ) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/first") + get("/second", *lines)[:3000])
            for line in lines[3:]:
                await client.send(line.encode() + b"\r\n")
                await asyncio.sleep(0.001)
            await client.send(b"X-Last: 1\r\n\r\n")
            await asyncio.sleep(0.01)
            release.set()
            assert (await client.reply()).status == 200
            while not client.reader.at_eof():
                assert b"200" not in await client.reader.readline()
        assert [each.target for each in gateway.upstream.requests] == [b"/first"]


async def test_a_pipelined_head_has_the_same_limit(tmp_path: Path) -> None:
    large = get("/large", *(f"X-{number}: {'a' * 1000}" for number in range(6)))
    async with running(tmp_path, OPEN, listen_lines="max_header_size: 4KiB") as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/small") + large)
            data = await client.reader.read()
        assert data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 431"))
        assert b"/large" not in [each.target for each in gateway.upstream.requests]


async def test_a_large_body_does_not_count_as_the_next_head(tmp_path: Path) -> None:
    body = b"x" * 100_000
    head = get("/", f"Content-Length: {len(body)}", method="POST")
    async with running(tmp_path, OPEN, listen_lines="max_header_size: 4KiB") as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                await client.send(head)
                await asyncio.sleep(0.02)
                await client.send(body)
                reply = await client.reply()
                assert reply.status == 200
                assert reply.get("connection") is None
        assert len(gateway.upstream.last.body) == len(body)


# --- times ---


async def test_a_slow_head_is_answered_408(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, listen_lines="header_timeout: 100ms") as gateway:
        began = time.monotonic()
        async with Lag() as lag, await Client.connect(gateway.port) as client:
            for byte in get("/")[:12]:
                await client.send(bytes([byte]))
                await asyncio.sleep(0.02)
            reply = await client.reply()
            assert reply.status == 408
            assert await client.closed()
        assert time.monotonic() - began - lag.seconds < 8  # by default it is 10 s
        await settled(gateway)


async def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, listen_lines="header_timeout: 100ms, idle_timeout: 60s") as gateway:
        began = time.monotonic()
        async with Lag() as lag, await Client.connect(gateway.port) as client:
            assert await client.closed()
            took = time.monotonic() - began
        assert took > 0.09
        assert took - lag.seconds < 8  # by default it is 10 s
        await settled(gateway)


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, listen_lines="idle_timeout: 1s, header_timeout: 60s") as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(4):
                assert (await client.ask(get("/"))).status == 200
                await asyncio.sleep(0.3)
            assert await client.closed()
        await settled(gateway)


async def test_a_client_that_stops_sending_its_body_is_answered_408(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, listen_lines="idle_timeout: 100ms") as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/", "Content-Length: 10", method="POST") + b"12345")
            assert reply.status == 408
            assert await client.closed()
        await settled(gateway)


# --- bodies ---


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("framing", ["counted", "chunked"])
async def test_a_body_over_the_limit_is_refused_and_one_at_it_passes(
    tmp_path: Path, framing: str, whole: bool
) -> None:
    def request(size: int) -> tuple[bytes, bytes]:
        body = b"x" * size
        if framing == "counted":
            return get("/", f"Content-Length: {size}", method="POST"), body
        return get("/", "Transfer-Encoding: chunked", method="POST"), chunked(body[:500], body[500:])

    async with running(tmp_path, OPEN, listen_lines="max_body_size: 1KiB") as gateway:
        for size, status in ((1024, 200), (1025, 413)):
            async with await Client.connect(gateway.port) as client:
                head, body = request(size)
                if whole:
                    await client.send(head + body)
                else:
                    await client.send(head)
                    await asyncio.sleep(0.03)
                    await client.send(body)
                reply = await client.reply()
                assert reply.status == status
                if status == 413:
                    assert await client.closed()
        await settled(gateway)
        assert all(len(each.body) <= 1024 for each in gateway.upstream.requests)


async def test_a_body_announced_too_large_never_reaches_the_upstream(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, listen_lines="max_body_size: 1KiB") as gateway:
        reply = await once(gateway.port, get("/", "Content-Length: 1025", method="POST"))
        assert reply.status == 413
        assert gateway.upstream.connections == 0


async def test_bodies_too_large_use_up_no_connection(tmp_path: Path) -> None:
    """Refused when the connection to the upstream was already chosen: it must not be lost to the pool."""
    async with running(
        tmp_path, OPEN, listen_lines="max_body_size: 10", upstream_lines="max_connections: 2"
    ) as gateway:
        for _ in range(5):
            assert (await once(gateway.port, get("/"))).status == 200
            large = get("/", "Transfer-Encoding: chunked", method="POST") + chunked(b"x" * 11)
            assert (await once(gateway.port, large)).status == 413
        await settled(gateway)


# --- connections ---


async def test_when_the_upstream_is_fully_used_requests_wait_then_get_503(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)

    async with running(
        tmp_path,
        OPEN,
        upstream=Upstream(script=slow),
        upstream_lines="max_connections: 2, connect_timeout: 1s",
    ) as gateway:
        first = [asyncio.create_task(once(gateway.port, get("/"))) for _ in range(2)]
        await until(lambda: len(gateway.upstream.requests) >= 2)
        late = await once(gateway.port, get("/"))
        assert late.status == 503
        assert late.get("retry-after") == "1"
        waiting = asyncio.create_task(once(gateway.port, get("/")))
        await until(lambda: waiters(gateway) == 1)
        release.set()
        assert [reply.status for reply in await asyncio.gather(*first, waiting)] == [200, 200, 200]
        assert gateway.upstream.connections == 2
        await settled(gateway)


async def test_a_client_that_left_the_queue_takes_no_connection(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)

    lines = "max_connections: 1, connect_timeout: 20s"
    async with running(tmp_path, OPEN, upstream=Upstream(script=slow), upstream_lines=lines) as gateway:
        first = asyncio.create_task(once(gateway.port, get("/first")))
        await until(lambda: gateway.upstream.requests)
        for _ in range(3):
            async with await Client.connect(gateway.port) as client:
                await client.send(get("/left"))
                await until(lambda: waiters(gateway) == 1)
            await until(lambda: len(gateway.worker.connections) == 1)
        last = asyncio.create_task(once(gateway.port, get("/last")))
        await until(lambda: waiters(gateway) == 1)
        release.set()
        assert (await first).status == (await last).status == 200
        assert [each.target for each in gateway.upstream.requests] == [b"/first", b"/last"]
        await settled(gateway)
        assert waiters(gateway) == 0


# --- slow readers ---


async def test_a_client_that_stops_reading_is_closed(tmp_path: Path) -> None:
    async def endless(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with running(
        tmp_path, OPEN, upstream=Upstream(script=endless), listen_lines="idle_timeout: 150ms"
    ) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/"))
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: gateway.upstream.requests)
            await settled(gateway)
        await until(lambda: gateway.upstream.open == 0)


async def test_answers_do_not_pile_up_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.writer.write(get("/") * 2000)
            served = await at_rest(lambda: len(gateway.upstream.requests))
            # 200 MB were asked for; what the kernel's buffers and ours take is a few.
            assert 0 < served * 100_000 < UNDER_WAY


async def test_a_connection_that_dies_on_its_way_to_a_waiter_is_not_lent(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, upstream_lines="max_connections: 1") as gateway:
        pool = gateway.worker.app.pool
        first = await pool.connect(a_request())
        waiting = asyncio.create_task(pool.connect(a_request()))
        await asyncio.sleep(0.01)
        pool.give_back(first)
        first.abort()
        second = await asyncio.wait_for(waiting, 20)
        assert second is not first
        assert second.usable
        pool.give_back(second)


async def test_a_body_that_breaks_before_its_turn_is_refused_at_once(tmp_path: Path) -> None:
    """While its request waits for a connection to the upstream, nobody reads the body yet."""
    release = asyncio.Event()

    async def slow(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)

    lines = "max_connections: 1, connect_timeout: 20s"
    async with running(tmp_path, OPEN, upstream=Upstream(script=slow), upstream_lines=lines) as gateway:
        first = asyncio.create_task(once(gateway.port, get("/first")))
        await until(lambda: gateway.upstream.requests)
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/broken", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
            await asyncio.sleep(0.03)
            await client.send(b"zz\r\n")
            await asyncio.sleep(0.03)
            release.set()
            assert (await client.reply()).status == 400
            assert await client.closed()
        assert (await first).status == 200
        await settled(gateway)
