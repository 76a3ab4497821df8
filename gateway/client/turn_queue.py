"""A fair queue of connections that have more work than one turn of the event loop allows.

A client that pipelines requests without pause, or sends a body in chunks of one byte, causes more work with
one read than all others together. So a connection does a little at once and queues for the rest; the queue as
a whole gets a few milliseconds of each turn, whatever its length.

Invariant: first come, first served; a connection is queued once at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Protocol

from gateway.observe.bugs import report

# Seconds per turn of the event loop for the queue: several turns pass between a request and its answer, and
# no client shall wait more than 50 ms in all of them.
_SLICE = 0.002


class Queued(Protocol):
    """A connection with more work to do.

    One implementation, because the client's connection (connection.py), which queues, stands above the queue.
    """

    def go_on(self) -> None:
        """Do a part of the work, and join the queue again if there is more. Raises nothing but bugs."""

    def abort(self) -> None: ...


class Turns:
    """The queue. Owned by the server."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: deque[Queued] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def join(self, waiting: Queued) -> None:
        """Queue a connection; its turn comes in one of the next turns of the event loop."""
        if not self._line:
            asyncio.get_running_loop().call_soon(self._run)
        self._line.append(waiting)

    def _run(self) -> None:
        line, until = self._line, monotonic() + _SLICE
        for _ in range(len(line)):
            waiting = line[0]
            try:
                waiting.go_on()
            except Exception as bug:  # noqa: BLE001 - a bug with one must not reach the others
                report("a connection failed in its turn", bug)
                waiting.abort()
            # Only now: a connection that joins meanwhile must find the queue not empty.
            line.popleft()
            if monotonic() > until:
                break
        if line:
            asyncio.get_running_loop().call_soon(self._run)
