"""base64url without padding (RFC 7515 section 2), one spelling per value.

Invariant: `decode(text)` succeeds only where `encode(decode(text)) == text`, so that two different
texts never mean the same bytes.
"""

from __future__ import annotations

import binascii

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
# By length modulo 4. One character over a group of four encodes no whole byte: left to the decoder's refusal.
_PADDING = (b"", b"===", b"==", b"=")


def encode(data: bytes) -> bytes:
    """Base64url, no padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URLSAFE, b"=")


def decode(text: bytes) -> bytes:
    """The bytes that `text` is the canonical spelling of; raises ValueError for every other text.

    Stricter than RFC 4648 section 3.5, which only allows refusing trailing bits that are not zero.
    """
    try:
        data = binascii.a2b_base64(text.translate(_TO_STANDARD) + _PADDING[len(text) & 3])
    except binascii.Error:
        raise ValueError("not base64url") from None
    # The decoder skips what is not in its alphabet; comparing catches that and the trailing bits alike.
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
