"""A memory budget, per worker, for parsed request heads kept by idle connections. Pure.

A client often sends the same head again, so it is kept parsed, at eight times its size; clients can open
thousands of connections. Invariant: all connections together never keep more than the budget.
"""

from __future__ import annotations

# A head of 3.2 KB with 30 fields takes 24 KiB: its bytes, each name and value, the lines forwarded.
_TIMES = 8
# Bytes per worker: 2,000 clients whose heads have 1 KB, that is, a token and ten fields. Connections beyond
# them have each head parsed, at 20 µs.
MOST = 16 * 1024 * 1024
# The fraction of the memory granted to all connections of the worker (serve/capacity.py) is 1/SHARE at most.
SHARE = 4


def size_in_memory(size: int) -> int:
    """Return the approximate memory in bytes of a parsed head of `size` bytes."""
    return size * _TIMES


class KeptHeads:
    """The budget of one worker."""

    __slots__ = ("_left",)

    def __init__(self, granted: int | None) -> None:
        """`granted`: bytes granted to all connections; None: no limit is known."""
        self._left = MOST if granted is None else min(MOST, granted // SHARE)

    def __repr__(self) -> str:
        return f"<KeptHeads left={self._left}>"

    def exchange(self, kept: int, wanted: int) -> int:
        """Return `kept` bytes to the budget and take `wanted`; return the bytes granted, `wanted` or 0."""
        left = self._left + kept
        taken = wanted if wanted <= left else 0
        self._left = left - taken
        return taken
