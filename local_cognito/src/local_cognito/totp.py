"""Time-based one-time passwords (RFC 6238) as authenticator apps make them: SHA-1, 30 seconds, six digits.

Pure. Invariant: a step is accepted once (RFC 6238 section 5.2).
"""

from __future__ import annotations

import base64
import hmac
import secrets

_STEP = 30


def new_secret() -> str:
    """160 bits, as RFC 4226 recommends: 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """RFC 4226 section 5.3."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def matching_step(secret: str, code: str, now: float) -> int | None:
    """The step this code is of, one before or after the present one included (section 6); None: of none."""
    present = int(now) // _STEP
    found = None
    for step in (present - 1, present, present + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            found = step
    return found
