"""Which refusals the log has one by one, and which are summed up: pure, `now` in, decisions out.

A refusal costs its sender 29 bytes and the log 500. So each address, and each principal, has `PLAIN` lines in
`WINDOW` seconds; what is refused beyond them is counted and becomes one line at the window's end. Invariant:
no more than `MOST` senders are remembered, no more than `PLAIN_OF_ALL` lines are written in a window, whoever
they are about, and no refusal is in neither a line nor a sum.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, TypeAlias

# Seconds.
WINDOW = 10.0
# Lines: an event and an access line for each of fifty requests. People who mistype never get there.
PLAIN = 100
# Of all senders together: 0.25 MB/s. A botnet has an address for each of its requests.
PLAIN_OF_ALL = 5_000
# Senders remembered at a time, 0.3 KB each; beyond them they are counted together.
MOST = 4_096

# A principal (pool, subject), an address (None, address), or all that have no place here (None, None).
Sender: TypeAlias = tuple[str | None, str | None]
OTHERS: Sender = (None, None)


class Sum(NamedTuple):
    """What was refused to one sender and has no line of its own."""

    sender: Sender
    requests: int
    # Reason → requests.
    reasons: dict[str, int]


class _Tally:
    __slots__ = ("lines", "reasons", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.lines = 0
        # Reasons are from a fixed set.
        self.reasons: Counter[str] = Counter()


class Refusals:
    """Those of one configuration."""

    def __init__(self) -> None:
        self._tallies: dict[Sender, _Tally] = {}
        self._until = 0.0
        self._lines = 0

    def admits(self, sender: Sender, now: float) -> bool:
        """Whether one more line about this sender is written."""
        if now >= self._until:
            self._until, self._lines = now + WINDOW, 0
        tally = self._tally(sender, now)
        tally.lines += 1
        if tally.lines > PLAIN or self._lines >= PLAIN_OF_ALL:
            return False
        self._lines += 1
        return True

    def missed(self, sender: Sender, reason: str, now: float) -> None:
        """A request of this sender has no line."""
        self._tally(sender, now).reasons[reason] += 1

    def over(self, now: float) -> list[Sum]:
        """The sums of windows that are over; they are forgotten."""
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
