"""base64url without padding (RFC 7515 section 2), one spelling per value.

Invariant: `decode(text)` succeeds only where `encode(decode(text)) == text`, so that two different
texts never mean the same bytes.
"""

from __future__ import annotations

import binascii

# RFC 4648 section 5.
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# To the alphabet that the standard library decodes; what is in neither becomes a byte that it refuses. The
# dot stays, so that a whole token can be translated before it is split.
TO_STANDARD = bytes(
    ord({"-": "+", "_": "/"}.get(chr(byte), chr(byte))) if byte in ALPHABET + b"." else 0
    for byte in range(256)
)
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
# By length modulo 4: what to pad with, and the last characters whose bits beyond the last byte are zero. One
# character over a group of four encodes no whole byte.
_PADDING = (b"", b"", b"==", b"=")
_LAST = (
    frozenset(ALPHABET.translate(TO_STANDARD)),
    frozenset(b""),
    frozenset(b"AQgw"),
    frozenset(b"AEIMQUYcgkosw048"),
)


def encode(data: bytes) -> bytes:
    """Base64url, no padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URLSAFE, b"=")


def decode(text: bytes) -> bytes:
    """The bytes that `text` is the canonical spelling of; raises ValueError for every other text.

    Stricter than RFC 4648 section 3.5, which only allows refusing trailing bits that are not zero.
    """
    return decode_translated(text.translate(TO_STANDARD))


def decode_translated(text: bytes) -> bytes:
    """As `decode`, for a text that went through TO_STANDARD, with others like it, in one go."""
    over = len(text) & 3
    if text and text[-1] not in _LAST[over]:
        raise ValueError("not canonical base64url")
    # strict_mode: without it the decoder skips what is not in its alphabet.
    return binascii.a2b_base64(text + _PADDING[over], strict_mode=True)
