"""The client of managed login's token endpoint: redeems an authorization code for tokens.

Invariant: one POST to the configured domain, never redirected, bounded in time and size; no exception's text
contains the code or a token.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

from aiohttp import ClientError

from gateway.aws.values import Tokens
from gateway.config.model import Egress
from gateway.errors import CognitoUnavailable, GatewayError, SignInRefused
from gateway.outgoing.aws_http import AwsHttp
from gateway.tokens import strict_json

# Seconds for connection, TLS and answer: Cognito takes 0.2 s, and the user waits in front of an empty page.
_TIMEOUT = 10.0
# Cognito's three tokens take 5 KiB.
_MOST = 256 * 1024
# RFC 6749 section 5.2. Any other value is not repeated, not even in the log.
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


_HEADERS = {"Accept": "application/json"}


async def redeem(
    domain: str,
    egress: Egress,
    *,
    client_id: str,
    client_secret: str | None,
    code: str,
    verifier: str,
    redirect_uri: str,
) -> Tokens:
    """Redeem a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5). Raises SignInRefused or
    CognitoUnavailable."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
    }
    # RFC 6749 section 2.3.1; Cognito's IDs and secrets contain nothing to encode.
    basic = "" if client_secret is None else _basic(client_id, client_secret)
    http = AwsHttp(egress)
    try:
        async with asyncio.timeout(_TIMEOUT):
            status, body = await _post(http, f"{domain.rstrip('/')}/oauth2/token", form, basic)
    except TimeoutError:
        raise CognitoUnavailable(f"the token endpoint did not answer within {_TIMEOUT:g} s") from None
    except (GatewayError, ClientError, OSError, ValueError) as error:
        raise CognitoUnavailable(f"the token endpoint: {http.explain(error)}") from None
    if status >= 500 or status == 429:
        raise CognitoUnavailable(f"the token endpoint answered {status}")
    return _tokens(status, _members(body))


async def _post(http: AwsHttp, url: str, form: Mapping[str, str], basic: str) -> tuple[int, bytes]:
    options = await http.options(url)
    headers = _HEADERS | ({"Authorization": basic} if basic else {})
    session = http.session()
    async with (
        session,
        session.post(url, data=form, headers=headers, allow_redirects=False, **options) as answer,
    ):
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > _MOST:
                raise ValueError("the answer is too long")
        return answer.status, bytes(body)


def _basic(client_id: str, client_secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii")


def _members(body: bytes) -> Mapping[str, object]:
    try:
        members = strict_json.loads(body)
    except ValueError:
        members = None
    return members if isinstance(members, dict) else {}


def _tokens(status: int, members: Mapping[str, object]) -> Tokens:
    if status != 200:
        error = members.get("error")
        raise SignInRefused(f"the token endpoint: {error if error in _ERRORS else status}")
    access, id_token = members.get("access_token"), members.get("id_token")
    if not isinstance(access, str) or not access:
        raise CognitoUnavailable("the token endpoint answered without an access token")
    if not isinstance(id_token, str) or not id_token:
        raise SignInRefused("no ID token: the app client must allow the scope openid")
    refresh, expires_in = members.get("refresh_token"), members.get("expires_in")
    return Tokens(
        access=access,
        id=id_token,
        refresh=refresh if isinstance(refresh, str) else "",
        expires_in=expires_in if isinstance(expires_in, int) else 0,
    )
