"""The authorization server of one configuration: its clients, pending authorizations and issued tokens.

gateway/pages/build.py creates it; the endpoints (endpoints.py) and two pages (pages/authorize.py,
pages/consent.py) share it. Invariant: the tokens of a sign-in for a client go to that client and never become
a session of the browser.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from gateway.aws.values import Tokens
from gateway.config.model import Config, Mcp, UserPool
from gateway.errors import AuthorizationRefused, OAuthRefused
from gateway.http.request import Request
from gateway.mcp import mcp_clients, pending
from gateway.mcp.authorization import Authorization
from gateway.mcp.authorization_codes import Codes, Granted
from gateway.mcp.grant_ends import GrantEnds
from gateway.mcp.issuing import Issuing
from gateway.mcp.mcp_clients import McpClient
from gateway.mcp.oauth_error import OAuthError
from gateway.mcp.pending import Pending
from gateway.mcp.sealed_tokens import SealedTokens
from gateway.observe.bridge import redact
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.policy.rate import Buckets, RateRule, address_key
from gateway.policy.routes import RouteTable
from gateway.sessions.cognito import Users
from gateway.sessions.page_request import PageRequest
from gateway.sessions.proof import Prover
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session

if TYPE_CHECKING:
    from gateway.mcp.client_documents import ClientDocuments

_ID_BYTES = 16
# Refusals logged for each address: a broken client repeats the same request.
_LOGGED = RateRule(1.0, 20)


def _documents(mcp: Mcp) -> ClientDocuments | None:
    if not mcp.client_documents:
        return None
    # Loads an HTTP client and CA roots: only where documents are configured.
    from gateway.mcp.client_documents import ClientDocuments  # noqa: PLC0415

    return ClientDocuments(mcp.client_documents)


class FrontDoor:
    """`issuer` is the identifier of the authorization server; `scopes` are all that routes may require."""

    def __init__(
        self,
        config: Config,
        mcp: Mcp,
        *,
        tokens: SealedTokens,
        codes: Codes,
        ending: GrantEnds,
        users: Users,
        prover: Prover,
        metrics: WorkerMetrics,
        log: Logger,
        clock: Callable[[], float] = time.time,
        documents: ClientDocuments | None = None,
    ) -> None:
        """`documents`: created from the configuration if None."""
        self.mcp = mcp
        self.issuer = (config.listen.public_url or mcp.origin).rstrip("/")
        routes = RouteTable(config.routes)
        self.scopes: Sequence[str] = routes.scopes("")
        # The resource's own: clients that do not repeat a challenge's would never reach it.
        self.acr_values = " ".join(routes.acr(urlsplit(mcp.resource).path or "/"))
        self.codes = codes
        self.issuing = Issuing(
            config,
            mcp,
            tokens=tokens,
            codes=codes,
            ending=ending,
            users=users,
            prover=prover,
            log=log,
            clock=clock,
        )
        self._ending = ending
        self._prefix = config.sign_in.prefix
        self._prover = prover
        self._clients = Sealer(tokens.secrets, "mcp client")
        # None: no host is listed.
        self._documents = documents or _documents(mcp)
        self._pending = Sealer(tokens.secrets, "mcp authorization")
        self._metrics = metrics
        self._log = log
        self._logged: Buckets[str] = Buckets(_LOGGED)
        self._clock = clock

    @property
    def takes_documents(self) -> bool:
        """Whether a client ID may be the URL of a metadata document."""
        return self._documents is not None

    def start(self) -> None:
        """Start applying what other workers and replicas end."""
        self._ending.start()

    async def stop(self) -> None:
        """Cancel all fetches, and wait for revocations in progress. Idempotent."""
        await self._ending.stop()
        if self._documents is not None:
            await self._documents.stop()

    # --- clients ---

    def register(self, name: str, uris: Sequence[str]) -> str:
        """Return the client ID of a validated registration."""
        return mcp_clients.seal(self._clients, name, uris)

    async def client(self, client_id: str) -> McpClient:
        """Return the client of this ID. Raises AuthorizationRefused."""
        if self._documents is not None and client_id.startswith("https://"):
            return await self._documents.client(client_id)
        client = mcp_clients.opened(self._clients, client_id, self._clock())
        if client is None:
            raise AuthorizationRefused("client_id is missing, or was not issued by this gateway")
        return client

    def need_redirect(self, uri: str, host: str) -> None:
        """Raise AuthorizationRefused unless the configuration allows this redirect: to the user's own
        machine, to a listed URI, or to the host of the client's document, if that is listed."""
        if mcp_clients.is_loopback_redirect(uri) or uri in self.mcp.redirect_uris:
            return
        if host not in self.mcp.client_documents or not uri.startswith(f"https://{host}/"):
            raise AuthorizationRefused("the configuration no longer lists the redirect URI")

    # --- one authorization, from request to code ---

    def begin(self, page: PageRequest, authorization: Authorization) -> Pending:
        """Keep an authorization in the browser until the user has signed in and decided."""
        return pending.begin(page, self._pending, authorization)

    def pending(self, page: PageRequest, tab: str) -> Pending | None:
        """Return the authorization of this tab, if this browser began it.

        Raises AuthorizationRefused if its redirect was allowed by an earlier configuration alone.
        """
        found = pending.found(page, self._pending, tab)
        if found is not None:
            self.need_redirect(found.authorization.redirect_uri, found.authorization.host)
        return found

    def is_for_client(self, return_to: str) -> bool:
        """Return whether a sign-in with this return address is made for a client."""
        return pending.tab_of(return_to, self._prefix) is not None

    def pending_of(self, page: PageRequest, return_to: str) -> Pending | None:
        """Return the authorization that a sign-in with this return address belongs to, or None."""
        tab = pending.tab_of(return_to, self._prefix)
        return None if tab is None else self.pending(page, tab)

    async def signed_in(self, page: PageRequest, waiting: Pending, pool: UserPool, tokens: Tokens) -> None:
        """Keep the tokens of a sign-in for its authorization. Raises InvalidToken, NoKeys."""
        now = self._clock()
        proven = await self._prover.pair(pool, tokens.access, tokens.id, now=now)
        session = Session(
            id=secrets.token_hex(_ID_BYTES),
            pool_id=pool.id,
            client_id=proven.access.client_id,
            subject=proven.access.subject,
            username=proven.access.username or proven.access.subject,
            created=now,
            renewed=now,
            expires=proven.access.expires_at,
            access=tokens.access,
            id_token="",
            refresh=tokens.refresh,
            device_key=tokens.device_key,
        )
        pending.signed_in(page, self._pending, waiting, session, proven.id.email or session.username)
        self._audit("mcp_sign_in", page, session, waiting)

    async def allow(self, page: PageRequest, waiting: Pending, session: Session) -> str:
        """Return the redirect that gives the client its code. Raises StoreUnavailable."""
        asked = waiting.authorization
        granted = Granted(asked.client, asked.redirect_uri, asked.challenge, asked.scopes, session)
        code = await self.codes.keep(granted, self._clock())
        pending.forget(page, waiting)
        self.count("consent", "success")
        self._audit("mcp_consent", page, session, waiting)
        return asked.address(self.issuer, code=code)

    def deny(self, page: PageRequest, waiting: Pending, session: Session) -> str:
        """Return the redirect that reports the denial to the client (RFC 6749 section 4.1.2.1)."""
        pending.forget(page, waiting)
        self.count("consent", "denied")
        self._audit("mcp_denied", page, session, waiting)
        return waiting.authorization.address(self.issuer, error="access_denied")

    # --- metrics and the log ---

    def count(self, step: Literal["registration", "consent", "token"], result: str) -> None:
        """Count one step; `result` is success, denied, or one of our error codes."""
        self._metrics.mcp_requests[step, result] += 1

    def refused(self, request: Request, error: OAuthError) -> None:
        """Record and log an error that is returned to a client."""
        request.decision = "error" if error.status >= 500 else "refused"
        request.reason = OAuthRefused.reason
        if not self._logged.take(address_key(request.client), request.started).allowed:
            return
        self._log.event(
            "mcp_refused",
            request_id=request.request_id.decode("ascii"),
            client=request.client,
            error=error.error,
            exact=redact(error.sentence),
        )

    def _audit(self, event: str, page: PageRequest, session: Session, waiting: Pending) -> None:
        self._log.event(
            event,
            request_id=page.request_id,
            client=page.client,
            pool=session.pool_id,
            subject=session.subject,
            mcp_client=waiting.authorization.client,
        )

    def __repr__(self) -> str:
        return f"<FrontDoor of {self.issuer}>"
