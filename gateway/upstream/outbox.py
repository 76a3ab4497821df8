"""What one turn of the event loop has to say, sent together at its end.

A write to a peer that sleeps wakes it, and an interrupt of another CPU costs the writer 3 to 10 µs, more in a
virtual machine (docs/performance.md). Said one by one, with the work on a request between them, nearly every
write wakes somebody who has just fallen asleep; said together, the first one does.

Invariant: what is held leaves within the same turn, and before anything else happens to its connection.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

# More than this are not held back: of 32 writes the one that wakes costs nothing any more, while of the
# thousand that one turn may bring the first would wait for the last, 40 ms.
MOST = 32


class Flushable(Protocol):
    """A connection with something to say. Implementations: ClientWriter, UpstreamConnection."""

    def flush(self) -> None:
        """Write what is held, if anything still is. Raises nothing."""


class Outbox:
    """The holders of one event loop's turn; its owner is the server."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: list[Flushable] = []

    def add(self, holder: Flushable) -> None:
        """`holder` is flushed at the end of this turn, or earlier."""
        holders = self._holders
        if not holders:
            asyncio.get_running_loop().call_soon(self.flush)
        holders.append(holder)
        if len(holders) >= MOST:
            self.flush()

    def flush(self) -> None:
        holders, self._holders = self._holders, []
        for holder in holders:
            holder.flush()
