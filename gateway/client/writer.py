"""The writing half of a client's connection: buffers until the end of the turn, flow control, closing.

Invariant: closing never destroys data written before, except for a deliberate reset, which shows the client
that an answer was cut.
"""

from __future__ import annotations

import asyncio
import sys
from socket import SO_LINGER, SOL_SOCKET

from gateway.upstream.kernel import RESET, send_room
from gateway.upstream.outbox import Outbox

# Unsent bytes above which nothing more is fetched for this client. asyncio's default of 64 KiB would come on
# top of what the upstream's connection reads at once; nginx's proxy_buffers hold 64 KiB in all.
_HIGH_WATER = 32 * 1024
# Bytes up to which answers of one turn to one client are sent together.
_TOGETHER = 16 * 1024


class ClientWriter:
    """The writer of one client's connection."""

    __slots__ = ("_held", "_unsent", "outbox", "paused", "transport")

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        # None: not connected yet, or closed.
        self.transport: asyncio.Transport | None = None
        # The client does not accept what is written to it.
        self.paused = False
        # Bytes to be written at the end of the event loop's turn.
        self._held = b""
        # Unsent bytes at the last call of `still_sending`.
        self._unsent = sys.maxsize

    def connected(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        # Resumes only when empty: uvloop keeps each piece until its last byte is sent.
        transport.set_write_buffer_limits(_HIGH_WATER, 0)

    def limit(self, most: int) -> None:
        """Set the number of unsent bytes above which nothing more is fetched for this client."""
        if self.transport is not None:
            self.transport.set_write_buffer_limits(most)

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not accepted yet."""
        return 0 if self.transport is None else len(self._held) + self.transport.get_write_buffer_size()

    @property
    def room(self) -> int:
        """Bytes that the kernel accepts at once; 0 if unknown, as with TLS."""
        transport = self.transport
        if transport is None or self.unsent or transport.get_extra_info("ssl_object") is not None:
            return 0
        return send_room(transport)

    def write(self, data: bytes) -> None:
        if self._held:
            self.flush()
        if self.transport is not None:
            self.transport.write(data)

    def post(self, data: bytes) -> None:
        """Write at the end of the event loop's turn: the last bytes of an answer."""
        if self._held:
            self._held += data
            if len(self._held) > _TOGETHER:
                self.flush()
            return
        self._held = data
        self.outbox.add(self)

    def flush(self) -> None:
        held, self._held = self._held, b""
        if held and self.transport is not None and not self.transport.is_closing():
            self.transport.write(held)

    def write_eof(self) -> None:
        self.flush()
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def still_sending(self) -> bool:
        """Return whether a slow client has accepted data since the last call."""
        before, left = self._unsent, self.unsent
        self._unsent = left or sys.maxsize
        return 0 < left < before

    # --- how it ends ---

    def drop(self, *, reset: bool) -> None:
        """Close at once, discarding unsent data; `reset`: visibly to the client."""
        if self.transport is None:
            return
        self.flush()
        sock = self.transport.get_extra_info("socket")
        if reset and sock is not None:
            sock.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
        self.transport.abort()

    def close(self) -> None:
        """Close once everything written is sent."""
        if self.transport is not None:
            self.flush()
            self.transport.close()
