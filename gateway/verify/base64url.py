"""base64url without padding (RFC 7515 section 2), one spelling per value.

Invariant: `decode(text)` succeeds only where `encode(decode(text)) == text`, so that two different
texts never mean the same bytes.
"""

from __future__ import annotations

import binascii

# RFC 4648 section 5.
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
# By length modulo 4: what to pad with, and the last characters whose bits beyond the last byte are zero. One
# character over a group of four encodes no whole byte.
_PADDING = (b"", b"", b"==", b"=")
_LAST = (frozenset(ALPHABET), frozenset(b""), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def encode(data: bytes) -> bytes:
    """Base64url, no padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URLSAFE, b"=")


def decode(text: bytes) -> bytes:
    """The bytes that `text` is the canonical spelling of; raises ValueError for every other text.

    Stricter than RFC 4648 section 3.5, which only allows refusing trailing bits that are not zero.
    """
    # The standard library's decoder skips what is not in its alphabet.
    if text.translate(None, ALPHABET):
        raise ValueError("not base64url")
    return decode_alphabet(text)


def decode_alphabet(text: bytes) -> bytes:
    """As `decode`, for a text that is known to hold nothing but characters of the alphabet."""
    over = len(text) & 3
    if text and text[-1] not in _LAST[over]:
        raise ValueError("not canonical base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + _PADDING[over])
