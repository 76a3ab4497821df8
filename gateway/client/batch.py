"""Batched token verification: new tokens of one turn of the event loop are verified together at its end.

Work done for many in a row finds its code and tables in the CPU's caches. Verified one by one, between
everything else that a request needs, new tokens cost a tenth more (docs/performance.md).

Invariant: each request ends as it would alone, whatever happens to the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.gate.authenticate import Verification
from gateway.observe.bugs import report
from gateway.upstream.outbox import Outbox

# At 50 µs each, the first of a batch waits for the last: a turn may bring a thousand.
MOST = 32


class Batched(Protocol):
    """A request whose token is verified in a batch.

    One implementation, because requests in service (serving.py), which join batches, stand above them.
    """

    def take(self, step: Callable[[], None]) -> None:
        """Run this step of the verification; if it raises, resume `judge` with the exception at once."""

    def go_on(self) -> None:
        """Resume `judge`: all steps have run."""

    def abort(self) -> None: ...


Item = tuple[Batched, Verification]


class Batch:
    """The verifications of one turn of the event loop. Owned by the server."""

    __slots__ = ("_outbox", "waiting")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.waiting: list[Item] = []

    def add(self, request: Batched, verification: Verification) -> None:
        """Add a request, which is resumed at the end of this turn or earlier."""
        waiting = self.waiting
        if not waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        waiting.append((request, verification))
        if len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        # A client that opens many connections at once may send one new token on all of them.
        one_each = {item[1].digest: item for item in waiting}
        # In these loops, one function call more costs a tenth of a microsecond per token.
        for request, verification in one_each.values():
            try:
                request.take(verification.decode)
            except Exception as bug:  # noqa: BLE001 - a bug with one must not reach the others
                _end(request, bug)
        for request, verification in one_each.values():
            try:
                request.take(verification.verify)
            except Exception as bug:  # noqa: BLE001 - as above
                _end(request, bug)
        for request, _ in one_each.values():
            try:
                request.go_on()
            except Exception as bug:  # noqa: BLE001 - as above
                _end(request, bug)
        if len(one_each) < len(waiting):
            self._look_again(item for item in waiting if one_each[item[1].digest] is not item)
        # Their output leaves in this turn too.
        self._outbox.flush()

    def _look_again(self, items: Iterable[Item]) -> None:
        """Resume requests whose token another one had too: it is cached by now, or was refused."""
        for request, verification in items:
            try:
                request.take(verification.look_again)
                request.go_on()
            except Exception as bug:  # noqa: BLE001 - as above
                _end(request, bug)

    def __repr__(self) -> str:
        return f"<Batch of {len(self.waiting)}>"


def _end(request: Batched, bug: Exception) -> None:
    report("a request with a new token failed", bug)
    try:
        request.abort()
    except Exception as another:  # noqa: BLE001 - its deadline will end it
        report("a request with a new token failed", another)
