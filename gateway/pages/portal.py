"""What the handlers of our pages share: one configuration, its seals, who asks, the sessions.

Made by serve/app.py; dispatch.py calls the handlers with it. Invariant: a handler gets everything that is not
part of its own request from here, and nothing here changes with a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.config.model import Config, UserPool
from gateway.errors import InvalidToken, NotConfigured
from gateway.gate.authenticate import Authenticator
from gateway.pages.aws_credentials import CredentialsCache
from gateway.pages.shared import Pages
from gateway.sessions.cognito import Users
from gateway.sessions.lifecycle import Sessions
from gateway.sessions.page_request import PageRequest
from gateway.sessions.proof import Prover
from gateway.sessions.sealing import Sealer
from gateway.sessions.threads import Threads
from gateway.tokens.claims import Claims
from gateway.tokens.principal import Principal


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

    def __init__(
        self,
        config: Config,
        *,
        authenticator: Authenticator,
        sealers: Sealers,
        sessions: Sessions,
        prover: Prover,
        users: Users,
        credentials: CredentialsCache,
        threads: Threads,
        pages: Pages,
    ) -> None:
        self.config = config
        self.sealers = sealers
        # `await portal.sessions.begin(page, pool, tokens)` is what a sign-in ends with.
        self.sessions = sessions
        self.prover = prover
        self.users = users
        # `await portal.credentials.of(pool, id_token, now=…)`, for an ID token that was verified just now.
        self.credentials = credentials
        # Where calls of gateway/aws run: `await portal.threads.run(…)`.
        self.threads = threads
        self.pages = pages
        self._authenticator = authenticator

    async def welcome(self, page: PageRequest) -> None:
        """Find out whose browser it is, by its session. Raises SessionsUnavailable or NoKeys."""
        session = await self.sessions.find(page.request, secure=page.secure, our_page=True)
        if session is None:
            return
        try:
            bearer = self.sessions.bearer(session)
            page.principal = await self._authenticator.authenticate(bearer, page.now)
        except InvalidToken:
            return  # of a pool or client that is not configured any more
        page.session = session
        page.request.principal = page.principal

    async def ask_again(self, page: PageRequest) -> bool:
        """Whether Cognito gives the page's session new tokens now, which say who this is from here on.

        The page has no session any more where Cognito refused. Raises SessionsUnavailable or NoKeys."""
        session = page.session
        new = None if session is None else await self.sessions.refresh(page.request, session, page.secure)
        if new is None:
            if session is not None and not self.sessions.goes_on(session):
                page.session = page.principal = None
            return False
        try:
            page.principal = await self._authenticator.authenticate(self.sessions.bearer(new), page.now)
        except InvalidToken:
            page.principal = None
        page.session = new
        return page.principal is not None

    def pool(self, pool_id: str) -> UserPool | None:
        """The pool of that ID, if it is configured."""
        return next((pool for pool in self.config.cognito.sign_in_pools if pool.id == pool_id), None)

    def need_pool(self) -> None:
        """Nobody can be known before the gateway is connected. Raises NotConfigured."""
        if not self.config.cognito.sign_in_pools:
            raise NotConfigured

    async def id_claims(self, page: PageRequest) -> Claims | None:
        """What the ID token of the page's session says of the user; None without a session, or where it does
        not hold any more."""
        session = page.session
        pool = None if session is None else self.pool(session.pool_id)
        if session is None or pool is None:
            return None
        try:
            return await self.prover.verified(pool, session.id_token, "id", now=page.now)
        except InvalidToken:
            return None

    async def pool_of_id_token(self, page: PageRequest) -> UserPool:
        """The pool of the ID token in the Authorization header: valid, and not known to be revoked."""
        claims = await self._authenticator.id_claims(page.request.credentials, page.now)
        pool = self.pool(claims.pool_id)
        assert pool is not None, "the authenticator and the portal have the same configuration"
        return pool

    async def caller(self, page: PageRequest) -> Principal | None:
        """Who asks: by the Authorization header if there is one, else by the session. Raises Refusal."""
        self.need_pool()
        credentials = page.request.credentials
        if credentials:
            return await self._authenticator.authenticate(credentials, page.now)
        return page.principal
