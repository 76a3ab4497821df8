"""Requests of one turn of the event loop whose tokens are new: verified together at its end, step by step.

What is done for many in a row finds its code and tables in the CPU's caches. Verified one by one, with all
else between them that a request needs, new tokens cost a tenth more (docs/performance.md).

Invariant: each request ends as it would alone, whatever becomes of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.gate.authenticate import Verification
from gateway.http.request import Request
from gateway.observe.bugs import report
from gateway.upstream.outbox import Outbox

# The first one waits for the last, 50 µs each: not for the thousand that one turn may bring.
MOST = 32


class Waiting(Protocol):
    """A client's connection whose request waits for its verification."""

    def try_step(self, request: Request, step: Callable[[], None]) -> None:
        """Take this step of the verification; if it raises, the request is refused, and waits no more."""

    def verified(self, request: Request, verification: Verification | None) -> None:
        """Go on with the request: all steps but the last are taken. None: none are, but meanwhile another
        request with the same token has been judged."""

    def abort(self) -> None: ...


Item = tuple[Waiting, Request, Verification]


class Batch:
    """What is verified at the end of an event loop's turn; its owner is the server."""

    __slots__ = ("_outbox", "_waiting")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[Item] = []

    def add(self, connection: Waiting, request: Request, verification: Verification) -> None:
        """`connection` is called back at the end of this turn, or earlier."""
        waiting = self._waiting
        if not waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        waiting.append((connection, request, verification))
        if len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        # A client that opens many connections at once may send one new token on all of them.
        one_each = {item[2].digest: item for item in waiting}
        for step in (_decode, _verify, _conclude):
            for item in one_each.values():
                _take(step, item)
        if len(one_each) < len(waiting):
            for item in waiting:
                if one_each[item[2].digest] is not item:
                    _take(_judge_again, item)
        # What all of them have to say leaves in this turn too.
        self._outbox.flush()

    def __repr__(self) -> str:
        return f"<Batch of {len(self._waiting)}>"


def _decode(connection: Waiting, request: Request, verification: Verification) -> None:
    connection.try_step(request, verification.decode)


def _verify(connection: Waiting, request: Request, verification: Verification) -> None:
    connection.try_step(request, verification.verify)


def _conclude(connection: Waiting, request: Request, verification: Verification) -> None:
    connection.verified(request, verification)


def _judge_again(connection: Waiting, request: Request, _: Verification) -> None:
    connection.verified(request, None)


def _take(step: Callable[[Waiting, Request, Verification], None], item: Item) -> None:
    try:
        step(*item)
    except Exception as bug:  # noqa: BLE001 - a bug with one must not reach the others
        report("a request whose token is new broke off", bug)
        try:
            item[0].abort()
        except Exception as another:  # noqa: BLE001 - nor must one in ending it: its deadline will
            report("a request whose token is new broke off", another)
