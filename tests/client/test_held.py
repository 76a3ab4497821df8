"""What one client's connection holds in memory: in bytes, counted where they are held, whatever it sends."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.serve.capacity import Capacity
from tests.support.loops import on_both_loops
from tests.support.running import Running, running
from tests.support.settling import OPEN, settled
from tests.support.waiting import at_rest, until
from tests.support.wire import Client, Received, Upstream, get

KIB = 1024
CLIENTS = 60


@pytest.fixture
def counting() -> Iterator[None]:
    """All that Python allocates is counted; sockets and what the kernel holds are not."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def raw(port: int, data: bytes) -> socket.socket:
    """A client that takes next to no memory itself: this process's is what is measured."""
    sock = socket.socket()
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, data)
    return sock


class Pouring:
    """Sends the same bytes again and again without a buffer beside the kernel's, and knows how far it is."""

    def __init__(self, sock: socket.socket, piece: bytes, total: int) -> None:
        self.sent = 0
        self.total = total
        self._sock = sock
        self._piece = piece

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.sent < self.total:
            await loop.sock_sendall(self._sock, self._piece)
            self.sent += len(self._piece)


async def each_holds(gateway: Running, data: bytes, served: int, *, rest: float = 2.5) -> float:
    """Bytes that each of some clients that sent this takes, `rest` seconds after `served` requests of it."""
    metrics = gateway.worker.metrics
    # What is made once, for the first client, is not a client's.
    first = await raw(gateway.port, data)
    await until(lambda: sum(metrics.requests.values()) >= served)
    before = allocated()
    clients: list[socket.socket] = []
    try:
        for number in range(CLIENTS):
            clients.append(await raw(gateway.port, data))
            expected = served * (number + 2)
            await until(lambda expected=expected: sum(metrics.requests.values()) == expected)  # type: ignore[misc]
        await until(lambda: len(gateway.worker.connections) == CLIENTS + 1)
        # The sweep has seen them idle.
        await asyncio.sleep(rest if served else 0.2)
        gateway.upstream.requests.clear()
        return (allocated() - before) / CLIENTS
    finally:
        for sock in (first, *clients):
            sock.close()


def fields(count: int, size: int) -> Sequence[str]:
    return [f"X{number:03}: {'v' * size}" for number in range(count)]


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "head",
    [
        get("/", *fields(120, 1))[:-2],
        get("/", *fields(120, 150))[:-2],
        b"GET /" + b"a" * 19_000,
        b"\r\n\r\nG",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n" + get("/", *fields(120, 1))[:-2],
    ],
    ids=["small fields", "19 KB of fields", "19 KB of target", "empty lines", "behind a body"],
)
async def test_half_a_head_costs_what_was_sent(tmp_path: Path, head: bytes) -> None:
    async with running(tmp_path, OPEN, listen_lines="header_timeout: 5m") as gateway:
        served = 1 if head.startswith(b"POST") else 0
        assert await each_holds(gateway, head, served) < len(head) + 8 * KIB
        await settled(gateway)


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "head",
    [get("/"), get("/", "X-Long: " + "v" * 3200), get("/", *fields(100, 1)), get("/", *fields(100, 200))],
    ids=["small", "3.2 KB", "100 fields", "22 KB"],
)
async def test_an_idle_connection_keeps_no_head(tmp_path: Path, head: bytes) -> None:
    async with running(tmp_path, OPEN + "log: {access: false}\n") as gateway:
        assert await each_holds(gateway, head, 1) < 12 * KIB
        await settled(gateway)


@pytest.mark.usefixtures("counting")
async def test_a_client_that_asked_once_has_nothing_kept_from_then_on(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN + "log: {access: false}\n") as gateway:
        assert await each_holds(gateway, get("/", *fields(28, 100)), 1, rest=0.1) < 10 * KIB


@pytest.mark.usefixtures("counting")
async def test_memory_for_repeated_heads_is_bounded_for_all_together(tmp_path: Path) -> None:
    """Each would take 24 KiB for a second and a half after the last one."""
    granted = Capacity(connections=1000, bytes=1024 * KIB, tokens=1024 * KIB)
    async with running(tmp_path, OPEN + "log: {access: false}\n", capacity=granted) as gateway:
        request = get("/", *fields(28, 100))
        assert await each_holds(gateway, request * 3, 3, rest=0.1) < 256 * KIB / CLIENTS + 10 * KIB


@on_both_loops
async def test_requests_of_a_client_that_reads_nothing_stay_in_the_kernel(tmp_path: Path) -> None:
    async with running(tmp_path, "log: {access: false, level: error}\n") as gateway:
        async with await Client.connect(gateway.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            sending = asyncio.create_task(client.send(get("/x", host="a") * 400_000))
            left = await at_rest(client.writer.transport.get_write_buffer_size)
            assert left > 0  # it had more to say
            (connection,) = gateway.worker.connections
            assert connection.held <= 32 * KIB
            assert connection.unsent <= 64 * KIB
            client.writer.transport.abort()
            await asyncio.gather(sending, return_exceptions=True)
        await settled(gateway)


@on_both_loops
async def test_reading_continues_once_held_requests_are_served(tmp_path: Path) -> None:
    """Also where the last request that was held has to wait for its answer: its token is new."""
    async with running(tmp_path) as gateway, await Client.connect(gateway.port) as client:
        for number in range(20):
            many = [get("/", gateway.bearer(sub=f"{number}-{each}")) for each in range(number + 10)]
            await client.send(b"".join(many))
            for _ in many:
                assert (await client.reply()).status == 200


@on_both_loops
async def test_requests_behind_a_slow_one_stay_with_the_kernel(tmp_path: Path) -> None:
    async def silent(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with running(tmp_path, OPEN, upstream=Upstream(script=silent)) as gateway:
        async with await Client.connect(gateway.port) as client:
            sending = asyncio.create_task(client.send(get("/x", *fields(100, 1)) * 10_000))
            assert await at_rest(client.writer.transport.get_write_buffer_size) > 0
            (connection,) = gateway.worker.connections
            assert connection.held <= 32 * KIB
            client.writer.transport.abort()
            await asyncio.gather(sending, return_exceptions=True)
        # Nobody reads any more, so nobody notices: its request ends when the upstream is taken away.


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("kind", ["counted", "chunked", "chunks of one byte"])
async def test_a_body_that_is_not_read_stays_in_the_kernel(tmp_path: Path, kind: str) -> None:
    """What is between reader and writer here; what the upstream's connection holds comes on top."""
    may = asyncio.Event()

    async def deaf(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Else the kernel may take all of the bytes that come in chunks of one.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await may.wait()

    line = "Content-Length: 1000000000" if kind == "counted" else "Transfer-Encoding: chunked"
    piece = {
        "counted": b"x" * 16 * KIB,
        "chunked": b"2000\r\n%b\r\n" % (b"x" * 8192) * 2,
        "chunks of one byte": b"1\r\nx\r\n" * 3000,
    }[kind]
    async with running(tmp_path, OPEN, upstream=Upstream(script=deaf)) as gateway:
        # Not by a transport: its buffer may have room for twice what is in it, and that is measured too.
        with await raw(gateway.port, get("/", line, method="POST")) as sock:
            await until(lambda: gateway.worker.connections)
            before = allocated()
            # More than the kernel's largest buffers of both connections hold.
            pouring = Pouring(sock, piece, total=200_000_000)
            sending = asyncio.create_task(pouring.run())
            assert await at_rest(lambda: pouring.sent) < pouring.total
            (connection,) = gateway.worker.connections
            assert connection.held <= 32 * KIB
            # The upstream's buffer and the tasks of this test are within it.
            assert allocated() - before < 512 * KIB
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        may.set()
