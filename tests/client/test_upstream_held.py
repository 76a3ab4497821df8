"""What a stalled response or upload holds, in bytes: a client that stops reading, an upstream that does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.settling import OPEN
from tests.support.waiting import at_rest, until
from tests.support.wire import get

KIB = 1024
STALLED = 12
PIECE = b"x" * 256 * KIB
CHUNK = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)


@pytest.fixture
def counting() -> Iterator[None]:
    """All that Python allocates is counted; sockets and what the kernel holds are not."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


class RawUpstream:
    """Takes next to no memory itself: this process's is what is measured."""

    def __init__(self, *, sends: bool, body: bytes) -> None:
        self._sends = sends
        self._body = body
        self.accepted = 0
        self.passed = 0
        self.port = 0
        self._serving: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RawUpstream]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            tasks = [asyncio.create_task(self._accept(listening))]
            try:
                yield self
            finally:
                for task in (*tasks, *self._serving):
                    task.cancel()
                await asyncio.gather(*tasks, *self._serving, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            self.accepted += 1
            self._serving.append(asyncio.create_task(self._serve(connection)))

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection, contextlib.suppress(ConnectionError):
            await loop.sock_recv(connection, 4096)
            if not self._sends:
                await asyncio.Event().wait()
            await loop.sock_sendall(connection, b"HTTP/1.1 200 OK\r\n" + self._body)
            piece = memoryview(CHUNK if b"chunked" in self._body else PIECE)
            while True:
                await loop.sock_sendall(connection, piece)
                self.passed += len(piece)


@contextlib.asynccontextmanager
async def stalled(port: int, request: bytes) -> AsyncIterator[list[socket.socket]]:
    """Clients that ask and then do nothing."""
    loop = asyncio.get_running_loop()
    clients: list[socket.socket] = []
    try:
        for _ in range(STALLED):
            clients.append(await asking(loop, port, request))
        yield clients
    finally:
        for client in clients:
            client.close()


async def asking(loop: asyncio.AbstractEventLoop, port: int, request: bytes) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, request)
    return client


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 1000000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"],
    ids=["counted", "chunked"],
)
async def test_a_response_that_is_not_read(tmp_path: Path, body: bytes) -> None:
    async with RawUpstream(sends=True, body=body).running() as upstream:
        url = f"http://127.0.0.1:{upstream.port}"
        async with running(tmp_path, OPEN, upstream_url=url) as gateway:
            before = allocated()
            async with stalled(gateway.port, get("/")):
                await until(lambda: upstream.accepted == STALLED)
                assert await at_rest(lambda: upstream.passed) > 0
                assert (allocated() - before) / STALLED < 96 * KIB


@pytest.mark.usefixtures("counting")
async def test_an_upload_that_the_upstream_does_not_read(tmp_path: Path) -> None:
    request = get("/", "Content-Length: 1000000000", method="POST")
    async with RawUpstream(sends=False, body=b"").running() as upstream:
        url = f"http://127.0.0.1:{upstream.port}"
        async with running(tmp_path, OPEN, upstream_url=url) as gateway:
            before = allocated()
            async with stalled(gateway.port, request) as clients:
                await until(lambda: upstream.accepted == STALLED)
                sent = 0

                async def send(client: socket.socket) -> None:
                    nonlocal sent
                    while True:
                        await asyncio.get_running_loop().sock_sendall(client, memoryview(PIECE))
                        sent += len(PIECE)

                sending = [asyncio.create_task(send(client)) for client in clients]
                assert await at_rest(lambda: sent) > 0
                held = (allocated() - before) / STALLED
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)
                assert held < 96 * KIB
