"""Ends the sign-in of a client whose authorization code was presented twice (RFC 6749 section 4.1.2).

It ends in this process at once, then in Redis for the other workers and replicas, then at Cognito, so that no
other API of the pool accepts renewed tokens either. Invariant: `end` raises nothing, and what was not reached
is logged.
"""

from __future__ import annotations

import asyncio

from gateway.errors import InvalidToken
from gateway.observe.logs import Logger
from gateway.redis.redis_client import RedisUnavailable
from gateway.revocation.ended_sign_ins import EndedSignIn, EndedSignIns, SharedEnds
from gateway.sessions.revoking import Revoking
from gateway.sessions.session import Session
from gateway.tokens.claims import decode


class GrantEnds:
    """Ends sign-ins under one configuration. Owns the calls in progress: `start`, `stop`."""

    def __init__(
        self, here: EndedSignIns, shared: SharedEnds | None, revoking: Revoking, max_token: int, log: Logger
    ) -> None:
        """`shared`: None where there is one worker alone. `max_token`: bytes of the longest token."""
        self._here = here
        self._shared = shared
        self._revoking = revoking
        self._max_token = max_token
        self._log = log
        self._calls: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start applying what other workers and replicas end."""
        if self._shared is not None:
            self._shared.start()

    async def stop(self) -> None:
        """Wait for the calls in progress. Idempotent."""
        if self._shared is not None:
            await self._shared.stop()
        if self._calls:
            await asyncio.wait(set(self._calls))

    def has_ended(self, session: Session) -> bool:
        """Return whether this session's sign-in was ended."""
        return self._here.has(session.pool_id, session.id)

    async def end(self, session: Session) -> None:
        """End all tokens of this session's sign-in."""
        ended = self._named(session)
        self._here.end(ended)
        # A task, so that the client's closing the connection does not interrupt it.
        call = asyncio.create_task(self._told(session, ended), name="ending a sign-in")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _told(self, session: Session, ended: EndedSignIn) -> None:
        if self._shared is not None:
            try:
                await self._shared.add(ended)
            except RedisUnavailable as unavailable:
                self._log.event(
                    "revocation_failed",
                    level="warning",
                    pool=session.pool_id,
                    subject=session.subject,
                    exact=f"Redis: {unavailable}",
                )
        await self._revoking.revoke(session)

    def _named(self, session: Session) -> EndedSignIn:
        try:
            claims = decode(session.access.encode("ascii"), self._max_token).unverified_claims
        except InvalidToken:  # longer than a new configuration allows: not accepted in any case
            claims = {}
        origin_jti, jti = claims.get("origin_jti"), claims.get("jti")
        return EndedSignIn(
            session.pool_id,
            session.subject,
            session.id,
            origin_jti if isinstance(origin_jti, str) else None,
            jti if isinstance(jti, str) else None,
        )

    def __repr__(self) -> str:
        return f"<GrantEnds, {len(self._calls)} calls in progress>"
