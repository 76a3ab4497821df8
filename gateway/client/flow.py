"""How much of a client's bytes is read at once, and when none are: the reading side's flow control.

Invariant: what is read and cannot go on is held once, here; all else stays with the kernel, which tells the
client to wait.
"""

from __future__ import annotations

import asyncio

from gateway.client.reader import RequestReader

# Bytes read at once: of requests and tunnels, and of bodies, which come by the megabyte. What a peer that
# does not read keeps here is one read and one write of them.
_READ, _READ_BODY = 16 * 1024, 32 * 1024
# The same of a body whose upstream's kernel buffer has room for twice as much: nothing of it stays here.
_READ_BULK = 256 * 1024
# Bytes of the next requests that are read while one is served: then a client that leaves is noticed.
_AHEAD = 16 * 1024


class ReadBuffer:
    """Where the kernel writes what clients sent; one for all connections of an event loop, for each takes out
    what it read before anything else happens."""

    __slots__ = ("body", "bulk", "heads")

    def __init__(self) -> None:
        self.bulk = memoryview(bytearray(_READ_BULK))
        self.heads, self.body = self.bulk[:_READ], self.bulk[:_READ_BODY]


class ReadFlow:
    """One connection's."""

    __slots__ = ("_buffer", "_transport", "paused", "room", "view")

    def __init__(self, buffer: ReadBuffer) -> None:
        self._buffer = buffer
        # Where the kernel writes what comes next.
        self.view = buffer.heads
        self.paused = False
        # Bytes that the kernel towards the upstream takes at once, less what was read since that was known;
        # 0 where it is not known.
        self.room = 0
        # None: not connected yet, or nothing is to be read any more.
        self._transport: asyncio.Transport | None = None

    def connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def end(self) -> None:
        """Nothing more comes."""
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
        """What comes is no head: read much at once."""
        self.view = self._buffer.body
        self.resume()

    def tunnel(self) -> None:
        """What comes goes on at once, or waits here until it can."""
        self.view = self._buffer.heads
        self.resume()

    def ahead(self, reader: RequestReader) -> None:
        """Something came while a request is served, and is none of its body."""
        if reader.pending > _AHEAD:
            self.pause()

    @property
    def in_bulk(self) -> bool:
        """Whether there is room for all that one read may bring, twice."""
        return self.room >= 2 * _READ_BULK

    def of_body(self, reader: RequestReader) -> bool:
        """Read as much as the request's body has room for; whether what is here has room in it."""
        pending = reader.pending
        if not reader.in_body:
            self.view, self.room = self._buffer.heads, 0
            if pending > _AHEAD:
                self.pause()
            else:
                self.resume()
            return False
        if reader.full:
            # At once: uvloop reads on in the same turn, and every small rest would be written by itself.
            self.pause()
            return False
        self.view = self._buffer.bulk if self.in_bulk else self._buffer.body
        if not pending:
            self.resume()
        return pending > 0
