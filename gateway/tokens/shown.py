"""Values of tokens as the log may hold them: expected beside actual. Pure.

Invariant: what strangers wrote is at most 128 characters of printable ASCII, and no token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

# Of a value that nobody has verified: enough for every issuer and client ID of Cognito's.
_LONGEST = 128
# Of the expected values; more are counted.
_MOST = 4
# A JWT, or its beginning, in a claim of another one.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_.-]{16,}")


def shown(value: object) -> str:
    """Return what a claim holds, quoted as JSON; kinds that no name has are only named."""
    if value is None:
        return "missing"
    if not isinstance(value, str):
        return "not a string"
    text = json.dumps(_TOKEN.sub("[redacted]", value[:_LONGEST]))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def one_of(expected: Iterable[str]) -> str:
    """Return the values that would do, as they stand in the configuration."""
    values = sorted(expected)
    if not values:
        return "none: nothing is configured"
    more = f" or {len(values) - _MOST} more" if len(values) > _MOST else ""
    return ("one of " if len(values) > 1 else "") + ", ".join(values[:_MOST]) + more
