"""Sealed values: what a browser keeps for us and may neither read nor change. Pure but for the nonce.

A purpose has keys of its own (HKDF, RFC 5869), so a value sealed for one is nothing to another. The end of a
value's life stands inside the seal. Invariant: `open` returns what `seal` was given, before that end, under
the same purpose and binding, or None; it raises nothing for what a client can send.
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

# NIST SP 800-38D section 8.2.2 and 8.3: random 96-bit nonces are safe for 2**32 values under one key, that is
# for 100 sign-ins a second over more than a year.
_NONCE = 12
# Tells which of several keys sealed a value, so that one is tried and not all.
_KEY_ID = 4
# Seconds since 1970 as a 64-bit number, before the data.
_UNTIL = 8
_TAG = 16
# The first byte of every value, for the day when the rest looks different.
_VERSION = b"\x01"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class Sealer:
    """Seals for one purpose with the newest secret; opens what any of them sealed."""

    def __init__(self, secrets: Sequence[bytes], purpose: str) -> None:
        """`secrets`: newest first, each at least 32 bytes that nobody can guess."""
        assert secrets, "without a secret nothing can be sealed"
        self._purpose = purpose
        self._keys: dict[bytes, AESGCM] = {}
        for secret in reversed(secrets):
            derived = derive(secret, purpose, _KEY_ID + 32)
            self._newest = derived[:_KEY_ID]
            self._keys[self._newest] = AESGCM(derived[_KEY_ID:])

    def seal(self, data: bytes, *, until: float, binding: bytes = b"") -> str:
        """Text of `A-Za-z0-9_-`; `binding` must be given again to open it, and is not part of it."""
        nonce = os.urandom(_NONCE)
        plain = int(until).to_bytes(_UNTIL, "big") + data
        sealed = self._keys[self._newest].encrypt(nonce, plain, _VERSION + binding)
        return base64.urlsafe_b64encode(_VERSION + self._newest + nonce + sealed).rstrip(b"=").decode("ascii")

    def open(self, text: str, *, now: float, binding: bytes = b"") -> bytes | None:
        """The data, or None for anything that was not sealed here, for this, or whose time has passed."""
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
    """RFC 5869, with the purpose as its info; the secrets are random, so no salt is needed (section 3.1)."""
    info = b"cognito-gateway " + purpose.encode("ascii")
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def _decoded(text: str) -> bytes | None:
    if not text.isascii() or not _BASE64URL.fullmatch(text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
