"""Checks on an authorization request (RFC 6749 section 4.1.1), and the address its answer goes to. Pure.

Invariant: no redirect before client and redirect URI are verified; PKCE is S256; the resource is ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from gateway.errors import AuthorizationRefused
from gateway.mcp.mcp_clients import McpClient
from gateway.mcp.oauth_error import OAuthError

# RFC 7636 section 4.2: a SHA-256 in base64url; section 4.1: the verifier it is computed from.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# RFC 6749 appendix A.5: printable ASCII. A longer state does not fit into the cookie.
_STATE = re.compile(r"[ -~]{0,1024}")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a user is asked to allow. `scopes`: the requested scopes that this gateway knows."""

    client: str
    unverified_name: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    state: str | None = field(repr=False, default=None)
    # The host of the client's document; empty for a registered client.
    host: str = ""

    def address(self, issuer: str, **answer: str) -> str:
        """Return the redirect URI with the answer, the unchanged state and the issuer in its query (RFC 9207:
        a client of several servers can tell which one answered)."""
        return redirect_address(self.redirect_uri, self.state, issuer, **answer)


def redirect_address(redirect_uri: str, state: str | None, issuer: str, **answer: str) -> str:
    """Return the address of an answer; the query of the redirect URI is kept (RFC 6749 section 3.1.2)."""
    query = urlencode({**answer, **({} if state is None else {"state": state}), "iss": issuer})
    return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{query}"


def redirect_of(fields: Mapping[str, str], client: McpClient) -> str:
    """Return the redirect URI of a request. Raises AuthorizationRefused, which is never a redirect."""
    uri = fields.get("redirect_uri")
    # Stricter than RFC 6749, which lets a client with one redirect URI leave it out.
    if uri is None or not client.may_redirect_to(uri):
        raise AuthorizationRefused("redirect_uri is missing, or not one that the client registered")
    return uri


def read(
    fields: Mapping[str, str], client: McpClient, *, resource: str, scopes: Sequence[str]
) -> Authorization:
    """Return the request of a client with a verified redirect URI; `scopes`: all that routes ask for.

    Raises OAuthError, which goes to the redirect URI.
    """
    if fields.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code.")
    if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(
        fields.get("code_challenge", "")
    ):
        raise OAuthError("invalid_request", "PKCE with code_challenge_method=S256 is required.")
    need_resource(fields, resource, required=True)
    state = fields.get("state")
    if state is not None and not _STATE.fullmatch(state):
        raise OAuthError("invalid_request", "state is too long, or holds other signs than printable ASCII.")
    asked = fields.get("scope", "").split()
    return Authorization(
        client=client.digest,
        unverified_name=client.unverified_name,
        redirect_uri=fields["redirect_uri"],
        challenge=fields["code_challenge"],
        # RFC 6749 section 3.3: unknown scopes are ignored; a request without scopes gets all of them.
        scopes=tuple(scope for scope in scopes if not asked or scope in asked),
        state=state,
        host=client.host,
    )


def need_resource(fields: Mapping[str, str], resource: str, *, required: bool) -> None:
    """Check that the token is requested for this resource (RFC 8707 section 2). Raises OAuthError."""
    wanted = fields.get("resource")
    if wanted is None and not required:
        return
    if wanted is None or _normal(wanted) != _normal(resource):
        raise OAuthError("invalid_target", "resource must be the URL of this MCP server.")


def _normal(url: str) -> str:
    """RFC 3986 section 6.2: scheme and host in any case. Some clients append a slash."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{mark}{host.lower()}{slash}{path}".removesuffix("/")


def proves(verifier: str, challenge: str) -> bool:
    """Return whether the challenge was computed from this verifier (RFC 7636 section 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode("ascii"))
