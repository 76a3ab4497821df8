"""How much of what clients said last is kept, for all connections of a worker: they may say it again. Pure.

A head takes eight times its bytes once it is parsed, and strangers can have thousands of connections.
Invariant: what all connections keep together is never more than was granted.
"""

from __future__ import annotations

# A head of 3.2 KB with 30 fields takes 24 KiB: its bytes, each name and value, the lines that travel on.
_TIMES = 8
# Of a worker, at most: 2,000 clients whose heads have 1 KB, which is a token and ten fields. Whoever comes
# beyond them has each head parsed, for 20 µs.
MOST = 16 * 1024 * 1024
# Of what is granted to all connections of the worker together (serve/capacity.py), at most.
SHARE = 4


def size_in_memory(size: int) -> int:
    """Bytes that a head of so many bytes takes, about."""
    return size * _TIMES


class KeptHeads:
    """Of one worker."""

    __slots__ = ("_left",)

    def __init__(self, granted: int | None) -> None:
        """`granted`: bytes for all that connections hold; None: no limit is known."""
        self._left = MOST if granted is None else min(MOST, granted // SHARE)

    def __repr__(self) -> str:
        return f"<KeptHeads left={self._left}>"

    def exchange(self, kept: int, wanted: int) -> int:
        """Give these bytes back and take others; returns how many: what was wanted, or 0."""
        left = self._left + kept
        taken = wanted if wanted <= left else 0
        self._left = left - taken
        return taken
