"""Validation of an app client's OAuth settings, for managed login and client credentials.

Invariant: a stored client has only scopes that exist and redirects browsers only to URLs it registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from local_cognito.errors import AwsError, invalid_parameter
from local_cognito.state import Pool

# The scope that lets an access token call the user pools API.
SELF_SERVICE = "aws.cognito.signin.user.admin"
# System-managed: registers app clients (developer guide, "Dynamic client registration").
REGISTER_SCOPE = "aws.cognito/dcr/register"
STANDARD_SCOPES = frozenset({"openid", "email", "phone", "profile", SELF_SERVICE})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_oauth(pool: Pool, settings: Mapping[str, Any], secret: str | None) -> None:
    """Raise the AwsError that CreateUserPoolClient would."""
    flows, scopes = settings.get("AllowedOAuthFlows") or [], settings.get("AllowedOAuthScopes") or []
    for url in (*settings.get("CallbackURLs", ()), *settings.get("LogoutURLs", ())):
        check_url(url)
    default = settings.get("DefaultRedirectURI")
    if default is not None and default not in settings.get("CallbackURLs", ()):
        raise invalid_parameter("DefaultRedirectURI must be in the CallbackURLs list.")
    for scope in scopes:
        if scope not in STANDARD_SCOPES and scope not in custom_scopes(pool):
            raise AwsError("ScopeDoesNotExistException", f"Invalid scope requested: {scope}")
    if settings["AllowedOAuthFlowsUserPoolClient"] and not (flows and scopes):
        raise AwsError(
            "InvalidOAuthFlowException",
            "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed to use "
            "OAuth flows.",
        )
    if "code" in flows and not settings.get("CallbackURLs"):
        raise AwsError("InvalidOAuthFlowException", "CallbackURLs are required for the code flow.")
    if "client_credentials" in flows:
        _check_client_credentials(flows, scopes, secret)


def _check_client_credentials(flows: list[str], scopes: list[str], secret: str | None) -> None:
    # API reference, CreateUserPoolClient, AllowedOAuthFlows: as the only flow, and with a client secret.
    if len(flows) > 1:
        raise AwsError(
            "InvalidOAuthFlowException",
            "client_credentials flow can not be selected along with code flow or implicit flow.",
        )
    if secret is None:
        raise AwsError(
            "InvalidOAuthFlowException",
            "client_credentials flow can not be selected if client does not have a client secret.",
        )
    if STANDARD_SCOPES & set(scopes):
        raise AwsError("InvalidOAuthFlowException", "client_credentials flow takes custom scopes only.")


def custom_scopes(pool: Pool) -> set[str]:
    """Return the scopes of resource servers, and Cognito's own for machines."""
    return {REGISTER_SCOPE} | {
        f"{identifier}/{scope['ScopeName']}"
        for identifier, server in pool.resource_servers.items()
        for scope in server.get("Scopes", ())
    }


def check_url(url: str) -> None:
    """Validate a redirect URL (API reference, CallbackURLs): absolute, no fragment; http only for
    loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise invalid_parameter(f"{url} is not a valid redirect uri.") from None
    if not parts.scheme or parts.fragment or url.endswith("#"):
        raise invalid_parameter(f"{url} is not a valid redirect uri.")
    if parts.scheme in ("http", "https") and not host:
        raise invalid_parameter(f"{url} is not a valid redirect uri.")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise invalid_parameter(f"{url} cannot use http protocol.")
