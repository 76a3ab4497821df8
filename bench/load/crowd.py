"""Idle connections: opened, used once, then silent until the end.

`python -m bench.load.crowd PLAN` opens `plan.connections` of them, prints OPEN, answers each input line with
the number still open, and ends with its input. With `plan.upgrade` they are WebSockets, each having sent one
frame and received it back.

Invariant: OPEN is printed only if every connection got the right answer.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load.lines import ask, connect, raise_file_limit, render
from bench.load.plan import LoadPlan
from bench.processes import BenchError, on_cpus

OPEN = "open"
# One text frame, masked as a client's must be (RFC 6455 section 5.3), and unmasked as the server returns it.
_MASK = b"\x01\x02\x03\x04"
_TEXT = b"hello"
_FRAME = b"\x81" + bytes([0x80 | len(_TEXT)]) + _MASK + bytes(c ^ _MASK[i % 4] for i, c in enumerate(_TEXT))
_ECHO = b"\x81" + bytes([len(_TEXT)]) + _TEXT


def open_one(plan: LoadPlan, token: str, index: int) -> socket.socket:
    """Open and use one connection. Raises OSError or ValueError if the answer is wrong."""
    sock = connect(plan.port, index)
    # Closed by a reset: no port stays in TIME_WAIT for the next round.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request, wanted = render(plan, token), b"HTTP/1.1 200 "
    if plan.upgrade:
        key = base64.b64encode(os.urandom(16))
        lines = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        request = request[:-2] + lines + b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
        wanted = b"HTTP/1.1 101 "
    answer = ask(sock, request)
    if not answer.startswith(wanted):
        raise ValueError(f"connection {index} got {answer[:40]!r}")
    if plan.upgrade:
        sock.sendall(_FRAME)
        if sock.recv(len(_ECHO), socket.MSG_WAITALL) != _ECHO:
            raise ValueError(f"WebSocket {index} did not echo")
    return sock


def alive(sock: socket.socket) -> bool:
    """Return whether the peer keeps a non-blocking socket open."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main(plan: LoadPlan) -> None:
    raise_file_limit()
    token = Path(plan.tokens).read_text().split()[0]
    sockets = [open_one(plan, token, index) for index in range(plan.connections)]
    for sock in sockets:
        sock.setblocking(False)
    print(OPEN, flush=True)
    for _ in sys.stdin:
        print(sum(map(alive, sockets)), flush=True)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The open connections, as seen by the work."""

    size: int
    process: subprocess.Popen[str]

    def require_alive(self) -> None:
        """Raise BenchError if any of them was closed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        left = int(self.process.stdout.readline() or 0)
        if left != self.size:
            raise BenchError(f"{self.size - left} of {self.size} connections were closed meanwhile")


@contextlib.contextmanager
def crowd(plan: LoadPlan, cpus: frozenset[int]) -> Iterator[Crowd]:
    """Keep the connections open during the block. Raises BenchError."""
    command = [sys.executable, "-m", "bench.load.crowd", plan.to_json()]
    with on_cpus(cpus):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline().strip() != OPEN:
            raise BenchError(f"the connections could not be opened: {process.stderr.read().strip()[-300:]}")
        yield Crowd(plan.connections, process)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main(LoadPlan(**json.loads(sys.argv[1])))
