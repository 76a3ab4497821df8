"""What the handlers of our pages share: one configuration, its seals, who asks, the sessions.

Made by run/app.py; dispatch.py calls the handlers with it. Invariant: a handler gets everything that is not
part of its own request from here, and nothing here changes with a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.config.model import Config
from gateway.portal.page import PageRequest
from gateway.portal.sealing import Sealer
from gateway.verify.authenticate import Authenticator, Principal


@dataclass(frozen=True, slots=True)
class Sealers:
    """One for each purpose: what was sealed for one is nothing to another."""

    session: Sealer
    csrf: Sealer
    # A sign-in between two of its forms.
    challenge: Sealer
    # Managed login between /start and /callback.
    login: Sealer
    setup: Sealer

    @classmethod
    def of(cls, secrets: Sequence[bytes]) -> Sealers:
        return cls(*(Sealer(secrets, name) for name in ("session", "csrf", "challenge", "login", "setup")))


class Portal:
    """Handlers are functions of this and of their page request; they stand in modules by subject."""

    def __init__(self, config: Config, *, authenticator: Authenticator, sealers: Sealers) -> None:
        self.config = config
        self.sealers = sealers
        self._authenticator = authenticator

    async def caller(self, page: PageRequest) -> Principal | None:
        """Who asks: by the Authorization header if there is one, else by the session. Raises Refusal."""
        credentials = page.request.head.authorization
        if credentials:
            return await self._authenticator.authenticate(credentials, page.now)
        return page.principal
