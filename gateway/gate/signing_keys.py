"""Signing keys of assertions: private keys from a PEM file, and their public halves as a JWKS.

Invariant: only public keys are published; no `repr` or error contains any of a private key.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.errors import GatewayError, system_said
from gateway.tokens import base64url
from gateway.tokens.pyjwt import ES256, RS256, ECAlgorithm, RSAAlgorithm

_KEY = "identity_headers.assertion.key_file"
# Other blocks are skipped: certificates, and the parameters that `openssl ecparam -genkey` writes first.
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
# NIST SP 800-131A: RSA below 2048 bits is disallowed; verifiers refuse it too.
_LEAST_RSA_BITS = 2048
# RFC 7638 section 3.2, RFC 7518 section 6.2.1: the required members of public keys, by key type.
_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its public description."""

    kid: str
    algorithm: str
    jwk: dict[str, str]
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """Return a JWS signature (RFC 7515), RS256 or ES256 by the key's type."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return RS256.sign(data, self.private)
        return ES256.sign(data, self.private)


def read_signing_keys(file: Path) -> tuple[SigningKey, ...]:
    """Return all private keys of a PEM file, in order. Raises GatewayError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise GatewayError(f"{_KEY} {file}: {system_said(error)}") from error
    blocks = _PEM.findall(data)
    if not blocks:
        raise GatewayError(f"{_KEY} {file}: contains no private key: use PEM")
    return tuple(_parse(block, file) for block in blocks)


def key_set(keys: tuple[SigningKey, ...]) -> bytes:
    """Return the JWKS (RFC 7517 section 5); a key that occurs twice is published once."""
    return json.dumps({"keys": list({key.kid: key.jwk for key in keys}.values())}).encode("ascii") + b"\n"


def _parse(block: bytes, file: Path) -> SigningKey:
    try:
        private = load_pem_private_key(block, password=None)
    except TypeError:
        raise GatewayError(f"{_KEY} {file}: the key is encrypted: store it without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise GatewayError(f"{_KEY} {file}: contains an unreadable private key: use PEM") from None
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _LEAST_RSA_BITS:
        return _named(private, "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True))
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return _named(private, "ES256", ECAlgorithm.to_jwk(private.public_key(), as_dict=True))
    raise GatewayError(
        f"{_KEY} {file}: a key must be EC P-256 (ES256), or RSA of {_LEAST_RSA_BITS} bits or more (RS256)"
    )


def _named(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, jwk: dict[str, str]
) -> SigningKey:
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    # RFC 7638 section 3: the required members, sorted, without white space.
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode("ascii")
    kid = base64url.encode(hashlib.sha256(canonical).digest()).decode("ascii")
    return SigningKey(kid, algorithm, {**members, "use": "sig", "alg": algorithm, "kid": kid}, private)
