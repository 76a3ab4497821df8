"""Whose turn it is: connections with more to do than one turn of the event loop may hold stand in line here.

A client that sends requests without pause, or a body in chunks of one byte, gives more work with one read
than all others together. So a connection does a little at once, joins this line for the rest, and the line as
a whole gets a few milliseconds of each turn of the event loop, whatever its length.

Invariant: first come, first served; a connection stands here once at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Protocol

from gateway.observe.bugs import report

# Seconds of one turn of the event loop that go to the line: several turns pass between a request and its
# answer, and nobody else shall wait for more than 50 ms in all of them.
_SLICE = 0.002


class Queued(Protocol):
    """A connection with more to do.

    One implementation, because the client's connection (connection.py) has its turns: it stands above them.
    """

    def go_on(self) -> None:
        """Do a little, and join the line again where that was not all. Raises nothing but bugs."""

    def abort(self) -> None: ...


class Turns:
    """The line; its owner is the server."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: deque[Queued] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def join(self, waiting: Queued) -> None:
        """`waiting` has its turn in one of the next turns of the event loop."""
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
                report("a connection broke off in its turn", bug)
                waiting.abort()
            # Only now: who joins meanwhile finds the line not empty, and this run under way.
            line.popleft()
            if monotonic() > until:
                break
        if line:
            asyncio.get_running_loop().call_soon(self._run)
