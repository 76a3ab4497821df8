"""MCP clients: each registration is sealed into its client ID (RFC 7591). Pure.

Nothing is stored: a million registrations cost no memory. Invariant: users are redirected only to a loopback
address that the client registered, on any port, or to a URI that the configuration lists.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import AuthorizationRefused
from gateway.mcp.oauth_error import OAuthError
from gateway.sessions.sealing import Sealer

PREFIX = "mcp_client_"
# A registration does not expire (RFC 7591 limits secrets only): clients keep their ID for years. The year
# 9999; removing a key from the secret file invalidates all that it sealed.
NEVER = 253402300799.0
# Clients register a name and one or two URIs. The ID travels in URLs and in a cookie.
_MOST_URIS, _LONGEST_URI, _LONGEST_NAME = 10, 1024, 100
_LONGEST_ALL = 2048
# Documents come from hosts that the operator lists, and are cached.
_MOST_DOCUMENT_URIS = 50
# The characters of a URI (RFC 3986 appendix A), without a fragment (RFC 6749 section 3.1.2).
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!$-;=?-Z\[\]_a-z~]+")
# Printable, and yet nothing is to be seen: a name of these looks like none.
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Combining marks on one letter; a hundred would cover the lines above and below.
_MOST_MARKS = 3
# RFC 8252 section 7.3: http, a literal loopback address; `localhost` too (section 8.3 advises against
# it), because most MCP clients register it. A path, a query or nothing follows the port.
_LOOPBACK = re.compile(
    r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?((?:[/?][!$-;=?-Z\[\]_a-z~]*)?)"
)


@dataclass(frozen=True, slots=True)
class McpClient:
    """A client. `unverified_name` is its own claim and proves nothing."""

    id: str
    unverified_name: str
    redirect_uris: tuple[str, ...]
    # The host of its document (client_documents.py); empty for a registered client.
    host: str = ""

    @property
    def digest(self) -> str:
        """A short hash of the ID, which codes and refresh tokens are bound to."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]

    def may_redirect_to(self, uri: str) -> bool:
        """Return whether the client registered this URI (RFC 6749 section 3.1.2.3), or a loopback URI that
        differs in its port only (RFC 8252 section 7.3)."""
        return uri in self.redirect_uris or (
            (wanted := _loopback(uri)) is not None
            and any(_loopback(registered) == wanted for registered in self.redirect_uris)
        )


def is_loopback_redirect(uri: str) -> bool:
    """Return whether a redirect to this URI stays on the user's own machine."""
    return _loopback(uri) is not None


def registered(document: Mapping[str, object], allowed: Collection[str]) -> tuple[str, list[str]]:
    """Return the name and the redirect URIs of a registration; `allowed`: URIs besides loopback ones.

    Raises OAuthError with a code of RFC 7591 section 3.2.2. Other requested metadata is replaced by
    what this server supports (section 3.2.1).
    """
    name = document.get("client_name", "")
    if not isinstance(name, str):
        raise OAuthError("invalid_client_metadata", "client_name is not a text.")
    uris = document.get("redirect_uris")
    if not isinstance(uris, list) or not 1 <= len(uris) <= _MOST_URIS:
        raise OAuthError("invalid_redirect_uri", f"redirect_uris is not a list of 1 to {_MOST_URIS} URIs.")
    for uri in uris:
        if not isinstance(uri, str) or len(uri) > _LONGEST_URI or not (_loopback(uri) or uri in allowed):
            raise OAuthError(
                "invalid_redirect_uri",
                "A redirect URI is neither an http URI of a loopback address nor one that this server lists.",
            )
    if sum(map(len, uris)) > _LONGEST_ALL:
        raise OAuthError("invalid_redirect_uri", "The redirect URIs are too long together.")
    return shown_name(name), uris


def shown_name(name: str) -> str:
    """Return a client's name as one short line that covers nothing else, without invisible characters."""
    shown, marks = "", 0
    for sign in name:
        marks = marks + 1 if unicodedata.category(sign).startswith("M") else 0
        if marks <= _MOST_MARKS:
            shown += sign if sign.isprintable() and sign not in _BLANK else " "
    return " ".join(shown.split())[:_LONGEST_NAME]


def document_client(client_id: str, host: str, document: Mapping[str, object]) -> McpClient:
    """Return the client that a document at this address describes. Raises AuthorizationRefused."""
    name, uris = document.get("client_name", ""), document.get("redirect_uris")
    # The draft's section 4.1: compared as strings, or a document could describe another client.
    if document.get("client_id") != client_id:
        raise AuthorizationRefused("client_id in the client document differs from its URL")
    if document.get("token_endpoint_auth_method", "none") != "none":
        raise AuthorizationRefused(
            "the client document asks for a secret or key; only public clients are accepted"
        )
    if not isinstance(name, str) or not isinstance(uris, list) or len(uris) > _MOST_DOCUMENT_URIS:
        raise AuthorizationRefused("the client document has no usable name or redirect_uris")
    usable = tuple(
        uri for uri in uris if isinstance(uri, str) and len(uri) <= _LONGEST_URI and _URI.fullmatch(uri)
    )
    return McpClient(client_id, shown_name(name), usable, host)


def seal(sealer: Sealer, name: str, uris: Sequence[str]) -> str:
    """Return the client ID of a registration."""
    return PREFIX + sealer.seal(json.dumps([name, *uris]).encode("ascii"), until=NEVER)


def opened(sealer: Sealer, client_id: str, now: float) -> McpClient | None:
    """Return the client of this ID, or None if this gateway did not issue it."""
    if not client_id.startswith(PREFIX):
        return None
    data = sealer.open(client_id.removeprefix(PREFIX), now=now)
    if data is None:
        return None
    name, *uris = json.loads(data)
    return McpClient(client_id, name, tuple(uris))


def _loopback(uri: str) -> tuple[str, str] | None:
    """Return host and path of a loopback redirect URI, or None if it is another URI."""
    match = _LOOPBACK.fullmatch(uri)
    return None if match is None else (match[1], match[2])
