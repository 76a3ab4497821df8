"""Revokes at Cognito what a session leaves behind: its refresh token, or all of the user's tokens.

Invariant: raises nothing; what Cognito did not do is in the log, and in the answer.
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
        """Whether Cognito has done what was asked; `everywhere`: all of the user's tokens.

        This session's own tokens are ended in any case, if Cognito can be asked at all."""
        if everywhere and await self._asked(session, self.users.sign_out_everywhere):
            return True
        # Without the scope aws.cognito.signin.user.admin nobody signs out everywhere; this needs none.
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
