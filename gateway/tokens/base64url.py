"""base64url without padding (RFC 7515 section 2), accepting only the canonical spelling of each value.

Invariant: `decode(text)` succeeds only if `encode(decode(text)) == text`, so that no two texts mean the same
bytes.
"""

from __future__ import annotations

import binascii

# RFC 4648 section 5.
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Translates to the alphabet that the standard library decodes; any other byte becomes one that it refuses.
# The dot stays, so that a whole token can be translated before it is split.
TO_STANDARD = bytes(
    ord({"-": "+", "_": "/"}.get(chr(byte), chr(byte))) if byte in ALPHABET + b"." else 0
    for byte in range(256)
)
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
# By length modulo 4: the padding, and the final characters whose unused bits are zero. One character beyond a
# group of four encodes no whole byte.
_PADDING = (b"", b"", b"==", b"=")
_LAST = (
    frozenset(ALPHABET.translate(TO_STANDARD)),
    frozenset(b""),
    frozenset(b"AQgw"),
    frozenset(b"AEIMQUYcgkosw048"),
)


def encode(data: bytes) -> bytes:
    """Encode as base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URLSAFE, b"=")


def decode(text: bytes) -> bytes:
    """Decode the canonical spelling of some bytes; raises ValueError for any other text.

    Stricter than RFC 4648 section 3.5, which merely permits refusing trailing bits that are not zero.
    """
    return decode_translated(text.translate(TO_STANDARD))


def decode_translated(text: bytes) -> bytes:
    """Decode like `decode` a text already translated by TO_STANDARD, as part of a whole token."""
    over = len(text) & 3
    if text and text[-1] not in _LAST[over]:
        raise ValueError("not canonical base64url")
    # strict_mode: without it the decoder skips characters outside its alphabet.
    return binascii.a2b_base64(text + _PADDING[over], strict_mode=True)
