"""Where sessions are kept: sealed in the browser's cookie, in this process, or in Redis. One seam for all.

A *ticket* is what the browser holds: the sealed session itself, or a name of 256 random bits that is stored
only as its hash. Invariant: a store gives out only what it was given, for as long as it was told to, and
nothing for a session that was ended here.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Protocol

from gateway.sessions import session as form
from gateway.sessions.cookies import longest
from gateway.sessions.ended import Ended
from gateway.sessions.replicas import RenewalLock, SharedEnded, StoreUnavailable
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session

# Sessions in this process's memory; each holds about 5 KiB of tokens. Beyond it the oldest go.
_MOST_KEPT = 10_000
# Of one user: more browsers than a person has. Beyond it that user's oldest go, and nobody else's.
_MOST_OF_ONE = 50
_TICKET_BYTES = 32


class Store(Protocol):
    """Where sessions are kept. Implementations: CookieStore, MemoryStore, RedisStore.

    `until`: Unix time when the session ends at the latest. All of it may raise StoreUnavailable.
    """

    # Seconds for which a session that was found may be served without asking again.
    recheck: float

    async def keep(self, session: Session, *, until: float) -> str:
        """The ticket of a new session."""

    async def find(self, ticket: str, *, now: float) -> Session | None:
        """The session as it was last kept or replaced; None for whatever is no ticket (any more)."""

    async def replace(self, ticket: str, session: Session, *, until: float, now: float) -> str | None:
        """The ticket of the same session with new tokens; None when it was ended meanwhile."""

    async def end(self, ticket: str, session: Session, *, until: float) -> None:
        """From now on nothing finds it. Idempotent."""

    def made(self, ticket: str) -> bool:
        """Whether it certainly was a ticket of this store, though nothing is found now. Another gateway's, on
        this host, is none."""

    def lock(self, session: Session) -> RenewalLock | None:
        """What keeps other processes from renewing it at the same time; None where there are none."""


class CookieStore:
    """Nothing is kept here but the names of sessions that were ended: those of this process, and where there
    is a Redis, of all."""

    def __init__(
        self,
        sealer: Sealer,
        ended: Ended,
        shared: SharedEnded | None = None,
        *,
        recheck: float = float("inf"),
    ) -> None:
        self._sealer = sealer
        self._ended = ended
        self._shared = shared
        self.recheck = recheck

    async def keep(self, session: Session, *, until: float) -> str:
        ticket = self._sealer.seal(form.encode(session), until=until)
        if len(ticket) > longest():
            # The largest tokens Cognito makes would fit four times.
            raise StoreUnavailable(f"a session of {len(ticket)} bytes does not fit into cookies")
        return ticket

    async def find(self, ticket: str, *, now: float) -> Session | None:
        data = self._sealer.open(ticket, now=now)
        found = None if data is None else form.decode(data)
        return None if found is None or await self._was_ended(found) else found

    async def replace(self, ticket: str, session: Session, *, until: float, now: float) -> str | None:
        return None if await self._was_ended(session) else await self.keep(session, until=until)

    async def end(self, ticket: str, session: Session, *, until: float) -> None:
        self._ended.add(session.id)
        if self._shared is not None:
            await self._shared.add(session.id, left=until - session.created)

    def made(self, ticket: str) -> bool:
        return self._sealer.open(ticket, now=float("-inf")) is not None

    def lock(self, session: Session) -> RenewalLock | None:
        # Whoever waited for another's renewal could not see its result: that is in the browser's cookie.
        return None

    async def _was_ended(self, session: Session) -> bool:
        if self._ended.covers(session):
            return True
        return self._shared is not None and await self._shared.has(session.id)

    def __repr__(self) -> str:
        return "<CookieStore>"


class MemoryStore:
    """Sessions of this process; they end with it, and no other worker knows them."""

    recheck = float("inf")

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        # (user pool, subject) → the keys of that user's sessions, oldest first.
        self._of: dict[tuple[str, str], OrderedDict[str, None]] = {}

    async def keep(self, session: Session, *, until: float) -> str:
        ticket = new_ticket()
        key = hashed(ticket)
        self._kept[key] = session, until
        theirs = self._of.setdefault((session.pool_id, session.subject), OrderedDict())
        theirs[key] = None
        if len(theirs) > _MOST_OF_ONE:
            self._forget(next(iter(theirs)))
        while len(self._kept) > _MOST_KEPT:
            self._forget(next(iter(self._kept)))
        return ticket

    async def find(self, ticket: str, *, now: float) -> Session | None:
        key = hashed(ticket)
        session, until = self._kept.get(key, (None, 0.0))
        if session is None or now < until:
            return session
        self._forget(key)
        return None

    async def replace(self, ticket: str, session: Session, *, until: float, now: float) -> str | None:
        key = hashed(ticket)
        if key not in self._kept:
            return None
        self._kept[key] = session, until
        return ticket

    async def end(self, ticket: str, session: Session, *, until: float) -> None:
        self._forget(hashed(ticket))

    def _forget(self, key: str) -> None:
        session, _ = self._kept.pop(key, (None, 0.0))
        if session is None:
            return
        whose = session.pool_id, session.subject
        theirs = self._of.get(whose, OrderedDict())
        theirs.pop(key, None)
        if not theirs:
            self._of.pop(whose, None)

    def made(self, ticket: str) -> bool:
        return False  # a name without a trace

    def lock(self, session: Session) -> RenewalLock | None:
        return None

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._kept)} sessions>"


def new_ticket() -> str:
    return secrets.token_urlsafe(_TICKET_BYTES)


def hashed(ticket: str) -> str:
    """What is stored: whoever reads the store cannot make a cookie of it."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
