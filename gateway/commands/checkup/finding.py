"""One thing that `doctor` found: what, why it matters, and what to do.

Invariant: whatever is not good says how it is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# broken: requests fail or access is wrong now; warning: works, and is risky or will surprise; unknown: could
# not be looked at.
Level = Literal["good", "warning", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: what it is about, e.g. a pool's ID."""

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
    return Finding("unknown", about, what, "it was not compared", fix)
