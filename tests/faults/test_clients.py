"""Clients that misbehave, in crowds, beside others that do not: these feel nothing, what was held is back.

The gateway runs in the test's loop, so that its pool, exchanges and connections can be counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.black_hole import black_hole
from tests.support.figures import Figure
from tests.support.load import PATIENCE, Board, Clients, body_of
from tests.support.running import Running, running
from tests.support.settling import settled, waiters
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.waiting import until
from tests.support.wire import Client, Received, Upstream, get, read_body

pytestmark = pytest.mark.slow

Phase = Callable[[Client], Awaitable[None]]

CROWD = 60
OPEN = "routes: [{path: '/odd/**', auth: none}]\n"


class Odd:
    """An upstream: /api is answered at once, /odd/… in the way its name says."""

    def __init__(self) -> None:
        self.reached = 0

    async def __call__(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not received.target.startswith(b"/odd/"):
            body = body_of(received.target)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        self.reached += 1
        match received.target:
            case b"/odd/upload":
                received.body = await read_body(received.head, reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            case b"/odd/endless":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            case b"/odd/tunnel":
                writer.write(SWITCH)
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                writer.close()
            case _:  # /odd/silent
                await reader.read()
                writer.close()


async def waiting(client: Client) -> None:
    """For the answer's head."""
    await client.send(get("/odd/silent"))


async def sending_a_head(client: Client) -> None:
    await client.send(get("/odd/silent")[:-7])


async def sending_a_body(client: Client) -> None:
    await client.send(get("/odd/upload", "Content-Length: 100000", method="POST") + b"x" * 1000)


async def sending_chunks(client: Client) -> None:
    await client.send(get("/odd/upload", "Transfer-Encoding: chunked", method="POST") + b"400\r\nxxx")


async def reading(client: Client) -> None:
    await client.send(get("/odd/endless"))
    await client.reader.readexactly(1000)


async def tunnelling(client: Client) -> None:
    assert (await client.ask(get("/odd/tunnel", *UPGRADE))).status == 101
    await client.send(b"\x81\x05hello")
    assert await client.reader.readexactly(7) == b"\x81\x05hello"


async def silence(_: Client) -> None:
    pass


async def announcing(client: Client) -> None:
    """A small body of which nothing comes yet."""
    await client.send(get("/odd/upload", "Content-Length: 4", method="POST"))


async def pipelining(client: Client) -> None:
    await client.send(get("/odd/silent") + get("/odd/endless") * 10)


PHASES: tuple[Phase, ...] = (
    *(waiting, sending_a_head, sending_a_body, sending_chunks, reading, tunnelling, pipelining),
)


@contextlib.asynccontextmanager
async def load(gateway: Running) -> AsyncIterator[Board]:
    """Others, who must not feel anything."""
    clients = Clients(gateway.port, [gateway.token(sub=f"user-{each}") for each in range(4)])
    async with clients.running() as board:
        await clients.more(20)
        yield board
        await clients.more(50)
    assert board.failures == []
    assert board.slowest < PATIENCE


@contextlib.asynccontextmanager
async def crowd_of(gateway: Running, phase: Phase) -> AsyncIterator[list[Client]]:
    """So many clients, each in that phase; in the end all are gone."""
    crowd = await asyncio.gather(*(Client.connect(gateway.port) for _ in range(CROWD)))
    try:
        await asyncio.gather(*(phase(client) for client in crowd))
        await asyncio.sleep(0.05)
        yield crowd
    finally:
        leave(crowd)


def leave(crowd: list[Client], *, politely: bool = False) -> None:
    for client in crowd:
        transport = client.writer.transport
        transport.close() if politely else transport.abort()


async def at_base(gateway: Running, others: int) -> None:
    """Nothing is held but what the well-behaved hold: at most a connection each, here and at the upstream."""
    worker = gateway.worker

    def held() -> tuple[int, int, int]:
        pool = worker.app.pool
        return len(worker.connections), pool.open - pool.idle, worker.metrics.requests_in_flight

    try:
        await until(lambda: max(held()) <= others)
    except TimeoutError as error:
        raise AssertionError(f"connections, lent ones, requests: {held()}") from error


@pytest.mark.fault("clients leave")
@pytest.mark.parametrize("way", ["resets", "closes"])
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_they_disconnect_in_every_phase(tmp_path: Path, phase: Phase, way: str, figure: Figure) -> None:
    upstream = Upstream(script=Odd())
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with load(gateway):
            for _ in range(2):
                async with crowd_of(gateway, phase) as crowd:
                    await until(lambda: len(gateway.worker.connections) >= CROWD)
                    began = time.monotonic()
                    leave(crowd, politely=way == "closes")
                    await at_base(gateway, others=4)
                print(f"{phase.__name__} {way}: {CROWD} gone in {time.monotonic() - began:.3f} s")
        await settled(gateway)
        pool = gateway.worker.app.pool
        await until(lambda: upstream.open == pool.idle)
        assert pool.idle <= 4
        figure("everything they held is back")
        assert [line for line in gateway.log() if line["event"] == "log"] == []


@pytest.mark.fault("clients leave early")
async def test_they_disconnect_while_the_upstream_is_dialled(tmp_path: Path, figure: Figure) -> None:
    lines = "connect_timeout: 60s"
    with black_hole() as port:
        async with running(
            tmp_path, OPEN, upstream_url=f"http://127.0.0.1:{port}", upstream_lines=lines
        ) as gateway:
            async with crowd_of(gateway, waiting) as crowd:
                await until(lambda: gateway.worker.app.pool.open == CROWD)
                leave(crowd)
                await at_base(gateway, others=0)
            assert gateway.worker.app.pool.open == 0
            figure("everything they held is back")


@pytest.mark.fault("clients leave early")
async def test_they_disconnect_while_they_wait_for_a_connection(tmp_path: Path, figure: Figure) -> None:
    async with running(
        tmp_path,
        OPEN,
        upstream=Upstream(script=Odd()),
        upstream_lines=f"max_connections: {CROWD // 2}, connect_timeout: 60s",
    ) as gateway:
        async with crowd_of(gateway, waiting) as crowd:
            # They are one client, which gets half of the connections and half of the queue.
            await until(lambda: waiters(gateway) == CROWD // 4 + 1)
            leave(crowd[::-1])
            await at_base(gateway, others=0)
        assert waiters(gateway) == 0
        # All places are free again.
        async with load(gateway):
            pass
        await settled(gateway)
        figure("everything they held is back")


@pytest.mark.fault("clients stall")
@pytest.mark.parametrize("phase", [reading, tunnelling], ids=["answer", "tunnel"])
async def test_they_stop_reading(tmp_path: Path, phase: Phase, figure: Figure) -> None:
    """What is read ahead for them is bounded, and they are ended after idle_timeout."""
    limits: dict[str, Any] = {"listen_lines": "idle_timeout: 2s", "upstream_lines": "idle_timeout: 2s"}
    async with running(tmp_path, OPEN, upstream=Upstream(script=Odd()), **limits) as gateway:
        async with load(gateway), crowd_of(gateway, phase) as crowd:
            for client in crowd:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                if phase is tunnelling:
                    client.writer.write(b"\x82\x7e\xff\xff" + b"x" * 65535)
            began = time.monotonic()
            await at_base(gateway, others=4)
            print(f"stop reading: ended after {time.monotonic() - began:.2f} s")
        await settled(gateway)
        limit = "listen.idle_timeout" if phase is reading else "upstream.idle_timeout"
        assert gateway.worker.metrics.limits_reached[limit] == CROWD
        figure("those that stop reading are ended by their limit")


@pytest.mark.fault("clients stall")
async def test_they_send_one_byte_a_second(tmp_path: Path, figure: Figure) -> None:
    """A head has header_timeout for all of it. A body that goes on is a slow client's right: it holds its own
    connection, and nothing of anybody else's."""
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=Odd()), listen_lines="header_timeout: 2s, idle_timeout: 9s"
    ) as gateway:
        async with (
            load(gateway),
            crowd_of(gateway, silence) as heads,
            crowd_of(gateway, announcing) as bodies,
        ):
            for second in range(4):
                for client in heads:
                    client.writer.write(get("/odd/silent")[second : second + 1])
                for client in bodies:
                    client.writer.write(b"x")
                await asyncio.sleep(1)
            assert {(await client.reply()).status for client in bodies} == {200}
            assert {(await client.reply()).status for client in heads} == {408}
            leave([*heads, *bodies])
            figure("a slow head too; a slow body is served")
            await at_base(gateway, others=4)
        await settled(gateway)
        assert gateway.worker.metrics.limits_reached == {"listen.header_timeout": CROWD}
