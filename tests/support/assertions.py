"""Signed identity assertions as an upstream receives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

HEADER = "X-Gateway-Jwt-Assertion"
YAML = "identity_headers: {{assertion: {{key_file: {folder}/a.key, audience: orders-api{more}}}}}\n"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def curve() -> bytes:
    return pem(ec.generate_private_key(ec.SECP256R1()))


def settings(folder: Path, *keys: bytes, more: str = "") -> str:
    path = folder / "a.key"
    path.write_bytes(b"".join(keys))
    path.chmod(0o600)
    return YAML.format(folder=folder, more=more)


def payload(line: bytes) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(line.partition(b": ")[2].strip(), options={"verify_signature": False})
    return claims
