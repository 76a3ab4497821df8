"""Access tokens for MCP clients: a Cognito access token, sealed for one client and one resource. Pure.

An MCP server that receives one cannot use it at another API of the pool, which cannot open it. Invariant:
`open` returns what `seal` sealed for the same resource with a secret that is still configured, or raises.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.errors import TokenMalformed
from gateway.mcp.mcp_clients import NEVER
from gateway.sessions.sealing import Sealer

PREFIX = b"mcp_at_"
# Bytes of JSON in a sealed token; the largest token that the configuration accepts has 64 KiB.
_MOST = 96 * 1024


class Unsealed(NamedTuple):
    """`token` is Cognito's, not verified yet; only its consented scopes count."""

    token: bytes
    # The client's digest.
    client: str
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return f"<Unsealed for {self.client}>"


class SealedTokens:
    """The sealed tokens of one gateway and one resource."""

    def __init__(self, secrets: Sequence[bytes], resource: str) -> None:
        """`secrets`: newest first (gateway/sessions/secrets.py)."""
        self.secrets = tuple(secrets)
        self._sealer = Sealer(self.secrets, "mcp access token")
        self._binding = resource.encode("ascii")

    def seal(self, access: str, *, client: str, scopes: Iterable[str]) -> str:
        """Return the token for the client of this digest. It expires when the token inside does."""
        data = json.dumps([access, client, *scopes], separators=(",", ":")).encode("ascii")
        sealed = self._sealer.seal(zlib.compress(data, 6), until=NEVER, binding=self._binding)
        return PREFIX.decode("ascii") + sealed

    def open(self, token: bytes, now: float) -> Unsealed:
        """Return the token inside. Raises TokenMalformed if this gateway did not seal it."""
        text = token.removeprefix(PREFIX).decode("latin-1")
        data = self._sealer.open(text, now=now, binding=self._binding)
        if data is None:
            raise TokenMalformed("sealed for another gateway or resource, or with a secret that was removed")
        inflate = zlib.decompressobj()
        access, client, *scopes = json.loads(inflate.decompress(data, _MOST))
        return Unsealed(access.encode("ascii"), client, frozenset(scopes))

    def __eq__(self, other: object) -> bool:
        """Return whether both open exactly the same tokens."""
        if not isinstance(other, SealedTokens):
            return NotImplemented
        return (self.secrets, self._binding) == (other.secrets, other._binding)

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up

    def __repr__(self) -> str:
        return f"<SealedTokens, {len(self.secrets)} secrets>"
