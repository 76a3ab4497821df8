"""Sign-out: at once in this gateway, then in the session store, then at Cognito.

What the store cannot record at the moment is retried later (unfinished_sign_outs.py); what Cognito did not do
is part of the result. Invariant: once a sign-out has arrived, the session authenticates nobody in this
gateway, whatever is unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.sessions import session_cookies
from gateway.sessions.ended import Ended
from gateway.sessions.page_request import PageRequest
from gateway.sessions.replicas import StoreUnavailable
from gateway.sessions.revoking import Revoking
from gateway.sessions.session import Session
from gateway.sessions.stores import Store
from gateway.sessions.unfinished_sign_outs import PendingSignOut, Unfinished


class SignOutResult(NamedTuple):
    """What a sign-out reached besides this gateway."""

    # Whether the store has recorded it; otherwise that is retried.
    stored: bool = True
    # Whether Cognito did what was requested.
    revoked: bool = True


class Ending:
    """Signs out sessions of one configuration. Its tasks are owned by Sessions (`spawn`)."""

    def __init__(
        self,
        store: Store,
        revoking: Revoking,
        ended: Ended,
        *,
        drop: Callable[[Session, bool], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        max_age: float,
        metrics: WorkerMetrics,
        log: Logger,
        previous: Ending | None,
        clock: Callable[[], float],
    ) -> None:
        """What `previous` has not finished goes on here."""
        self._store = store
        self._revoking = revoking
        self._ended = ended
        self._drop = drop
        self._spawn = spawn
        self._max_age = max_age
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self.unfinished: Unfinished = (
            Unfinished(self._finish, log, clock) if previous is None else previous.unfinished
        )

    def covers(self, ticket: str) -> bool:
        """Return whether this ticket's session was signed out here, but perhaps not yet in the store."""
        return self.unfinished.holds(ticket)

    async def sign_out(self, page: PageRequest, *, everywhere: bool = False) -> SignOutResult:
        """End the browser's session and clear its cookies; `everywhere`: all sessions of the user."""
        page.set_cookies += session_cookies.ended(page.cookies)
        sent = session_cookies.sent(page.cookies)
        if sent is None:
            return SignOutResult()
        session = page.session
        page.session = page.principal = None
        # In a task, so that closing the window does not interrupt it.
        if session is None:
            work = self._spawn(self._end_unseen(sent[1]))
        else:
            work = self._spawn(self._sign_out(page, sent[1], session, everywhere=everywhere))
        await asyncio.wait((work,))
        done: SignOutResult = (
            SignOutResult(stored=False, revoked=False) if work.cancelled() else work.result()
        )
        return done

    async def _sign_out(
        self, page: PageRequest, ticket: str, session: Session, *, everywhere: bool
    ) -> SignOutResult:
        stored = await self.over(ticket, session, everywhere=everywhere)
        self._metrics.sessions["signed_out"] += 1
        revoked = await self.told(page, session, everywhere=everywhere, stored=stored)
        return SignOutResult(stored, revoked)

    async def everywhere(self, page: PageRequest, session: Session) -> bool:
        """End all sessions of a session's user, which itself is in no store; return whether Cognito did."""
        self._ended.add_user(session.pool_id, session.subject, at=self._clock())
        self._drop(session, True)
        work = self._spawn(self.told(page, session, everywhere=True))
        await asyncio.wait((work,))
        return not work.cancelled() and bool(work.result())

    async def told(
        self, page: PageRequest, session: Session, *, everywhere: bool, stored: bool = True
    ) -> bool:
        """Revoke at Cognito, and log the sign-out; return whether Cognito did what was requested."""
        revoked = await self._revoking.revoke(session, everywhere=everywhere)
        self._log.event(
            "sign_out",
            request_id=page.request_id,
            client=page.client,
            pool=session.pool_id,
            subject=session.subject,
            everywhere=everywhere,
            stored=stored,
            revoked=revoked,
        )
        return revoked

    async def _end_unseen(self, ticket: str) -> SignOutResult:
        return SignOutResult(stored=await self.end_ticket(ticket))

    async def end_ticket(self, ticket: str) -> bool:
        """End the session of a ticket, if there is one; return whether the store has recorded it.

        This includes a session that authenticates nobody at the moment: the holder of a copy could renew it.
        """
        now = self._clock()
        try:
            session = await self._store.find(ticket, now=now)
        except StoreUnavailable as unavailable:
            self._later(ticket, None, until=now + self._max_age, exact=str(unavailable))
            return False
        if session is None:
            return True
        stored = await self.over(ticket, session)
        # In the background: a copy of the cookie expires with its access token in any case.
        self._spawn(self._revoking.revoke(session))
        return stored

    async def over(self, ticket: str, session: Session, *, everywhere: bool = False) -> bool:
        """End the session at once here, then in the store; return whether the store has recorded it."""
        self._ended.add(session.id)
        if everywhere:
            self._ended.add_user(session.pool_id, session.subject, at=self._clock())
        self._drop(session, everywhere)
        until = session.created + self._max_age
        try:
            await self._store.end(ticket, session, until=until)
        except StoreUnavailable as unavailable:
            self._later(ticket, session, until=until, exact=str(unavailable))
            return False
        return True

    def _later(self, ticket: str, session: Session | None, *, until: float, exact: str) -> None:
        self.unfinished.add(ticket, session, until=until, exact=exact)
        self.resume()

    def resume(self) -> None:
        """Continue with unfinished sign-outs, unless a task does already."""
        if len(self.unfinished) and not self.unfinished.working:
            self._spawn(self.unfinished.work())

    async def _finish(self, waiting: PendingSignOut) -> None:
        session = waiting.session
        if session is None:
            session = await self._store.find(waiting.ticket, now=self._clock())
            if session is None:
                return  # expired, or ended by another replica
            self._spawn(self._revoking.revoke(session))
        await self._store.end(waiting.ticket, session, until=waiting.until)

    async def stop(self) -> None:
        """Make a last attempt; what still fails is logged."""
        if len(self.unfinished):
            await self.unfinished.attempt()
        if left := len(self.unfinished):
            self.unfinished.give_up(left)
