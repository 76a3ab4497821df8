"""A fake Cognito at the interface of sessions, which records its calls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.aws.values import Tokens
from gateway.sessions.cognito import Users
from gateway.sessions.session import Session
from tests.support.portal import a_session
from tests.support.running import Running, running
from tests.support.tokens import access_claims, id_claims, sign


class Cognito(Users):
    """Answers instead of a user pool."""

    def __init__(self, gateway: Running) -> None:
        self.gateway = gateway
        self.renewed: list[str] = []
        self.revoked: list[str] = []
        self.everywhere: list[str] = []
        self.error: Exception | None = None
        self.wait = 0.0
        self.changes: dict[str, Any] = {}
        self.lifetime = 3600.0

    async def renew(self, session: Session) -> Tokens:
        self.renewed.append(session.refresh)
        await asyncio.sleep(self.wait)
        if self.error is not None:
            raise self.error
        key, lifetime = self.gateway.key, self.lifetime
        return Tokens(
            access=sign(key, access_claims(lifetime=lifetime, **self.changes)).decode(),
            id=sign(key, id_claims(lifetime=lifetime, **self.changes)).decode(),
            refresh=f"refresh-{len(self.renewed)}",
            expires_in=int(lifetime),
        )

    async def revoke(self, session: Session) -> None:
        await asyncio.sleep(self.wait)
        self.revoked.append(session.refresh)
        if self.error is not None:
            raise self.error

    async def sign_out_everywhere(self, session: Session) -> None:
        self.everywhere.append(session.access)


@contextlib.asynccontextmanager
async def served(tmp_path: Path, store: str = "cookie") -> AsyncIterator[tuple[Running, Cognito]]:
    # A client that closes the connection is gone at once: the tests do not wait for a half-closed one.
    listen, yaml = "half_close_grace: 0s", f"sign_in: {{session: {{store: {store}}}}}\n"
    async with running(tmp_path, yaml, listen_lines=listen) as gateway:
        cognito = Cognito(gateway)
        play(gateway, cognito)
        yield gateway, cognito


def play(gateway: Running, cognito: Cognito) -> None:
    portal = gateway.worker.app.portal
    assert portal is not None
    portal.sessions.revoking.users = cognito
    portal.sessions.renewing.users = cognito


def old(gateway: Running, **changes: Any) -> Session:
    """Return a session in the last minute of its access token's life."""
    return a_session(gateway.key, lifetime=40, **{"renewed": time.time() - 3560, **changes})
