"""Writes of one turn of the event loop, sent together at its end.

A write to a sleeping peer wakes it, and the interrupt of another CPU costs the writer 3 to 10 µs, more in a
virtual machine (docs/performance.md). Written one by one, with work on a request in between, nearly every
write wakes a peer that has just gone to sleep; written together, only the first one does.

Invariant: what is held is written within the same turn, and before anything else happens to its connection.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

# The number of writes held: of 32, the wake-up costs nothing any more, but of the thousand that one turn may
# bring, the first would wait 40 ms for the last.
MOST = 32


class Flushable(Protocol):
    """A connection with data to write. Implementations: ClientWriter, UpstreamConnection."""

    def flush(self) -> None:
        """Write what is held, if anything is. Raises nothing."""


class Outbox:
    """The connections to flush in one turn. Owned by the server."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: list[Flushable] = []

    def add(self, holder: Flushable) -> None:
        """Flush `holder` at the end of this turn, or earlier."""
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
