"""Formatting of token values for the log: actual and expected values, bounded and escaped. Pure.

Invariant: at most 128 characters of printable ASCII of what a stranger wrote, and no token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

# Characters of an unverified value: enough for every issuer and client ID of Cognito.
_LONGEST = 128
# Expected values that are listed; the rest is counted.
_MOST = 4
# A JWT, or the beginning of one, inside a claim.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_.-]{16,}")


def shown(value: object) -> str:
    """Return a claim's value quoted as JSON; values that are not strings are only described."""
    if value is None:
        return "missing"
    if not isinstance(value, str):
        return "not a string"
    text = json.dumps(_TOKEN.sub("[redacted]", value[:_LONGEST]))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def one_of(expected: Iterable[str]) -> str:
    """Return the accepted values, as written in the configuration."""
    values = sorted(expected)
    if not values:
        return "none: nothing is configured"
    more = f" or {len(values) - _MOST} more" if len(values) > _MOST else ""
    return ("one of " if len(values) > 1 else "") + ", ".join(values[:_MOST]) + more
