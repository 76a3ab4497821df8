"""Session stores: sealed in the browser's cookie, or in this process; and the interface of all stores.

A *ticket* is what the browser holds: the sealed session itself, or 256 random bits of which only the hash is
stored. Invariant: a store returns only what it was given, for as long as it was told to keep it, and nothing
for a session that was ended here.
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

# Sessions in this process's memory; each holds about 5 KiB of tokens. Beyond it the oldest are dropped.
_MOST_KEPT = 10_000
# Per user: more browsers than a person has. Beyond it that user's oldest are dropped, and no others.
_MOST_OF_ONE = 50
_TICKET_BYTES = 32


class Store(Protocol):
    """A session store. Implementations: CookieStore, MemoryStore, RedisStore.

    `until` is the Unix time when the session ends at the latest. Every method may raise StoreUnavailable.
    """

    # Seconds for which a session may be served without looking it up again.
    recheck: float

    async def keep(self, session: Session, *, until: float) -> str:
        """Store a new session; return its ticket."""

    async def find(self, ticket: str, *, now: float) -> Session | None:
        """Return the session as last stored; None for anything that is not, or no longer, a ticket."""

    async def replace(self, ticket: str, session: Session, *, until: float, now: float) -> str | None:
        """Store a session's new tokens; return its ticket, or None if it was ended meanwhile."""

    async def end(self, ticket: str, session: Session, *, until: float) -> None:
        """End a session: from now on no look-up finds it. Idempotent."""

    def made(self, ticket: str) -> bool:
        """Return whether this certainly was a ticket of this store, though it finds nothing now.

        Another gateway's ticket, on the same host, was not.
        """

    def lock(self, session: Session) -> RenewalLock | None:
        """Return a lock against concurrent renewals by other processes; None where there are none."""


class CookieStore:
    """Keeps only the IDs of ended sessions: this process's, and with Redis those of all replicas."""

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
            # The largest tokens that Cognito issues would fit four times.
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
        # Waiting would be in vain: the result of another's renewal is in the browser's cookie.
        return None

    async def _was_ended(self, session: Session) -> bool:
        if self._ended.covers(session):
            return True
        return self._shared is not None and await self._shared.has(session.id)

    def __repr__(self) -> str:
        return "<CookieStore>"


class MemoryStore:
    """Sessions of this process; they are lost with it, and no other worker knows them."""

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
        return False  # tickets are random: an unknown one leaves no trace

    def lock(self, session: Session) -> RenewalLock | None:
        return None

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._kept)} sessions>"


def new_ticket() -> str:
    return secrets.token_urlsafe(_TICKET_BYTES)


def hashed(ticket: str) -> str:
    """Return the stored form of a ticket, from which a reader of the store cannot make a cookie."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
