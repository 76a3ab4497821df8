"""Sign-outs that did not reach the store: retried until they do, or until the session ends.

They are in force in this gateway meanwhile (ended.py; and here, for sessions that could not be looked up).
Invariant: a sign-out leaves this list only when the store has heard of it, when the session's own time is
over, or with a line in the log.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from gateway.observe.logs import Logger
from gateway.sessions.replicas import StoreUnavailable
from gateway.sessions.session import Session
from gateway.sessions.stores import hashed

# Seconds between two attempts: a store that is back hears of it within a second; one that is away is not even
# asked (gateway/redis/redis_client.py).
_PAUSE = 1.0
# Half a kilobyte each. Beyond it the oldest are given up: an hour of five sign-outs a second.
_MOST = 20_000
# Longer tickets are sealed sessions, which a store ends by their names.
_LONGEST_TICKET = 64


class PendingSignOut(NamedTuple):
    ticket: str
    # None: it could not be looked up. Without its tokens.
    session: Session | None
    until: float


class Unfinished:
    """Owned by Sessions, which runs `work` as a task whenever there is something to do."""

    def __init__(
        self, finish: Callable[[PendingSignOut], Awaitable[None]], log: Logger, clock: Callable[[], float]
    ) -> None:
        """`finish` tells the store; it may raise StoreUnavailable."""
        self._finish = finish
        self._log = log
        self._clock = clock
        self._waiting: OrderedDict[str, PendingSignOut] = OrderedDict()
        self.working = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ticket: str, session: Session | None, *, until: float, exact: str) -> None:
        bare = None if session is None else replace(session, access="", id_token="", refresh="")
        kept = ticket if len(ticket) <= _LONGEST_TICKET else ""
        self._waiting[hashed(ticket)] = PendingSignOut(kept, bare, until)
        self._log.event(
            "sign_out_pending",
            level="warning",
            pool=None if session is None else session.pool_id,
            subject=None if session is None else session.subject,
            exact=exact,
        )
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)
            self.give_up(1)

    def holds(self, ticket: str) -> bool:
        """Whether this ticket's session was signed out here."""
        return bool(self._waiting) and hashed(ticket) in self._waiting

    async def work(self) -> None:
        """Until nothing waits any more."""
        while self._waiting:
            await asyncio.sleep(_PAUSE)
            await self.attempt()

    async def attempt(self) -> None:
        """Tell the store of all, or of none while it is away."""
        for key, waiting in list(self._waiting.items()):
            if self._clock() < waiting.until:
                try:
                    await self._finish(waiting)
                except StoreUnavailable:
                    return
                session = waiting.session
                self._log.event(
                    "sign_out_completed",
                    pool=None if session is None else session.pool_id,
                    subject=None if session is None else session.subject,
                )
            self._waiting.pop(key, None)

    def give_up(self, count: int) -> None:
        """So many sign-outs never reach the store: their sessions end there by their own time."""
        self._log.event("sign_out_abandoned", level="error", count=count)
