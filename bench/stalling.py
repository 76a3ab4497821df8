"""The upstream for the attacks: `python -m bench.stalling PORT`, on one event loop.

It makes a proxy hold data: `/large` answers more than any buffer accepts, `/deaf` never reads a body,
`/silent` never answers, `/drain` reads a body and does not answer, an upgrade of `/frames` sends 20 MB of
empty frames, any other upgrade sends 16 MiB and reads nothing. `/accepted` answers the number of connections
made to it. Everything else gets the usual constant.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, cast

from bench import upstream
from bench.bulk import GUID
from bench.load.lines import raise_file_limit
from bench.processes import Process, answers, free_port

LARGE, DEAF, SILENT, DRAIN, FRAMES, ACCEPTED = (
    "/large",
    "/deaf",
    "/silent",
    "/drain",
    "/frames",
    "/accepted",
)
_LARGE_BYTES = 64 * 1024 * 1024
# An unmasked text frame without payload (RFC 6455 section 5.2), and the bytes that the attack sends.
_EMPTY_FRAMES = b"\x81\x00" * 512 * 1024
_FRAME_BYTES = 20_000_000
# More than the buffers of both kernels hold, for a WebSocket that is not read.
_SOCKET_BYTES = 16 * 1024 * 1024
_PIECE = bytes(64 * 1024)
# Small, so that the proxy holds unread data, not this process's kernel buffers.
_SMALL_BUFFER = 16 * 1024


class Stalling(asyncio.Protocol):
    """One connection of the proxy."""

    accepted: ClassVar[int] = 0

    def __init__(self) -> None:
        self._head = b""
        self._piece = b""
        self._left = 0
        self._paused = False
        self._swallowing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Stalling.accepted += 1
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._swallowing:
            return
        *heads, self._head = (self._head + data).split(b"\r\n\r\n")
        for head in heads:
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        method, target = head.split(b" ", 2)[:2]
        path = target.decode()
        if b"\r\nupgrade:" in head.lower():
            # Some proxies write names in lower case.
            key = head[head.lower().index(b"\r\nsec-websocket-key: ") + 21 :].split(b"\r\n")[0]
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(hashlib.sha1(key + GUID).digest())
            )
            self._swallowing = True
            if path == FRAMES:
                self._send(_EMPTY_FRAMES, _FRAME_BYTES)
            else:
                self._transport.pause_reading()
                self._send(_PIECE, _SOCKET_BYTES)
        elif path == LARGE:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _LARGE_BYTES)
            self._send(_PIECE, _LARGE_BYTES)
        elif path == DEAF:
            self._transport.pause_reading()
        elif path in {SILENT, DRAIN}:
            self._swallowing = True
        else:
            body = str(Stalling.accepted).encode() if path == ACCEPTED else upstream.body()
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(answer if method == b"HEAD" else answer + body)

    def _send(self, piece: bytes, size: int) -> None:
        self._piece, self._left = piece, size
        while self._left > 0 and not self._paused:
            self._transport.write(self._piece[: self._left])
            self._left -= len(self._piece)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send(self._piece, self._left)


def start(stack: ExitStack, directory: Path, cpus: frozenset[int]) -> int:
    """Start it, to be ended with the stack; return its port once it answers."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "bench.stalling", str(port)]
    process = stack.enter_context(Process("the upstream", command, cpus=cpus, log=directory / "log"))
    process.wait_until(lambda: answers(port, upstream.PATH))
    return port


async def _serve(port: int) -> None:
    raise_file_limit()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by accepted connections.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _SMALL_BUFFER)
        listening.bind(("127.0.0.1", port))
        server = await asyncio.get_running_loop().create_server(Stalling, sock=listening, backlog=4096)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
