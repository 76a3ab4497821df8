"""The upstream for large bodies and WebSockets: `python -m bench.bulk PORT`, with a thread per connection.

`GET /down/N` answers N bytes, `PUT /up/N` reads the body and answers its size, an upgrade answers 101 and
echoes text frames, /missing is a 404, everything else gets the usual constant. Blocking calls on large
buffers: per byte, that is the kernel's copy and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from bench import upstream
from bench.load.lines import raise_file_limit
from bench.processes import Process, answers, free_port

DOWN = "/down/"
UP = "/up/"
MISSING = "/missing"
PIECE = 1024 * 1024
# RFC 6455 section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# A thread needs a few Python frames, not the default of 8 MiB of address space.
_STACK = 256 * 1024


def start(stack: ExitStack, directory: Path, cpus: frozenset[int]) -> int:
    """Start it, to be ended with the stack; return its port once it answers."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "bench.bulk", str(port)]
    process = stack.enter_context(Process("the upstream", command, cpus=cpus, log=directory / "log"))
    process.wait_until(lambda: answers(port, upstream.PATH))
    return port


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _serve(sock: socket.socket, zeros: memoryview) -> None:
    """Serve requests one by one until the client closes."""
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = sock.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                data = _one(sock, head, data, zeros)
        except OSError:
            return  # the client closed in the middle


def _one(sock: socket.socket, head: bytes, data: bytes, zeros: memoryview) -> bytes:
    """Answer a request; return the data behind it."""
    path = head.split(b" ", 2)[1].decode()
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if path.startswith(DOWN):
        size = int(path.removeprefix(DOWN))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for offset in range(0, size, PIECE):
            sock.sendall(zeros[: min(PIECE, size - offset)])
    elif path.startswith(UP):
        sock.sendall(_answer(json.dumps({"received": _swallow(sock, fields, data)}).encode()))
        return b""
    elif fields.get(b"upgrade", b"").lower() == b"websocket":
        accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        _echo(sock, data)
    elif path == MISSING:
        sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    else:
        sock.sendall(_answer(upstream.body()))
    return data


def _swallow(sock: socket.socket, fields: dict[bytes, bytes], data: bytes) -> int:
    """Read and discard a body with a length; return its size, 0 without a length."""
    left = int(fields.get(b"content-length", b"0")) - len(data)
    received, room = len(data), bytearray(PIECE)
    while left > 0:
        count = sock.recv_into(room, min(PIECE, left))
        if not count:
            raise ConnectionError
        left -= count
        received += count
    return received


def _echo(sock: socket.socket, data: bytes) -> None:
    """Echo small masked frames unmasked (RFC 6455 section 5.2) until the client closes."""
    while True:
        while len(data) < 6 or len(data) < 6 + (data[1] & 0x7F):
            more = sock.recv(65536)
            if not more:
                raise ConnectionError
            data += more
        size = data[1] & 0x7F
        if size > 125:
            raise ConnectionError
        mask, text, data = data[2:6], data[6 : 6 + size], data[6 + size :]
        sock.sendall(bytes([0x81, size]) + bytes(c ^ mask[i % 4] for i, c in enumerate(text)))


def main(port: int) -> None:
    raise_file_limit()
    threading.stack_size(_STACK)
    zeros = memoryview(bytes(PIECE))
    with socket.create_server(("127.0.0.1", port), backlog=4096) as server:
        while True:
            sock, _ = server.accept()
            threading.Thread(target=_serve, args=(sock, zeros), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
