"""HTTP as bytes: a scripted upstream, and a client that sends any bytes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast


def _most(buffer: str) -> int:
    """Return the third of the kernel's three sizes (tcp(7)), or Linux's default if it cannot be read."""
    try:
        return int(Path(f"/proc/sys/net/ipv4/tcp_{buffer}").read_text().split()[2])
    except OSError:
        return 6 * 2**20


# The bytes between two ends that a gateway connects, if one writes and the other does not read: the kernel's
# buffers of two connections, as large as this machine allows, and a little of the gateway's.
UNDER_WAY = 2 * (_most("rmem") + _most("wmem")) + 4 * 2**20

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[["Received", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@contextlib.asynccontextmanager
async def accepting(serve: Serve) -> AsyncIterator[Accept]:
    """Give a server's callback, which serves each connection in a task; cancel these tasks at the end."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        yield accept
    finally:
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Received:
    """One request as received by the upstream. `body` is set for Content-Length and chunked bodies."""

    head: bytes
    body: bytes = b""
    connection: int = 0
    trailers: bytes = b""

    @property
    def request_line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def target(self) -> bytes:
        return self.request_line.split(b" ")[1]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")[1:]
        return [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]

    def all(self, name: str) -> list[bytes]:
        return [value for each, value in self.headers if each.lower() == name.lower().encode()]

    def get(self, name: str) -> bytes | None:
        values = self.all(name)
        return values[0] if values else None


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """Read a body by its framing, chunked or counted; empty without either."""
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (await reader.readline()) not in {b"\r\n", b""}:
                    pass
                return body
            body += await reader.readexactly(size)
            await reader.readexactly(2)
    counted = re.search(rb"(?im)^content-length: *(\d+)", head)
    return await reader.readexactly(int(counted.group(1))) if counted else b""


@dataclass
class Upstream:
    """A TCP or unix server that records each request and answers with `answer`, or by `script`."""

    answer: bytes = OK
    script: Script | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    port: int = 0
    # If set, it serves https.
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def last(self) -> Received:
        return self.requests[-1]

    @contextlib.asynccontextmanager
    async def running(self, unix: Path | None = None) -> AsyncIterator[Upstream]:
        async with accepting(self._serve) as accept:
            if unix is not None:
                server = await asyncio.start_unix_server(accept, unix)
            else:
                server = await asyncio.start_server(accept, "127.0.0.1", self.port, ssl=self.tls)
                self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        number = self.connections
        try:
            while True:
                received = Received(await read_head(reader), connection=number)
                self.requests.append(received)
                if self.script is not None:
                    await self.script(received, reader, writer)
                else:
                    received.body = await read_body(received.head, reader)
                    writer.write(self.answer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            with contextlib.suppress(Exception):
                writer.close()


@dataclass
class Reply:
    """An answer as received by the client. `whole` is False if the connection ended in the middle of it."""

    status: int
    head: bytes
    body: bytes
    whole: bool = True

    def all(self, name: str) -> list[str]:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")[1:]
        pairs = [line.partition(b":") for line in lines]
        return [
            value.strip().decode("latin-1")
            for each, _, value in pairs
            if each.lower() == name.lower().encode()
        ]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None


class Client:
    """A connection to the gateway, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None, at: str = "127.0.0.1") -> Client:
        return cls(*await asyncio.open_connection(at, port, limit=2**20, ssl=tls))

    @property
    def transport(self) -> asyncio.Transport:
        """The transport with both directions; the writer's own type has only writing."""
        # uvloop's transports are not subclasses of asyncio's.
        return cast(asyncio.Transport, self.writer.transport)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        # Unsent data may never be accepted, and the test should end with its own error. A lost TLS transport
        # cannot be aborted (CPython before 3.11.5).
        if kind is not None and not self.writer.transport.is_closing():
            self.writer.transport.abort()
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def reply(self, *, method: str = "GET") -> Reply:
        """Read the next answer. Raises IncompleteReadError if the connection ends before its head does."""
        head = await asyncio.wait_for(read_head(self.reader), 30)
        status = int(head.split(b" ", 2)[1])
        if method == "HEAD" or status in {204, 304} or 100 <= status < 200:
            return Reply(status, head, b"")
        try:
            framed = re.search(rb"(?im)^(transfer-encoding|content-length):", head)
            body = await asyncio.wait_for(read_body(head, self.reader) if framed else self.reader.read(), 30)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return Reply(status, head, b"", whole=False)
        return Reply(status, head, body)

    async def ask(self, data: bytes, *, method: str = "GET") -> Reply:
        await self.send(data)
        return await self.reply(method=method)

    async def closed(self) -> bool:
        """Return whether the gateway closes the connection without sending another byte.

        It waits 9 s, because after 10 s the default header_timeout would close it too.
        """
        try:
            return await asyncio.wait_for(self.reader.read(1), 9) == b""
        except ConnectionError:
            return True


def get(target: str = "/", *lines: str, method: str = "GET", host: str = "api.test") -> bytes:
    """Return a request head; `lines` are whole header lines."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


async def once(
    port: int,
    data: bytes,
    *,
    method: str = "GET",
    tls: ssl.SSLContext | None = None,
    at: str = "127.0.0.1",
) -> Reply:
    """Send one request on a new connection."""
    async with await Client.connect(port, tls, at) as client:
        return await client.ask(data, method=method)
