"""A client's connection as a transport: what is written to it, and the ways it ends.

Invariant: an end never destroys what was written before it, unless it is meant to: a reset shows the client
that an answer was cut.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from socket import SO_LINGER, SOL_SOCKET

from gateway.proxy.outbox import Outbox
from gateway.proxy.reading import RequestReader

# struct linger {on, 0 s}: closing sends RST and drops what was not sent.
_RESET = struct.pack("ii", 1, 0)
# After a refusal the rest of the request is read and dropped for so long, so that the answer is not destroyed
# by the reset that closing with unread data sends (RFC 9112 section 9.6); nginx's lingering_timeout is 5 s.
_LINGER = 5.0


class ClientTransport(RequestReader):
    """The writing half of a client's connection; the serving half (serving.py) is built on it."""

    __slots__ = ("_held", "_unsent", "deadline", "lingering", "outbox")

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox, *, max_head: int) -> None:
        super().__init__(loop, max_head=max_head)
        self.outbox = outbox
        # Bytes that wait for the end of the event loop's turn.
        self._held = b""
        # When the current wait ends, time.monotonic().
        self.deadline = 0.0
        # The answer is written; what still comes in is dropped.
        self.lingering = False
        # Bytes of an answer the client had not taken when the deadline last passed.
        self._unsent = sys.maxsize

    @property
    def writable(self) -> bool:
        return not self._paused

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return 0 if self.transport is None else len(self._held) + self.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if self._held:
            self.flush()
        if self.transport is not None:
            self.transport.write(data)

    def post(self, data: bytes) -> None:
        """Write by the end of the event loop's turn: the last bytes of an answer."""
        if self._held:
            self.flush()
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

    def pause_client(self) -> None:
        self._pause_transport_reading()

    def resume_client(self) -> None:
        self._resume_transport_reading()

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

    def linger(self) -> None:
        """Say that nothing more comes, and read a while what the client still sends."""
        if self.transport is None:
            return
        self.lingering = True
        self.deadline = time.monotonic() + _LINGER
        self._reading_paused = self._buffer_paused = False
        self._resume_transport_reading()
        # TLS has no half-close; the answer's Connection: close must do.
        self.write_eof()

    def close_within(self, seconds: float) -> None:
        """Close once what was written is sent; the deadline ends the wait for that."""
        if self.transport is not None:
            self.flush()
            self.deadline = time.monotonic() + seconds
            self.transport.close()
