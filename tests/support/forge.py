"""Tools for creating valid and hostile tokens: one pool, one client, one key, one time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.errors import (
    Refusal,
)
from tests.support.tokens import (
    KeyPair,
    access_claims,
    changed,
    compact_json,
    id_claims,
    sign,
    sign_raw,
)

# Larger heads are refused before the token is read (listen.max_header_size is 32 KiB).
LARGEST_IN_A_HEADER = 24 * 1024


@dataclass(frozen=True)
class Token:
    name: str
    token: bytes = field(repr=False)

    @property
    def in_header(self) -> bool:
        """Whether it can follow `Bearer ` in a header and be read as exactly this token."""
        return 0 < len(self.token) <= LARGEST_IN_A_HEADER and all(0x21 <= byte <= 0x7E for byte in self.token)


@dataclass(frozen=True)
class Hostile(Token):
    reason: type[Refusal]


@dataclass(frozen=True)
class Acceptable(Token):
    pass


@dataclass(frozen=True)
class Forge:
    keypair: KeyPair
    pool_id: str
    client_id: str
    now: float

    def claims(self, **changes: Any) -> dict[str, Any]:
        return changed(access_claims(self.pool_id, self.client_id, now=self.now), changes)

    def access(self, **changes: Any) -> bytes:
        return sign(self.keypair, self.claims(**changes))

    def id(self, **changes: Any) -> bytes:
        return sign(self.keypair, changed(id_claims(self.pool_id, self.client_id, now=self.now), changes))

    def header(self, **members: Any) -> bytes:
        return sign(self.keypair, self.claims(), members)

    def header_text(self, text: bytes) -> bytes:
        return sign_raw(self.keypair, text, compact_json(self.claims()))

    def payload_text(self, text: bytes) -> bytes:
        return sign_raw(self.keypair, compact_json({"kid": self.keypair.kid, "alg": "RS256"}), text)

    def payload_with(self, member: bytes) -> bytes:
        """Return a valid payload with this text inserted as its first member."""
        return self.payload_text(b"{" + member + b"," + compact_json(self.claims())[1:])

    def parts(self) -> tuple[bytes, bytes, bytes]:
        header, payload, signature = self.access().split(b".")
        return header, payload, signature


def of_size(forge: Forge, size: int) -> bytes:
    """Return a valid token of exactly `size` bytes."""
    # base64url has no text of length 4k + 1: move the odd byte into the header.
    for spaces in range(4):
        header = compact_json({"kid": forge.keypair.kid, "alg": "RS256"}) + b" " * spaces
        bare = len(sign_raw(forge.keypair, header, compact_json(forge.claims(fill=""))))
        for fill in range((size - bare) * 3 // 4 - 4, (size - bare) * 3 // 4 + 4):
            token = sign_raw(forge.keypair, header, compact_json(forge.claims(fill="x" * fill)))
            if len(token) == size:
                return token
    raise AssertionError("no token of that size")
