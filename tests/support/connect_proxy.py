"""A corporate HTTP proxy: CONNECT, optionally with a password, and TLS inspection with its own CA.

It answers for every name and sends the decrypted bytes to one local port, so that a test can let a program
"reach AWS" on a machine that cannot. It runs in a separate thread, so that blocking clients can use it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.support.certificates import Authority, accepting

# A client that is silent for this long is gone (seconds).
_IDLE = 60.0


class ConnectProxy:
    """`backend`: the port that receives everything. `password`: the required "user:password", or None."""

    def __init__(self, folder: Path, backend: int, *, password: str | None = None) -> None:
        self.authority = Authority(folder, "corporate-root")
        self.port = 0
        # The requested targets as "host:port", and the number of requests refused for their password.
        self.connected: list[str] = []
        self.refused = 0
        self._folder = folder
        self._backend = backend
        self._password = password

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hosts(self) -> set[str]:
        return {each.rpartition(":")[0] for each in self.connected}

    @contextlib.contextmanager
    def running(self) -> Iterator[ConnectProxy]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="connect-proxy")
        thread.start()
        try:
            server = asyncio.run_coroutine_threadsafe(self._start(), loop).result(60)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(server), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(60)
            loop.close()

    async def _start(self) -> asyncio.Server:
        self._served: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._served:
            task.cancel()
        if self._served:
            await asyncio.wait(self._served)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            async with asyncio.timeout(_IDLE), _closing(writer):
                await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            self._served.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        if method != "CONNECT":
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return await writer.drain()
        if self._password is not None:
            wanted = "Basic " + base64.b64encode(self._password.encode()).decode()
            if f"\r\nproxy-authorization: {wanted.lower()}\r\n" not in head.lower() or wanted not in head:
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return await writer.drain()
        self.connected.append(target)
        host = target.rpartition(":")[0]
        pair = await asyncio.to_thread(self.authority.sign, host, host)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        await writer.start_tls(accepting(pair))
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._backend)
        async with _closing(inner_writer), asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, inner_writer))
            both.create_task(_copy(inner_reader, writer))
        return None


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
