"""Signing for an upstream that is AWS: each request with the caller's temporary credentials.

It joins client/signing.py, which does not know AWS, and aws/sigv4.py, which does not know requests.
Invariant: a request is signed with the credentials of exactly the principal it was allowed for, or not sent.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from gateway.client.signing import SignedForward
from gateway.config.model import Config, SigV4, UserPool
from gateway.errors import (
    CognitoUnavailable,
    CredentialsRefused,
    GatewayError,
    IdTokenRequired,
    NoCredentials,
    ReservedQueryNames,
    UpgradeRefused,
)
from gateway.gate.verdict import Forward
from gateway.http.headers import value_of
from gateway.http.request import Request
from gateway.tokens.bearer import bearer_token
from gateway.tokens.principal import Principal

if TYPE_CHECKING:
    from gateway.aws.identity_pool import Credentials
    from gateway.pages.aws_credentials import CredentialsCache
    from gateway.pages.build import Built
    from gateway.sessions.threads import Threads

# Services that accept UNSIGNED-PAYLOAD over https, so that bodies can stream (S3 API reference,
# "Authenticating requests"; VPC Lattice user guide, "SIGv4 authenticated requests": it accepts nothing else).
_UNSIGNED = frozenset({"s3", "s3-object-lambda", "s3-outposts", "vpc-lattice-svcs"})
# Seconds for which a refusal by AWS is cached. Otherwise refused clients make us call AWS, which allows an
# account 200 calls per second; on the other hand, a role that was fixed should work soon.
_REFUSED_FOR = 10.0
_REMEMBERED = 1000


def signer_of(config: Config, *, portal: Built | None) -> UpstreamSigner | None:
    """Return the signer; None if the upstream is not AWS. The portal's credentials are shared if there is
    one."""
    sigv4 = config.upstream.sigv4
    if sigv4 is None:
        return None
    # Imported only for such an upstream.
    from gateway.pages.aws_credentials import CredentialsCache  # noqa: PLC0415
    from gateway.sessions.threads import Threads  # noqa: PLC0415

    threads = Threads() if portal is None else portal.threads
    credentials = CredentialsCache(config.cognito, threads) if portal is None else portal.credentials
    return UpstreamSigner(config, sigv4, portal=portal, threads=threads, credentials=credentials)


class UpstreamSigner:
    """The signer of one configuration (request.RequestSigner)."""

    def __init__(
        self,
        config: Config,
        sigv4: SigV4,
        *,
        portal: Built | None,
        threads: Threads,
        credentials: CredentialsCache,
    ) -> None:
        self._sigv4 = sigv4
        self._scheme = config.upstream.scheme
        self._pools = {pool.id: pool for pool in config.cognito.user_pools}
        self._portal = portal
        self._threads = threads
        self.credentials = credentials
        self.holds_bodies = not (sigv4.service in _UNSIGNED and self._scheme == "https")
        self.max_body = sigv4.max_body_size
        self._loaded = False
        # Digest of an ID token → until when the refusal is cached, and its text.
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    async def stop(self) -> None:
        """Stop what is not shared with the portal. Idempotent."""
        if self._portal is None:
            await self.credentials.stop()
            self._threads.close()

    def forward(self, request: Request, principal: Principal | None, identity: bytes) -> Forward:
        """Return how to send an allowed request. Raises IdTokenRequired, UpgradeRefused, ReservedQueryNames.

        An anonymous request is sent without a signature: AWS decides what it allows everyone.
        """
        if request.upgrade:
            raise UpgradeRefused("a signature covers one request, not a tunnel")
        if request.query:
            _refuse_signing_names(request.query)
        if principal is None:
            return Forward(identity, "none")
        if principal.claims.token_use != "id" and not request.by_cookie:  # noqa: S105 - a kind of token
            raise IdTokenRequired("an access token without a session: identity pools accept ID tokens only")
        return SignedForward(identity, self)

    async def lines(self, request: Request, body: bytes) -> bytes:
        """Return the header lines of the signature.

        Raises CredentialsRefused, CognitoUnavailable, SessionsUnavailable, NoCredentials."""
        principal = request.principal
        assert principal is not None, "anonymous requests are not signed"
        pool = self._pools[principal.claims.pool_id]
        given = await self._given(pool, await self._id_token(request, principal))
        if not self._loaded:
            await self._load()
        # Loaded by now; otherwise the import would block the event loop.
        from gateway.aws.sigv4 import Signable, signature_lines  # noqa: PLC0415

        host = request.peer.upstream_host
        content_type = value_of(request.head, b"content-type")
        asked = Signable(
            method=request.method,
            scheme=self._scheme,
            host="" if host is None else host.decode("ascii"),
            path=request.raw_path,
            query=request.query.removeprefix("?"),
            content_type=None if content_type is None else content_type.decode("latin-1"),
            body=body if self.holds_bodies else None,
        )
        return signature_lines(asked, given, service=self._sigv4.service, region=self._sigv4.region)

    async def _load(self) -> None:
        """Load botocore, which takes some 100 ms, in a thread, once."""
        try:
            await self._threads.run(lambda: import_module("gateway.aws.sigv4"))
        except GatewayError as error:
            raise CognitoUnavailable(str(error)) from None
        self._loaded = True

    async def _given(self, pool: UserPool, id_token: str) -> Credentials:
        if pool.identity_pool_id is None:
            raise CredentialsRefused("no identity_pool_id is configured for the user's pool")
        # A digest of the token, so that it is stored nowhere else.
        key, now = sha256(id_token.encode("ascii")).digest(), time.time()
        until, why = self._refused.get(key, (0.0, ""))
        if now < until:
            raise CredentialsRefused(why)
        try:
            return await self.credentials.of(pool, id_token, now=now)
        except CredentialsRefused as refused:
            self._refused[key] = time.time() + _REFUSED_FOR, str(refused)
            while len(self._refused) > _REMEMBERED:
                self._refused.popitem(last=False)
            raise

    async def _id_token(self, request: Request, principal: Principal) -> str:
        """Return the principal's own ID token, just verified, or the one stored with its session."""
        if principal.claims.token_use == "id":  # noqa: S105 - a kind of token
            return bearer_token(request.credentials).decode("ascii")
        assert self._portal is not None, "cookies are accepted only with a portal"
        session = await self._portal.by_cookie.session(request)
        if session is None or session.subject != principal.claims.subject:
            raise NoCredentials("the session ended while its request waited")
        return session.id_token


def _refuse_signing_names(query: str) -> None:
    """Refuse query parameters that AWS reads as signature or credentials, as they would be signed
    ("Authenticating requests: using query parameters"). Raises ReservedQueryNames."""
    lower = query.lower()
    if not any(sign in lower for sign in ("x-amz", "aws", "%")):
        return
    for member in lower.removeprefix("?").replace(";", "&").split("&"):
        name = unquote_to_bytes(member.partition("=")[0]).strip().lower()
        if name.startswith((b"x-amz-", b"x-amzn-")) or name == b"awsaccesskeyid":
            raise ReservedQueryNames("the query has a parameter that AWS reads as part of a signature")
