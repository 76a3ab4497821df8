"""The one-time code of the set-up page: whoever can read the log may connect this gateway. Pure.

Derived from the secret that all workers of one start share, so that each of them knows it and no file holds
it. Invariant: it is compared in constant time, and a new start makes a new one.
"""

from __future__ import annotations

import base64
import hmac

from gateway.portal.sealing import derive

# 80 bits in 16 characters of RFC 4648 base32: nobody guesses it, and it can be typed off another screen.
_BYTES = 10


def setup_code(secret: bytes) -> str:
    """`ABCD-EFGH-IJKL-MNOP`."""
    text = base64.b32encode(derive(secret, "setup code", _BYTES)).decode("ascii")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def matches(given: str, code: str) -> bool:
    """Case, dashes and blanks aside."""
    return hmac.compare_digest(_plain(given), _plain(code))


def _plain(text: str) -> bytes:
    return "".join(text.split()).replace("-", "").upper().encode("utf-8")
