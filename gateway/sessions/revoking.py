"""Revocation of a session's refresh token, or of all tokens of its user, at Cognito.

Invariant: it raises nothing; what Cognito did not do is logged and returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError
from gateway.observe.logs import Logger
from gateway.sessions.cognito import Users
from gateway.sessions.session import Session


class Revoking:
    def __init__(self, users: Users, log: Logger) -> None:
        self.users = users
        self._log = log

    async def revoke(self, session: Session, *, everywhere: bool = False) -> bool:
        """Revoke, and return whether Cognito did what was requested; `everywhere`: all of the user's tokens.

        This session's own tokens are revoked in any case, if Cognito can be reached.
        """
        if everywhere and await self._asked(session, self.users.sign_out_everywhere):
            return True
        # Global sign-out needs the scope aws.cognito.signin.user.admin; this does not.
        own = not session.refresh or await self._asked(session, self.users.revoke)
        return own and not everywhere

    async def _asked(self, session: Session, ask: Callable[[Session], Awaitable[None]]) -> bool:
        try:
            await ask(session)
        except GatewayError as error:
            self._log.event(
                "revocation_failed",
                level="warning",
                pool=session.pool_id,
                subject=session.subject,
                exact=str(error),
            )
            return False
        return True
