"""Sealed values: encrypted, authenticated data that browsers keep for us. Pure but for the nonce.

Each purpose has separate keys (HKDF, RFC 5869), so a value sealed for one is invalid for another. The expiry
is inside the seal. Invariant: `open` returns what `seal` was given, before its expiry and under the same
purpose and binding, or None; it raises nothing for what a client can send.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# NIST SP 800-38D sections 8.2.2 and 8.3: random 96-bit nonces are safe for 2**32 values under one key, which
# is 100 sign-ins a second for more than a year.
_NONCE = 12
# Identifies the key that sealed a value, so that only one is tried.
_KEY_ID = 4
# The expiry, Unix time as a 64-bit number, before the data.
_UNTIL = 8
_TAG = 16
# The first byte of every value, in case the format changes.
_VERSION = b"\x01"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class Sealer:
    """Seals for one purpose with the newest secret; opens what any of the secrets sealed."""

    def __init__(self, secrets: Sequence[bytes], purpose: str) -> None:
        """`secrets`: newest first, each at least 32 random bytes."""
        assert secrets, "at least one secret is needed"
        self._purpose = purpose
        self._keys: dict[bytes, AESGCM] = {}
        for secret in reversed(secrets):
            derived = derive(secret, purpose, _KEY_ID + 32)
            self._newest = derived[:_KEY_ID]
            self._keys[self._newest] = AESGCM(derived[_KEY_ID:])

    def seal(self, data: bytes, *, until: float, binding: bytes = b"") -> str:
        """Return the sealed data as text of `A-Za-z0-9_-`, valid before `until` (Unix time).

        `binding` is authenticated but not included: it has to be given again to open the value.
        """
        nonce = os.urandom(_NONCE)
        plain = int(until).to_bytes(_UNTIL, "big") + data
        sealed = self._keys[self._newest].encrypt(nonce, plain, _VERSION + binding)
        return base64.urlsafe_b64encode(_VERSION + self._newest + nonce + sealed).rstrip(b"=").decode("ascii")

    def open(self, text: str, *, now: float, binding: bytes = b"") -> bytes | None:
        """Return the data, or None for anything not sealed here for this purpose and binding, or expired."""
        raw = _decoded(text)
        head = 1 + _KEY_ID + _NONCE
        if raw is None or len(raw) < head + _UNTIL + _TAG or raw[:1] != _VERSION:
            return None
        key = self._keys.get(raw[1 : 1 + _KEY_ID])
        if key is None:
            return None
        try:
            plain = key.decrypt(raw[1 + _KEY_ID : head], raw[head:], _VERSION + binding)
        except InvalidTag:
            return None
        if now >= int.from_bytes(plain[:_UNTIL], "big"):
            return None
        return plain[_UNTIL:]

    def __repr__(self) -> str:
        return f"<Sealer for {self._purpose}, {len(self._keys)} keys>"


def derive(secret: bytes, purpose: str, length: int) -> bytes:
    """Derive a key by RFC 5869, with the purpose as info; random secrets need no salt (section 3.1)."""
    info = b"cognito-gateway " + purpose.encode("ascii")
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def _decoded(text: str) -> bytes | None:
    if not text.isascii() or not _BASE64URL.fullmatch(text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
