"""POST /oauth2/register: app clients that applications register themselves (RFC 7591).

Invariant: a registered client can do no more than the pool's DcrConfiguration allows. Sources: API reference,
DcrConfigurationType; developer guide, "Dynamic client registration"; RFC 7591 where AWS says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.client_oauth import REGISTER_SCOPE, check_url
from local_cognito.clients import create_client
from local_cognito.errors import AwsError
from local_cognito.oauth.token_endpoint import OAuthError
from local_cognito.shapes import Field, check
from local_cognito.state import Client, Pool, State
from local_cognito.tokens import read_token

Answer = dict[str, Any]

_OIDC_SCOPES = ("openid", "email", "phone", "profile")
_MOST_CLIENTS = 1000
_TEXTS = Field(list, maximum=20, item=Field(str, minimum=1, maximum=1024))
# RFC 7591 section 2. Members without an effect are ignored, as the RFC asks; these are read.
_METADATA = {
    "redirect_uris": _TEXTS,
    "token_endpoint_auth_method": Field(str, maximum=64),
    "grant_types": _TEXTS,
    "response_types": _TEXTS,
    "client_name": Field(str, maximum=128),
    "scope": Field(str, maximum=8192),
}
_METHODS = ("none", "client_secret_basic", "client_secret_post")
_FLOWS = {"authorization_code": "code", "client_credentials": "client_credentials"}


def enabled(pool: Pool) -> bool:
    """Return whether applications can register: the setting is on, and there is a domain to do it at."""
    settings = pool.settings.get("DcrConfiguration", {})
    return bool(settings) and settings["EnableStatus"] == "Enabled" and pool.domain is not None


def pool_for(state: State, pool_id: str | None) -> Pool | None:
    """Return the pool to register at: the named one or, at the shared address, the only one."""
    pools = [pool for pool in state.pools.values() if enabled(pool) and pool_id in (None, pool.id)]
    return pools[0] if len(pools) == 1 else None


def register(state: State, pool: Pool, given: Mapping[str, Any], token: str | None, now: float) -> Answer:
    """Create the client; return its information response (RFC 7591 section 3.2.1). Raises OAuthError."""
    settings = pool.settings["DcrConfiguration"]
    flows = _permitted(state, pool, token, now)
    if len(pool.clients) >= _MOST_CLIENTS:
        raise OAuthError("invalid_client_metadata", "the user pool has as many app clients as it can have")
    asked = _read(given)
    grants = asked.get("grant_types") or ["authorization_code"]
    method = asked.get("token_endpoint_auth_method", "client_secret_basic")
    if method not in _METHODS:
        raise OAuthError("invalid_client_metadata", f"token_endpoint_auth_method {method} is not supported")
    wanted = [grant for grant in grants if grant != "refresh_token"]
    if not wanted or any(_FLOWS.get(grant) not in flows for grant in wanted):
        raise OAuthError("invalid_client_metadata", "a grant type is not permitted for this registration")
    scopes = _scopes(settings, asked, machine="client_credentials" in wanted)
    request = {
        "UserPoolId": pool.id,
        "ClientName": _name(asked.get("client_name", "")),
        "GenerateSecret": method != "none",
        "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": [_FLOWS[grant] for grant in dict.fromkeys(wanted)],
        "AllowedOAuthScopes": scopes,
        "CallbackURLs": _redirects(asked),
        "SupportedIdentityProviders": ["COGNITO"],
    }
    try:
        made = create_client(state, request, now)["UserPoolClient"]
    except AwsError as error:
        raise OAuthError("invalid_client_metadata", error.message) from None
    client = pool.clients[made["ClientId"]]
    client.registered = True
    return _information(client, asked, grants, method, now)


def _permitted(state: State, pool: Pool, token: str | None, now: float) -> list[str]:
    """Return the flows that this kind of registration may ask for. Raises OAuthError."""
    settings = pool.settings["DcrConfiguration"]
    if token is not None:
        try:
            claims, _, _ = read_token(state, pool, token, "access", now)
        except AwsError as error:
            raise OAuthError("invalid_token", error.message) from None
        if REGISTER_SCOPE not in claims["scope"].split():
            raise OAuthError("invalid_token", "the access token does not have the scope for registration")
        return list(settings["AuthenticatedGrantTypes"])
    if not settings["OpenDcrEnabled"]:
        raise OAuthError("invalid_token", "registration needs an initial access token")
    return list(settings["OpenDcrGrantTypes"])


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return check(_METADATA, {name: given[name] for name in _METADATA if name in given})
    except AwsError as error:
        raise OAuthError("invalid_client_metadata", error.message) from None


def _redirects(asked: Mapping[str, Any]) -> list[str]:
    uris: list[str] = asked.get("redirect_uris", [])
    try:
        for uri in uris:
            check_url(uri)
    except AwsError as error:
        raise OAuthError("invalid_redirect_uri", error.message) from None
    return uris


def _scopes(settings: Mapping[str, Any], asked: Mapping[str, Any], *, machine: bool) -> list[str]:
    allowed = [scope for scope in settings["AllowedScopes"] if scope != REGISTER_SCOPE]
    if not machine:
        allowed = [*_OIDC_SCOPES, *(scope for scope in allowed if scope not in _OIDC_SCOPES)]
    wanted = list(dict.fromkeys(asked.get("scope", "").split())) or allowed
    if not set(wanted) <= set(allowed):
        raise OAuthError("invalid_client_metadata", "a scope is not one that registered clients can request")
    return wanted


def _name(given: str) -> str:
    """Return a ClientName: other characters than the API allows become hyphens."""
    kept = "".join(c if c.isalnum() or c in "_ +=,.@-" else "-" for c in given).strip()
    return kept[:128] or "registered client"


def _information(
    client: Client, asked: Mapping[str, Any], grants: list[str], method: str, now: float
) -> Answer:
    secret = {"client_secret": client.secret, "client_secret_expires_at": 0} if client.secret else {}
    return {
        "client_id": client.id,
        "client_id_issued_at": int(now),
        **secret,
        "client_name": client.settings["ClientName"],
        "redirect_uris": client.settings["CallbackURLs"],
        "grant_types": grants,
        "response_types": ["code"] if "authorization_code" in grants else [],
        "token_endpoint_auth_method": method,
        "scope": " ".join(client.settings["AllowedOAuthScopes"]),
    }
