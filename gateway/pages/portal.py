"""The dependencies that the page handlers share: configuration, sealers, authentication, sessions.

serve/app.py makes it; dispatch.py passes it to the handlers. Invariant: a handler gets everything beyond its
own request from here, and nothing here changes with a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.aws.values import Tokens
from gateway.config.model import Config, UserPool
from gateway.errors import AuthorizationExpired, InvalidToken, NotConfigured, WrongUserPool
from gateway.gate.authenticate import Authenticator
from gateway.mcp.front_door import FrontDoor
from gateway.pages.aws_credentials import CredentialsCache
from gateway.pages.shared import Pages
from gateway.policy.routes import RouteTable
from gateway.sessions.cognito import Users
from gateway.sessions.lifecycle import Sessions
from gateway.sessions.page_request import PageRequest
from gateway.sessions.proof import Prover
from gateway.sessions.sealing import Sealer
from gateway.sessions.threads import Threads
from gateway.tokens.claims import Claims, decode
from gateway.tokens.principal import Principal


@dataclass(frozen=True, slots=True)
class Sealers:
    """One sealer for each purpose: what one sealed, no other opens."""

    session: Sealer
    csrf: Sealer
    # A sign-in in progress, between two forms.
    challenge: Sealer
    # Managed login between /start and /callback.
    login: Sealer
    # A form's outcome, for the page after it.
    outcome: Sealer
    setup: Sealer

    @classmethod
    def of(cls, secrets: Sequence[bytes]) -> Sealers:
        return cls(
            *(Sealer(secrets, name) for name in ("session", "csrf", "challenge", "login", "outcome", "setup"))
        )


class Portal:
    """The dependencies of the page handlers, which are functions of a portal and a PageRequest."""

    def __init__(
        self,
        config: Config,
        *,
        mcp: FrontDoor | None = None,
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
        # None: no MCP client signs in here.
        self.mcp = mcp
        self.sealers = sealers
        # `await portal.sessions.begin(page, pool, tokens)` completes a sign-in.
        self.sessions = sessions
        self.prover = prover
        self.users = users
        # `await portal.credentials.of(pool, id_token, now=…)`, for an ID token verified just now.
        self.credentials = credentials
        # Calls of gateway/aws run here: `await portal.threads.run(…)`.
        self.threads = threads
        self.pages = pages
        self._authenticator = authenticator

    @cached_property
    def route_table(self) -> RouteTable:
        """The table of the configuration's routes; built when a page first needs it."""
        return RouteTable(self.config.routes)

    async def welcome(self, page: PageRequest) -> None:
        """Resolve the page's session, if it has one. Raises SessionsUnavailable or NoKeys."""
        session = await self.sessions.find(page.request, secure=page.secure, our_page=True)
        if session is None:
            return
        try:
            bearer = self.sessions.bearer(session)
            page.principal = await self._authenticator.authenticate(bearer, page.now)
        except InvalidToken:
            return  # its pool or client is no longer configured
        page.session = session
        page.request.principal = page.principal

    async def signed_in(self, page: PageRequest, pool: UserPool, tokens: Tokens, return_to: str) -> None:
        """End a sign-in: its tokens go to the MCP client it was for, else they make a session of the browser.

        Raises InvalidToken, WrongUserPool, NoKeys, SessionsUnavailable or AuthorizationExpired."""
        try:
            await self._signed_in(page, pool, tokens, return_to)
        except InvalidToken:
            unverified_issuer = decode(tokens.access.encode("ascii", "replace")).unverified_issuer
            if unverified_issuer is None or unverified_issuer in pool.issuers:
                raise
            raise WrongUserPool(unverified_issuer.rpartition("/")[2][:64], pool.id) from None
        await self.pages.first_sign_in.record()

    async def _signed_in(self, page: PageRequest, pool: UserPool, tokens: Tokens, return_to: str) -> None:
        if self.mcp is None or not self.mcp.is_for_client(return_to):
            await self.sessions.begin(page, pool, tokens)
            return
        waiting = self.mcp.pending_of(page, return_to)
        if waiting is None:
            raise AuthorizationExpired("signed in for an authorization that is not on its way any more")
        await self.mcp.signed_in(page, waiting, pool, tokens)

    async def ask_again(self, page: PageRequest) -> bool:
        """Refresh the page's session at Cognito; return whether it got new tokens, and update the principal.

        If Cognito refused, the page no longer has a session. Raises SessionsUnavailable or NoKeys."""
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
        """Return the configured pool with this ID, if there is one."""
        return next((pool for pool in self.config.cognito.sign_in_pools if pool.id == pool_id), None)

    def need_pool(self) -> None:
        """Raise NotConfigured if no user pool is configured yet."""
        if not self.config.cognito.sign_in_pools:
            raise NotConfigured

    async def id_claims(self, page: PageRequest) -> Claims | None:
        """Return the verified claims of the session's ID token; None without a session, or if the token is no
        longer valid."""
        session = page.session
        pool = None if session is None else self.pool(session.pool_id)
        if session is None or pool is None:
            return None
        try:
            return await self.prover.verified(pool, session.id_token, "id", now=page.now)
        except InvalidToken:
            return None

    async def pool_of_id_token(self, page: PageRequest) -> UserPool:
        """Return the pool of the ID token in the Authorization header, valid and not known to be revoked."""
        claims = await self._authenticator.id_claims(page.request.credentials, page.now)
        pool = self.pool(claims.pool_id)
        assert pool is not None, "the authenticator and the portal have the same configuration"
        return pool

    async def caller(self, page: PageRequest) -> Principal | None:
        """Return the caller: by the Authorization header if there is one, else by the session. Raises
        Refusal."""
        self.need_pool()
        credentials = page.request.credentials
        if credentials:
            return await self._authenticator.authenticate(credentials, page.now)
        return page.principal
