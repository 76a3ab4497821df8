"""Client sockets without an event loop, for many connections and exact timing.

Invariant: an answer is complete according to its Content-Length; one without it is an error, not a guess.
"""

from __future__ import annotations

import re
import resource
import socket

from bench.load.plan import LoadPlan

# Linux has some 28,000 ports per source address and destination, fewer while old ones are in TIME_WAIT.
PER_SOURCE_ADDRESS = 5_000
# linux/in.h; a constant only since Python 3.12. Without it, bind() reserves the port for one address.
IP_BIND_ADDRESS_NO_PORT = 24

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def render(plan: LoadPlan, token: str) -> bytes:
    host = f"127.0.0.1:{plan.port}"
    more = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
    return f"GET {plan.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


def raise_file_limit() -> None:
    """Raise the limit of open files as far as allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def source_address(index: int) -> str:
    """Return the loopback source address of connection number `index`."""
    return f"127.0.0.{1 + index // PER_SOURCE_ADDRESS}"


def connect(port: int, index: int, *, timeout: float = 10.0) -> socket.socket:
    """Return a blocking connection to 127.0.0.1. Raises OSError."""
    sock = socket.socket()
    try:
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((source_address(index), 0))
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


def answer_size(data: bytes) -> int | None:
    """Return the size of the answer at the start of `data`, head and body; None if its head is incomplete.

    Raises ValueError for an answer without Content-Length.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if data.startswith(b"HTTP/1.1 101"):
        return end + 4
    found = _LENGTH.search(data, 0, end + 2)
    if found is None:
        raise ValueError(f"an answer without Content-Length: {data[:40]!r}")
    return end + 4 + int(found.group(1))


def ask(sock: socket.socket, request: bytes) -> bytes:
    """Send a request and return its whole answer, blocking. Raises OSError or ValueError."""
    sock.sendall(request)
    data = b""
    while (size := answer_size(data)) is None or len(data) < size:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError(f"closed after {len(data)} bytes of an answer")
        data += more
    return data
