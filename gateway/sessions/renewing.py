"""Renewal of a session's tokens before they expire: once, however many requests and replicas need it.

The store is read again under the lock: another replica may have been first. Invariant: whatever the result,
the session stays unchanged unless new tokens were verified and stored, or Cognito refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from gateway.aws.values import CognitoRefused
from gateway.config.model import UserPool
from gateway.errors import GatewayError, Refusal, TokenPayloadRefused
from gateway.sessions.cognito import Users
from gateway.sessions.proof import Prover
from gateway.sessions.replicas import RenewalLock, StoreUnavailable
from gateway.sessions.session import Session
from gateway.sessions.stores import Store

# Seconds between looks while another replica holds the lock, and in total as long as Cognito may take
# (connecting and reading time out after 5 and 15 seconds in gateway/aws/cognito_client.py).
_LOOK, _PATIENCE = 0.1, 20.0
# Seconds between two extensions of the lock; a third of its expiry.
_HOLD = 3.0
# New tokens that cannot be stored are lost where refresh tokens rotate, so storing them is retried.
_STORE_TRIES, _STORE_PAUSE = 5, 0.5

# Cognito's exceptions after which this refresh token, or user, never gets tokens again.
FINAL = frozenset(
    {
        "NotAuthorizedException",
        "RefreshTokenReuseException",
        "UserNotFoundException",
        "UserNotConfirmedException",
        "PasswordResetRequiredException",
    }
)

Result: TypeAlias = Literal["success", "elsewhere", "refused", "failure"]


class Outcome:
    """The result of a renewal. `session` is None if the session is over."""

    __slots__ = ("exact", "result", "session", "ticket")

    def __init__(self, result: Result, session: Session | None, ticket: str, exact: str = "") -> None:
        self.result = result
        self.session = session
        self.ticket = ticket
        self.exact = exact


class Renewing:
    """Renews sessions of one configuration."""

    def __init__(self, store: Store, users: Users, prover: Prover, clock: Callable[[], float]) -> None:
        self._store = store
        self.users = users
        self._prover = prover
        self._clock = clock

    async def renew(self, session: Session, ticket: str, pool: UserPool, *, until: float) -> Outcome:
        """Renew at Cognito, or find that another replica did. Raises nothing that can be expected."""
        until_then = self._clock() + _PATIENCE
        try:
            while True:
                async with _held(self._store.lock(session)) as ours:
                    current = await self._store.find(ticket, now=self._clock())
                    if current is None:
                        return Outcome("refused", None, ticket, "the session was ended meanwhile")
                    if current.renewed > session.renewed:
                        return Outcome("elsewhere", current, ticket)
                    if ours:
                        return await self._asked(session, ticket, pool, until=until)
                if self._clock() >= until_then:
                    return Outcome(
                        "failure", session, ticket, "another replica did not renew the session in time"
                    )
                # If the holder dies its lock expires, and is acquired.
                await asyncio.sleep(_LOOK)
        except StoreUnavailable as unavailable:
            return Outcome("failure", session, ticket, str(unavailable))

    async def _asked(self, session: Session, ticket: str, pool: UserPool, *, until: float) -> Outcome:
        try:
            tokens = await self.users.renew(session)
            now = self._clock()
            proven = await self._prover.pair(pool, tokens.access, tokens.id, now=now)
            if proven.access.subject != session.subject:
                raise TokenPayloadRefused("the new tokens belong to another user")
        except CognitoRefused as refused:
            # A client secret changed at Cognito but not here is for the operator to fix: it ends no session.
            if refused.of_the_client:
                return Outcome("failure", session, ticket, str(refused))
            if refused.code not in FINAL:
                return Outcome("failure", session, ticket, refused.code)
            if refused.code == "RefreshTokenReuseException" and self._clock() < session.expires:
                # A cookie session was renewed by a worker that cannot report it: its response with the new
                # cookie is on the way to the browser, and must not be overtaken by one that clears it.
                return Outcome("failure", session, ticket, refused.code)
            return Outcome("refused", None, ticket, refused.code)
        except GatewayError as error:
            return Outcome("failure", session, ticket, str(error))
        except Refusal as refusal:
            return Outcome("failure", session, ticket, f"the new tokens: {refusal.reason}")
        new = replace(
            session,
            access=tokens.access,
            id_token=tokens.id,
            refresh=tokens.refresh,
            renewed=now,
            expires=min(proven.access.expires_at, proven.id.expires_at),
        )
        return await self._stored(new, ticket, until=until)

    async def _stored(self, new: Session, ticket: str, *, until: float) -> Outcome:
        for attempt in range(_STORE_TRIES):
            if attempt:
                await asyncio.sleep(_STORE_PAUSE)
            try:
                kept = await self._store.replace(ticket, new, until=until, now=self._clock())
            except StoreUnavailable:
                continue
            if kept is None:
                return Outcome("refused", None, ticket, "the session was ended meanwhile")
            return Outcome("success", new, kept)
        # At least this process uses them.
        return Outcome("success", new, ticket, "the new tokens could not be stored")


@contextlib.asynccontextmanager
async def _held(lock: RenewalLock | None) -> AsyncIterator[bool]:
    """Yield whether the lock is ours; it is extended for as long as the block runs."""
    if lock is None:
        yield True
        return
    if not await lock.acquire():
        yield False
        return
    holding = asyncio.create_task(_hold(lock), name="session lock")
    try:
        yield True
    finally:
        holding.cancel()
        await asyncio.wait((holding,))
        # A lock that cannot be released expires.
        with contextlib.suppress(StoreUnavailable):
            await lock.release()


async def _hold(lock: RenewalLock) -> None:
    while True:
        await asyncio.sleep(_HOLD)
        with contextlib.suppress(StoreUnavailable):  # retried before it expires
            await lock.renew()
