"""Socket options and queries beyond reading and writing, for connections to the upstream and to clients.

Invariant: nothing here raises for a socket that is closed or not TCP; it then has no effect.
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

# struct linger {on, 0 s}: closing sends RST and discards unsent data, which leaves no port in TIME_WAIT
# (RFC 9293 section 3.6.1).
RESET = struct.pack("ii", 1, 0)
# Seconds without an acknowledgement after which a connection is dead: five retransmissions. Linux's default
# is 15 minutes (tcp_retries2), during which each pooled connection to a vanished host would cost a request
# its timeout.
SILENT_DEATH = 10.0
# The same for a connection that only waits for a response: idle time, interval and number of keep-alive
# probes.
_PROBE_AFTER, _PROBE_EVERY, _PROBES = 10, 5, 3
# Bytes per read of data left behind a reset.
_PIECE = 64 * 1024


def _socket_of(transport: asyncio.BaseTransport) -> Any:
    """Return the socket, or None. (asyncio's and uvloop's substitutes have no common type.)"""
    sock = transport.get_extra_info("socket")
    return sock if sock is not None and sock.fileno() >= 0 else None


def watch(transport: asyncio.BaseTransport) -> None:
    """Let the kernel detect a vanished host (RFC 5482, RFC 9293 section 3.8.4)."""
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
    """Allow a live upstream to keep its window closed for this long: Linux counts that as silence too."""
    sock = _socket_of(transport)
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            milliseconds = int(max(seconds, SILENT_DEATH) * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def reset_at_close(transport: asyncio.BaseTransport) -> None:
    """Close with a reset: no data can be lost, and no port stays in TIME_WAIT."""
    sock = _socket_of(transport)
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def send_room(transport: asyncio.BaseTransport) -> int:
    """Return the free bytes of the send buffer; part of them is the kernel's own overhead."""
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
    """Return whether the upstream has closed, even if the event loop has not seen it yet."""
    sock = _socket_of(transport)
    if sock is None:
        return True
    looking = select.poll()
    looking.register(sock.fileno(), select.POLLRDHUP)
    return bool(looking.poll(0))


def left_behind(transport: asyncio.BaseTransport) -> Iterator[bytes]:
    """Yield data that was received before a connection broke, and not read yet (Linux keeps it)."""
    sock = _socket_of(transport)
    while sock is not None and sock.fileno() >= 0:
        try:
            data = os.read(sock.fileno(), _PIECE)
        except OSError:
            return
        if not data:
            return
        yield data
