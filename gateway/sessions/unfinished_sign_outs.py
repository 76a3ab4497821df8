"""Sign-outs that have not reached the session store: retried until they do, or until the session expires.

They are in force in this gateway meanwhile (ended.py; and here, for sessions that could not be looked up).
Invariant: a sign-out leaves this list only when the store has recorded it, when the session has expired, or
with a line in the log.
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

# Seconds between two attempts: a recovered store is updated within a second; while it is unavailable no call
# is made (gateway/redis/redis_client.py).
_PAUSE = 1.0
# Half a kilobyte each. Beyond it the oldest are dropped: an hour of five sign-outs a second.
_MOST = 20_000
# Longer tickets are sealed sessions, which a store ends by their IDs.
_LONGEST_TICKET = 64


class PendingSignOut(NamedTuple):
    ticket: str
    # None: it could not be looked up. Stored without its tokens.
    session: Session | None
    until: float


class Unfinished:
    """The list of pending sign-outs. Owned by Sessions, which runs `work` as a task while it is not empty."""

    def __init__(
        self, finish: Callable[[PendingSignOut], Awaitable[None]], log: Logger, clock: Callable[[], float]
    ) -> None:
        """`finish` updates the store; it may raise StoreUnavailable."""
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
        """Return whether this ticket's session was signed out here."""
        return bool(self._waiting) and hashed(ticket) in self._waiting

    async def work(self) -> None:
        """Retry until the list is empty; return at once if another task does."""
        if self.working:
            return
        self.working = True
        try:
            while self._waiting:
                await asyncio.sleep(_PAUSE)
                await self.attempt()
        finally:
            self.working = False

    async def attempt(self) -> None:
        """Send all sign-outs to the store, stopping when it is unavailable."""
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
        """Log sign-outs that never reached the store: their sessions end there only when they expire."""
        self._log.event("sign_out_abandoned", level="error", count=count)
