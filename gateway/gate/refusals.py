"""Bounds on log lines about refusals: individual lines up to a limit, then one summary. Pure.

A refusal costs its sender 29 bytes and the log 500. So each address, and each principal, has `PLAIN` lines
per `WINDOW` seconds; further refusals are counted and become one line at the window's end. Invariant: at most
`MOST` senders are remembered, at most `PLAIN_OF_ALL` lines are written per window, and every refusal is in a
line or in a sum.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, TypeAlias

# The length of a window in seconds.
WINDOW = 10.0
# Lines per sender: an event and an access line for each of fifty requests, which typing errors never reach.
PLAIN = 100
# Lines of all senders together: 0.25 MB/s. A botnet has an address for each of its requests.
PLAIN_OF_ALL = 5_000
# Senders remembered at a time, 0.3 KB each; further ones are counted together.
MOST = 4_096

# A principal (pool, subject), an address (None, address), or all further senders (None, None).
Sender: TypeAlias = tuple[str | None, str | None]
OTHERS: Sender = (None, None)


class Sum(NamedTuple):
    """The refusals of one sender without individual lines."""

    sender: Sender
    requests: int
    # Reason → requests.
    reasons: dict[str, int]


class _Tally:
    __slots__ = ("lines", "reasons", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.lines = 0
        # Bounded: reasons are from a fixed set.
        self.reasons: Counter[str] = Counter()


class Refusals:
    """The refusals of one configuration."""

    def __init__(self) -> None:
        self._tallies: dict[Sender, _Tally] = {}
        self._until = 0.0
        self._lines = 0

    def admits(self, sender: Sender, now: float) -> bool:
        """Return whether one more line about this sender may be written."""
        if now >= self._until:
            self._until, self._lines = now + WINDOW, 0
        tally = self._tally(sender, now)
        tally.lines += 1
        if tally.lines > PLAIN or self._lines >= PLAIN_OF_ALL:
            return False
        self._lines += 1
        return True

    def missed(self, sender: Sender, reason: str, now: float) -> None:
        """Count a request of this sender that got no line."""
        self._tally(sender, now).reasons[reason] += 1

    def over(self, now: float) -> list[Sum]:
        """Return and forget the sums of windows that are over."""
        ended = [sender for sender, tally in self._tallies.items() if now >= tally.until]
        sums = []
        for sender in ended:
            reasons = self._tallies.pop(sender).reasons
            if reasons:
                sums.append(Sum(sender, reasons.total(), dict(reasons)))
        return sums

    def _tally(self, sender: Sender, now: float) -> _Tally:
        tally = self._tallies.get(sender)
        if tally is None:
            if len(self._tallies) >= MOST:
                sender = OTHERS
            tally = self._tallies.setdefault(sender, _Tally(now + WINDOW))
        return tally

    def __len__(self) -> int:
        return len(self._tallies)

    def __repr__(self) -> str:
        return f"<Refusals of {len(self)} senders>"
