"""What the kernel is asked about connections, to the upstream and to clients, beyond reading and writing.

Invariant: nothing here raises for a socket that is closed or is none of TCP's; then there is nothing to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
from array import array
from collections.abc import Iterator
from typing import Any

# struct linger {on, 0 s}: closing sends RST, and no port waits in TIME_WAIT for a minute (RFC 9293 section
# 3.6.1).
_RESET = struct.pack("ii", 1, 0)
# Seconds without an acknowledgement after which a connection is dead: five retransmissions. Linux itself
# tries for 15 minutes (tcp_retries2), and each pooled connection to a machine that vanished cost a request
# all of its time.
SILENT_DEATH = 10.0
# The same for one that only waits for the upstream's answer: probes after so long, so far apart, so many.
_PROBE_AFTER, _PROBE_EVERY, _PROBES = 10, 5, 3
# Bytes at once of what is left behind a reset.
_PIECE = 64 * 1024


def _socket_of(transport: asyncio.BaseTransport) -> Any:
    """asyncio's and uvloop's stand-ins for sockets share no type; None where there is none."""
    sock = transport.get_extra_info("socket")
    return sock if sock is not None and sock.fileno() >= 0 else None


def watch(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice a machine that vanished (RFC 5482, RFC 9293 section 3.8.4)."""
    sock = _socket_of(transport)
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENT_DEATH * 1000))


def be_patient(transport: asyncio.BaseTransport, seconds: float) -> None:
    """An upstream that is alive may leave its window closed for so long: Linux counts that as silence too."""
    sock = _socket_of(transport)
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            milliseconds = int(max(seconds, SILENT_DEATH) * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def reset_at_close(transport: asyncio.BaseTransport) -> None:
    """Its end will be a reset: nothing is lost by it, and no port waits."""
    sock = _socket_of(transport)
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def send_room(transport: asyncio.BaseTransport) -> int:
    """Bytes that its send buffer has room for; a part of them goes to the kernel's own bookkeeping."""
    sock = _socket_of(transport)
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return 0
    queued = array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
        size: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    except OSError:
        return 0
    return size - queued[0]


def ended(transport: asyncio.BaseTransport) -> bool:
    """Whether the upstream has closed a connection, also where the event loop has not seen it yet."""
    sock = _socket_of(transport)
    if sock is None:
        return True
    looking = select.poll()
    looking.register(sock.fileno(), select.POLLRDHUP)
    return bool(looking.poll(0))


def left_behind(transport: asyncio.BaseTransport) -> Iterator[bytes]:
    """What was received on a connection before it broke, and not read yet (Linux keeps it)."""
    sock = _socket_of(transport)
    while sock is not None and sock.fileno() >= 0:
        try:
            data = os.read(sock.fileno(), _PIECE)
        except OSError:
            return
        if not data:
            return
        yield data
