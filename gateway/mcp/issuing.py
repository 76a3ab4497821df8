"""The two grants of the token endpoint: authorization code and refresh token (RFC 6749 sections 4.1.3 and 6).

A refresh token is Cognito's, sealed together with the client it was issued to: another client's is refused
without a call to Cognito. A code that is presented twice ends its sign-in (grant_ends.py). Invariant: every
token issued was verified just before, belongs to one client and to a sign-in that has not ended, and carries
no scope beyond those consented to.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Literal

from gateway.aws.values import CognitoRefused
from gateway.config.model import Config, Mcp
from gateway.errors import GatewayError, NoKeys, Refusal
from gateway.mcp.authorization import need_resource, proves
from gateway.mcp.authorization_codes import Codes
from gateway.mcp.grant_ends import GrantEnds
from gateway.mcp.mcp_clients import NEVER, McpClient
from gateway.mcp.oauth_error import OAuthError
from gateway.mcp.sealed_tokens import SealedTokens
from gateway.observe.logs import Logger
from gateway.policy.rate import Buckets, RateRule, seconds
from gateway.sessions import session as form
from gateway.sessions.cognito import Users
from gateway.sessions.proof import Prover
from gateway.sessions.renewing import FINAL
from gateway.sessions.replicas import StoreUnavailable
from gateway.sessions.sealing import Sealer
from gateway.sessions.session import Session
from gateway.tokens.claims import decode

PREFIX = "mcp_rt_"
# Least remaining lifetime of an issued token (seconds): the user may have taken minutes to consent.
_LEAST = 60.0
# Bytes of JSON in a sealed refresh token; Cognito's takes 2,000.
_MOST = 64 * 1024
# Renewals for each user, over all their clients: an access token lives at least five minutes. A client that
# renews in a loop would otherwise use up the quota of calls to Cognito.
_RENEWALS = RateRule(0.2, 60)
# Retry-After, in seconds: Redis is usually back after one; Cognito may need longer.
_SOON, _LATER = 1, 5


class Issuing:
    """The token endpoint of one configuration."""

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
        log: Logger,
        clock: Callable[[], float],
    ) -> None:
        self._pools = {pool.id: pool for pool in config.cognito.sign_in_pools}
        self._mcp = mcp
        self._max_token = config.cognito.max_token_size
        self._tokens = tokens
        self._refresh = Sealer(tokens.secrets, "mcp refresh token")
        self._codes = codes
        self._ending = ending
        self._users = users
        self._prover = prover
        self._log = log
        self._clock = clock
        self._renewals: Buckets[tuple[str, str]] = Buckets(_RENEWALS)

    async def by_code(self, fields: Mapping[str, str], client: McpClient) -> dict[str, object]:
        """Return the tokens for an authorization code. Raises OAuthError."""
        try:
            # Presenting a code consumes it, whatever else is wrong: there is no second attempt.
            taken = await self._codes.take(fields.get("code", ""), self._clock())
        except StoreUnavailable:
            raise OAuthError("temporarily_unavailable", "Try again.", status=503, retry_after=_SOON) from None
        if taken is None:
            raise OAuthError("invalid_grant", "The code is unknown, used or older than a minute.")
        granted = taken.granted
        if taken.again:
            # It does not matter who presents it: one of the two requests was not the client's.
            self._audit("mcp_code_used_twice", granted.session, client, level="warning")
            await self._ending.end(granted.session)
            raise OAuthError("invalid_grant", "The code was used before: its tokens are revoked.")
        if granted.client != client.digest:
            raise OAuthError("invalid_grant", "The code was issued to another client.")
        if granted.redirect_uri != fields.get("redirect_uri"):
            raise OAuthError("invalid_grant", "redirect_uri differs from that of the authorization request.")
        if not proves(fields.get("code_verifier", ""), granted.challenge):
            raise OAuthError("invalid_grant", "code_verifier does not match code_challenge.")
        need_resource(fields, self._mcp.resource, required=False)
        session = granted.session
        if session.expires - self._clock() < _LEAST:
            session = await self._renewed(session)
        await self._need_alive(session)
        self._audit("mcp_tokens_issued", session, client)
        return self._answer(session, client, granted.scopes, granted.scopes)

    async def by_refresh_token(self, fields: Mapping[str, str], client: McpClient) -> dict[str, object]:
        """Return new tokens for a refresh token. Raises OAuthError."""
        session, granted = self._opened(fields.get("refresh_token", ""), client)
        if self._ending.has_ended(session):
            raise _ended()
        need_resource(fields, self._mcp.resource, required=False)
        scopes = granted
        if asked := fields.get("scope", "").split():
            if not set(asked) <= set(granted):
                # RFC 6749 section 6.
                raise OAuthError("invalid_scope", "scope exceeds what the user consented to.")
            scopes = tuple(scope for scope in granted if scope in asked)
        renewed = await self._renewed(session)
        await self._need_alive(renewed)
        self._audit("mcp_tokens_renewed", renewed, client)
        return self._answer(renewed, client, scopes, granted)

    async def _need_alive(self, session: Session) -> None:
        """Raise OAuthError if the sign-in has ended while its tokens were renewed."""
        if self._ending.has_ended(session):
            # Its refresh token may be newer than the one that was revoked.
            await self._ending.end(session)
            raise _ended()

    async def _renewed(self, session: Session) -> Session:
        """Return the session with new tokens, verified. Raises OAuthError."""
        pool = self._pools.get(session.pool_id)
        if pool is None or not session.refresh:
            raise _ended()
        allowance = self._renewals.take((session.pool_id, session.subject), self._clock())
        if not allowance.allowed:
            raise OAuthError(
                "temporarily_unavailable",
                "Too many refreshes: try again later.",
                status=429,
                retry_after=seconds(allowance.retry_after),
            )
        try:
            tokens = await self._users.renew(session)
            proven = await self._prover.pair(pool, tokens.access, tokens.id, now=self._clock())
        except CognitoRefused as refused:
            if refused.code in FINAL and not refused.of_the_client:
                raise OAuthError("invalid_grant", "The sign-in has ended at Cognito.") from None
            raise self._failed(session, refused.code) from None
        except GatewayError as error:
            raise self._failed(session, str(error)) from None
        except NoKeys as refusal:
            raise self._failed(session, refusal.reason) from None
        except Refusal as refusal:
            raise self._failed(session, f"the new tokens: {refusal.reason}") from None
        if proven.access.subject != session.subject:
            raise self._failed(session, "the new tokens are another user's")
        now = self._clock()
        return replace(
            session,
            access=tokens.access,
            refresh=tokens.refresh,
            renewed=now,
            expires=proven.access.expires_at,
        )

    def _failed(self, session: Session, exact: str) -> OAuthError:
        """Log a failed renewal, and return the error for the client, which did not cause it."""
        self._log.event(
            "refresh_failed",
            level="warning",
            pool=session.pool_id,
            subject=session.subject,
            result="failure",
            exact=exact,
        )
        return OAuthError(
            "temporarily_unavailable", "Cognito is unavailable: try again.", status=503, retry_after=_LATER
        )

    def _answer(
        self, session: Session, client: McpClient, scopes: tuple[str, ...], granted: tuple[str, ...]
    ) -> dict[str, object]:
        """Return the token response (RFC 6749 section 5.1)."""
        access, named = session.access, scopes
        if self._mcp.tokens == "sealed":
            access = self._tokens.seal(access, client=client.digest, scopes=scopes)
        else:
            # Cognito's own token has the scopes of the app client, whatever was consented to.
            claims = decode(access.encode("ascii"), self._max_token).unverified_claims
            named = tuple(str(claims.get("scope", "")).split())
        answer: dict[str, object] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": max(0, int(session.expires - self._clock())),
        }
        if session.refresh:
            answer["refresh_token"] = self._sealed(session, client, granted)
        if named:
            answer["scope"] = " ".join(named)
        return answer

    def _sealed(self, session: Session, client: McpClient, scopes: tuple[str, ...]) -> str:
        # The access token is issued separately.
        members = asdict(replace(session, access="", id_token=""))
        data = zlib.compress(json.dumps([members, *scopes], separators=(",", ":")).encode("ascii"), 6)
        return PREFIX + self._refresh.seal(data, until=NEVER, binding=self._binding(client))

    def _opened(self, token: str, client: McpClient) -> tuple[Session, tuple[str, ...]]:
        data = None
        if token.startswith(PREFIX):
            data = self._refresh.open(
                token.removeprefix(PREFIX), now=self._clock(), binding=self._binding(client)
            )
        session = None
        if data is not None:
            members, *scopes = json.loads(zlib.decompressobj().decompress(data, _MOST))
            session = form.of_members(members)
        if session is None:
            raise OAuthError(
                "invalid_grant", "The refresh token is invalid, or was issued to another client."
            )
        return session, tuple(scopes)

    def _binding(self, client: McpClient) -> bytes:
        return f"{client.digest} {self._mcp.resource}".encode("ascii")

    def _audit(
        self, event: str, session: Session, client: McpClient, level: Literal["info", "warning"] = "info"
    ) -> None:
        self._log.event(
            event, level=level, pool=session.pool_id, subject=session.subject, mcp_client=client.digest
        )

    def __repr__(self) -> str:
        return f"<Issuing for {self._mcp.resource}>"


def _ended() -> OAuthError:
    return OAuthError("invalid_grant", "The sign-in has ended.")
