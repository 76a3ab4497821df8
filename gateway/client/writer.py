"""What is written to a client's connection: held until the turn's end, counted, flow-controlled, ended.

Invariant: an end never destroys what was written before it, unless it is meant to: a reset shows the client
that an answer was cut.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from socket import SO_LINGER, SOL_SOCKET

from gateway.upstream.kernel import send_room
from gateway.upstream.outbox import Outbox

# struct linger {on, 0 s}: closing sends RST and drops what was not sent.
_RESET = struct.pack("ii", 1, 0)
# Bytes that the kernel has not taken beyond which nothing more is fetched for this client. asyncio's own 64
# KiB come on top of what the upstream's connection reads at once; nginx's proxy_buffers hold 64 KiB in all.
_HIGH_WATER = 32 * 1024
# Answers of one turn to one client leave together up to so many bytes.
_TOGETHER = 16 * 1024


class ClientWriter:
    """The writing half of a client's connection."""

    __slots__ = ("_held", "_unsent", "outbox", "paused", "transport")

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        # None: not connected yet, or no more.
        self.transport: asyncio.Transport | None = None
        # The client does not take what is written to it.
        self.paused = False
        # Bytes that wait for the end of the event loop's turn.
        self._held = b""
        # Bytes of an answer the client had not taken when that was last asked.
        self._unsent = sys.maxsize

    def connected(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        # Goes on when nothing is left: uvloop keeps each piece whole until the last byte of it is sent.
        transport.set_write_buffer_limits(_HIGH_WATER, 0)

    def limit(self, most: int) -> None:
        """Fetch nothing more for this client while more bytes than that wait for it."""
        if self.transport is not None:
            self.transport.set_write_buffer_limits(most)

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return 0 if self.transport is None else len(self._held) + self.transport.get_write_buffer_size()

    @property
    def room(self) -> int:
        """Bytes that the kernel takes at once; 0 where nobody knows: behind TLS."""
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
        """Write by the end of the event loop's turn: the last bytes of an answer."""
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
        """Whether a slow client has taken some of its answer since this was last asked."""
        before, left = self._unsent, self.unsent
        self._unsent = left or sys.maxsize
        return 0 < left < before

    # --- how it ends ---

    def drop(self, *, reset: bool) -> None:
        """End it at once, whatever is unsent; `reset`: so that the client sees it was no proper end."""
        if self.transport is None:
            return
        self.flush()
        sock = self.transport.get_extra_info("socket")
        if reset and sock is not None:
            sock.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self.transport.abort()

    def close(self) -> None:
        """Close once what was written is sent."""
        if self.transport is not None:
            self.flush()
            self.transport.close()
