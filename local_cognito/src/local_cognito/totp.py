"""Time-based one-time passwords (RFC 6238) as in authenticator apps: SHA-1, 30 seconds, six digits.

Pure. Invariant: a time step is accepted once (RFC 6238 section 5.2).
"""

from __future__ import annotations

import base64
import hmac
import secrets

_STEP = 30


def new_secret() -> str:
    """Return a new key of 160 bits, as RFC 4226 recommends, in Base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226 section 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def matching_step(secret: str, code: str, now: float) -> int | None:
    """Return the code's time step, one step before or after the current one included (RFC 6238 section 6)."""
    present = int(now) // _STEP
    found = None
    for step in (present - 1, present, present + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            found = step
    return found
