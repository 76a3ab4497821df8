"""Flow control of the reading side: how much is read from a client at once, and when reading pauses.

Invariant: data that was read but cannot go on is held once, here; everything else stays in the kernel, which
makes the client wait.
"""

from __future__ import annotations

import asyncio

from gateway.client.reader import RequestReader

# Bytes per read: of requests and tunnels, and of bodies, which come by the megabyte. A peer that does not
# read makes us hold one read and one write of these.
_READ, _READ_BODY = 16 * 1024, 32 * 1024
# The same for a body whose upstream's kernel buffer has room for twice as much: nothing of it is held here.
_READ_BULK = 256 * 1024
# Bytes of the following requests read while one is served: reading detects a client that leaves.
_AHEAD = 16 * 1024


class ReadBuffer:
    """The buffer that the kernel writes client data to. One per event loop: each connection takes its data
    out before anything else happens."""

    __slots__ = ("body", "bulk", "heads")

    def __init__(self) -> None:
        self.bulk = memoryview(bytearray(_READ_BULK))
        self.heads, self.body = self.bulk[:_READ], self.bulk[:_READ_BODY]


class ReadFlow:
    """The flow control of one connection."""

    __slots__ = ("_buffer", "_transport", "paused", "room", "view")

    def __init__(self, buffer: ReadBuffer) -> None:
        self._buffer = buffer
        # The part of the buffer for the next read.
        self.view = buffer.heads
        self.paused = False
        # Bytes that the kernel towards the upstream accepts at once, less those read since; 0: unknown.
        self.room = 0
        # None: not connected yet, or reading has ended.
        self._transport: asyncio.Transport | None = None

    def connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def end(self) -> None:
        """Stop: no more data is expected."""
        self._transport = None

    def pause(self) -> None:
        if not self.paused and self._transport is not None:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.paused and self._transport is not None:
            self.paused = False
            self._transport.resume_reading()

    def stream(self) -> None:
        """Switch to large reads: no request head is expected."""
        self.view = self._buffer.body
        self.resume()

    def tunnel(self) -> None:
        """Switch to small reads: data is passed on at once, or waits here until it can."""
        self.view = self._buffer.heads
        self.resume()

    def ahead(self, reader: RequestReader) -> None:
        """Pause if too much arrives while a request is served and its body is complete."""
        if reader.pending > _AHEAD:
            self.pause()

    @property
    def in_bulk(self) -> bool:
        """Whether there is room for two of the largest reads."""
        return self.room >= 2 * _READ_BULK

    def of_body(self, reader: RequestReader) -> bool:
        """Read as much as the body has room for; return whether pending data fits into it."""
        pending = reader.pending
        if not reader.in_body:
            self.view, self.room = self._buffer.heads, 0
            if pending > _AHEAD:
                self.pause()
            else:
                self.resume()
            return False
        if reader.full:
            # At once: uvloop may read again in the same turn, and each small rest would be written
            # separately.
            self.pause()
            return False
        self.view = self._buffer.bulk if self.in_bulk else self._buffer.body
        if not pending:
            self.resume()
        return pending > 0
