"""The set-up form stays open until one person has signed in with the connection that it stored.

Values can be right one by one and still not fit together, which only a sign-in shows; who closed the form
before could not correct them. Invariant: the form is open again to the holder of the current set-up code, or
to the browser that stored the connection in force, within the hour; once somebody has signed in, to neither.
"""

from __future__ import annotations

import asyncio

from gateway.config.model import Config
from gateway.config.stored import connection_text, proven, record_proof
from gateway.errors import GatewayError
from gateway.observe.logs import Logger
from gateway.pages.setup_form import PoolConnection
from gateway.sessions.page_request import PageRequest
from gateway.sessions.sealing import Sealer

_COOKIE = "setup"
# Seconds for which the browser that stored a connection may correct it without a code.
_LIFE = 3600.0


class FirstSignIn:
    """Whether anybody has signed in with the stored connection of one configuration."""

    def __init__(self, config: Config, log: Logger) -> None:
        self._folder = config.sign_in.state_dir if config.cognito.stored else None
        self._log = log
        self._happened = self._folder is None

    async def happened(self) -> bool:
        """Return whether somebody has; true where the page stored nothing."""
        if not self._happened and self._folder is not None:
            self._happened = await asyncio.to_thread(proven, self._folder)
        return self._happened

    async def record(self) -> None:
        """Record a sign-in. A failure is logged: the person is signed in anyway."""
        if self._folder is None or await self.happened():
            return
        try:
            await asyncio.to_thread(record_proof, self._folder)
        except GatewayError as error:
            self._log.event("setup", level="error", result="failed", exact=str(error))
        self._happened = True


def remember(page: PageRequest, sealer: Sealer, connection: PoolConnection) -> None:
    """Let this browser correct the connection that it has just stored."""
    data = connection_text(connection.as_pool).encode()
    sealed = sealer.seal(data, until=page.now + _LIFE, binding=_binding(page.browser_id))
    page.set_cookies += page.cookies.set_split(_COOKIE, sealed, max_age=_LIFE)


def stored_here(page: PageRequest, sealer: Sealer) -> str | None:
    """Return the connection that this browser stored within the hour, as YAML; None if it did not."""
    sealed, browser = page.cookies.joined(_COOKIE), page.known_browser
    if sealed is None or browser is None:
        return None
    data = sealer.open(sealed, now=page.now, binding=_binding(browser))
    return None if data is None else data.decode()


def _binding(browser: str) -> bytes:
    return f"{_COOKIE} {browser}".encode("ascii")
