"""A pool's two signing keys: one for access tokens, one for ID tokens, each with its own kid, as in Cognito.

Invariant: private keys live in this process only; what leaves is the public half as a JWK.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

# Cognito's size.
_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: rsa.RSAPrivateKey = field(repr=False)

    def jwk(self) -> dict[str, str]:
        """The public half, members as Cognito publishes them (RFC 7517, RFC 7518 section 6.3.1)."""
        numbers = self.private.public_key().public_numbers()
        return {
            "alg": "RS256",
            "e": _base64url_uint(numbers.e),
            "kid": self.kid,
            "kty": "RSA",
            "n": _base64url_uint(numbers.n),
            "use": "sig",
        }


@dataclass(frozen=True, slots=True)
class PoolKeys:
    id: SigningKey
    access: SigningKey

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        return {"keys": [self.id.jwk(), self.access.jwk()]}


def generate() -> PoolKeys:
    """Two new keys; takes about 0.1 s of CPU, so callers do it in a thread."""
    return PoolKeys(id=_signing_key(), access=_signing_key())


def _signing_key() -> SigningKey:
    # Cognito's kids are 32 bytes in plain base64, with "+", "/" and "=": ours too, so that clients meet them.
    kid = base64.b64encode(secrets.token_bytes(32)).decode()
    return SigningKey(kid, rsa.generate_private_key(public_exponent=65537, key_size=_BITS))


def _base64url_uint(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
