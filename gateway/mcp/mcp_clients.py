"""MCP clients: what one says of itself when it registers, sealed into its client ID (RFC 7591). Pure.

Nothing is kept for a client: who registers a million of them has a million texts. Invariant: people are sent
back only to a loopback address that the client registered, on any port, or to a URI that the configuration
lists.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import AuthorizationRefused
from gateway.mcp.oauth_error import OAuthError
from gateway.sessions.sealing import Sealer

PREFIX = "mcp_client_"
# A registration has no end (RFC 7591 knows one for secrets only): a client keeps its ID for years. The year
# 9999; taking a key out of the secret's file ends all that it sealed.
NEVER = 253402300799.0
# What clients register: one or two URIs, and a name. The ID travels in addresses and in a cookie.
_MOST_URIS, _LONGEST_URI, _LONGEST_NAME = 10, 1024, 100
_LONGEST_ALL = 2048
# A document is written by an operator whom ours trusts, and fetched once.
_MOST_DOCUMENT_URIS = 50
# RFC 8252 section 7.3: http, a literal loopback address; `localhost` as well (section 8.3 advises against
# it), for most MCP clients register it. Behind the port a path or a query begins, or nothing.
_LOOPBACK = re.compile(
    r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::[0-9]{1,5})?((?:[/?][!$-;=?-Z\[\]_a-z~]*)?)"
)


@dataclass(frozen=True, slots=True)
class McpClient:
    """`unverified_name` is what it calls itself: anybody may call themselves anything."""

    id: str
    unverified_name: str
    redirect_uris: tuple[str, ...]
    # Where its document is (client_documents.py); empty for one that registered.
    host: str = ""

    @property
    def digest(self) -> str:
        """What codes and refresh tokens are bound to, in place of the ID, which is long."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]

    def may_redirect_to(self, uri: str) -> bool:
        """Return whether it registered this URI (RFC 6749 section 3.1.2.3), or a loopback one but for
        its port (RFC 8252 section 7.3)."""
        return uri in self.redirect_uris or (
            (wanted := _loopback(uri)) is not None
            and any(_loopback(registered) == wanted for registered in self.redirect_uris)
        )


def is_loopback_redirect(uri: str) -> bool:
    """Return whether only a program on the user's own machine can be at this URI."""
    return _loopback(uri) is not None


def registered(document: Mapping[str, object], allowed: Collection[str]) -> tuple[str, list[str]]:
    """Return the name and the redirect URIs of a registration; `allowed`: URIs besides loopback ones.

    Raises OAuthError with a code of RFC 7591 section 3.2.2. What else clients ask for is replaced by what
    there is (section 3.2.1), as all of them understand.
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
    """Return a client's name on one line, and no longer than a line: what is left out says nothing."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())[:_LONGEST_NAME]


def document_client(client_id: str, host: str, document: Mapping[str, object]) -> McpClient:
    """Return the client that a document at this address describes. Raises AuthorizationRefused."""
    name, uris = document.get("client_name", ""), document.get("redirect_uris")
    # The draft's section 4.1: compared as strings, or one host's document could speak for another client.
    if document.get("client_id") != client_id:
        raise AuthorizationRefused("the client document has another client_id than its address")
    if document.get("token_endpoint_auth_method", "none") != "none":
        raise AuthorizationRefused("the client of the document is none without a secret or key")
    if not isinstance(name, str) or not isinstance(uris, list) or len(uris) > _MOST_DOCUMENT_URIS:
        raise AuthorizationRefused("the client document has no usable name or redirect_uris")
    usable = tuple(uri for uri in uris if isinstance(uri, str) and len(uri) <= _LONGEST_URI)
    return McpClient(client_id, shown_name(name), usable, host)


def seal(sealer: Sealer, name: str, uris: Sequence[str]) -> str:
    """Return the client ID of this registration."""
    return PREFIX + sealer.seal(json.dumps([name, *uris]).encode("ascii"), until=NEVER)


def opened(sealer: Sealer, client_id: str, now: float) -> McpClient | None:
    """Return the client of this ID; None: it was not sealed here."""
    if not client_id.startswith(PREFIX):
        return None
    data = sealer.open(client_id.removeprefix(PREFIX), now=now)
    if data is None:
        return None
    name, *uris = json.loads(data)
    return McpClient(client_id, name, tuple(uris))


def _loopback(uri: str) -> tuple[str, str] | None:
    """Return host and rest of a loopback redirect URI; None: it is none."""
    match = _LOOPBACK.fullmatch(uri)
    return None if match is None else (match[1], match[2])
