"""A finding of `doctor`: the problem, why it matters, and the fix.

Invariant: every finding that is not good has a fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# broken: requests fail, or access is wrong now; warning: works, but is risky or surprising; unknown: could
# not be checked.
Level = Literal["good", "warning", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: its subject, for example a pool's ID."""

    level: Level
    about: str
    what: str
    why: str = ""
    fix: str = ""


def good(about: str, what: str) -> Finding:
    return Finding("good", about, what)


def warning(about: str, what: str, why: str, fix: str) -> Finding:
    return Finding("warning", about, what, why, fix)


def broken(about: str, what: str, why: str, fix: str) -> Finding:
    return Finding("broken", about, what, why, fix)


def unknown(about: str, what: str, fix: str) -> Finding:
    return Finding("unknown", about, what, "it could not be compared", fix)
