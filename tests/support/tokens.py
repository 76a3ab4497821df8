"""Keys, key set documents and tokens for tests, created at run time in Cognito's formats.

`sign` builds what a correct issuer would, `sign_raw` signs any bytes, so that a hostile token differs from a
good one only in what its test is about.
"""

from __future__ import annotations

import base64
import functools
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

POOL_ID = "ap-south-1_TestPool1"
CLIENT_ID = "1testing23456789"

# As the value of a claim or header member: leave the member out.
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def issuer_of(pool_id: str) -> str:
    """Return the original issuer; the updated one is `https://issuer-cognito-idp.…`."""
    return f"https://cognito-idp.{pool_id.partition('_')[0]}.amazonaws.com/{pool_id}"


def updated_issuer_of(pool_id: str) -> str:
    return f"https://issuer-cognito-idp.{pool_id.partition('_')[0]}.amazonaws.com/{pool_id}"


@functools.cache
def _private_key(kid: str, bits: int, serial: int) -> rsa.RSAPrivateKey:
    # Generation takes 50 to 300 ms: one key per name and process.
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class KeyPair:
    kid: str
    private_key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls, kid: str, *, bits: int = 2048, serial: int = 0) -> KeyPair:
        """Return the same key for the same arguments within a process; `serial` selects another key of that
        name."""
        return cls(kid, _private_key(kid, bits, serial))

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """Return the public key as Cognito publishes it; `changes` replace members, ABSENT removes one."""
        numbers = self.private_key.public_key().public_numbers()
        n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        members = {
            "alg": "RS256",
            "e": base64url(numbers.e.to_bytes(3, "big")).decode(),
            "kid": self.kid,
            "kty": "RSA",
            "n": base64url(n).decode(),
            "use": "sig",
        }
        return changed(members, changes)


def key_set_document(*keys: KeyPair | Mapping[str, Any]) -> bytes:
    """Return a JWKS document of these keys or JWKs."""
    return json.dumps({"keys": [k.jwk() if isinstance(k, KeyPair) else dict(k) for k in keys]}).encode()


def access_claims(
    pool_id: str = POOL_ID,
    client_id: str = CLIENT_ID,
    *,
    username: str = "alice",
    sub: str = "5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11",
    now: float | None = None,
    lifetime: float = 3600,
    **changes: Any,
) -> dict[str, Any]:
    """Return an access token's claims as from InitiateAuth; names with a colon by `**{"cognito:…": …}`."""
    at = int(time.time() if now is None else now)
    claims = {
        "sub": sub,
        "iss": issuer_of(pool_id),
        "client_id": client_id,
        "origin_jti": str(uuid.uuid4()),
        "event_id": str(uuid.uuid4()),
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "auth_time": at,
        "exp": at + int(lifetime),
        "iat": at,
        "jti": str(uuid.uuid4()),
        "username": username,
    }
    return changed(claims, changes)


def id_claims(
    pool_id: str = POOL_ID,
    client_id: str = CLIENT_ID,
    *,
    username: str = "alice",
    email: str = "alice@example.com",
    sub: str = "5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11",
    now: float | None = None,
    lifetime: float = 3600,
    **changes: Any,
) -> dict[str, Any]:
    """Return an ID token's claims as from InitiateAuth."""
    at = int(time.time() if now is None else now)
    claims = {
        "sub": sub,
        "email_verified": True,
        "iss": issuer_of(pool_id),
        "cognito:username": username,
        "origin_jti": str(uuid.uuid4()),
        "aud": client_id,
        "event_id": str(uuid.uuid4()),
        "token_use": "id",
        "auth_time": at,
        "exp": at + int(lifetime),
        "iat": at,
        "jti": str(uuid.uuid4()),
        "email": email,
    }
    return changed(claims, changes)


def sign(keypair: KeyPair, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> bytes:
    """Return a compact token. `header` replaces members of Cognito's {"kid", "alg"}; ABSENT removes one."""
    members = changed({"kid": keypair.kid, "alg": "RS256"}, header or {})
    return sign_raw(keypair, compact_json(members), compact_json(claims))


def sign_raw(keypair: KeyPair, header_bytes: bytes, payload_bytes: bytes) -> bytes:
    """Return a compact token over any bytes, with a valid RS256 signature."""
    return with_signature(keypair, base64url(header_bytes) + b"." + base64url(payload_bytes))


def with_signature(keypair: KeyPair, signing_input: bytes) -> bytes:
    signature = keypair.private_key.sign(signing_input, padding.PKCS1v15(), hashes.SHA256())
    return signing_input + b"." + base64url(signature)


def compact_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `members` updated with `changes`, without the ABSENT ones."""
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}
