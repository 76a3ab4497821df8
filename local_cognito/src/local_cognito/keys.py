"""A pool's two signing keys: one for access tokens and one for ID tokens, each with its own kid, as at
Cognito.

Invariant: private keys never leave this process; only the public half is published, as a JWK.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

# Cognito's key size.
_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private: rsa.RSAPrivateKey = field(repr=False)

    def jwk(self) -> dict[str, str]:
        """Return the public half with the members that Cognito publishes (RFC 7517, RFC 7518 section
        6.3.1)."""
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
    """Generate two keys. Takes about 0.1 s of CPU: call it in a thread."""
    return PoolKeys(id=_signing_key(), access=_signing_key())


def _signing_key() -> SigningKey:
    # Cognito's kids are 32 bytes in standard Base64, with "+", "/" and "="; clients must cope with those.
    kid = base64.b64encode(secrets.token_bytes(32)).decode()
    return SigningKey(kid, rsa.generate_private_key(public_exponent=65537, key_size=_BITS))


def _base64url_uint(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
