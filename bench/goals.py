"""Goals: a limit on one of our figures, or on our ratio to a peer's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.stats import Sample, medians, ratio


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit on `key` of the samples: for the median over the rounds, or with `highest` for each of them.

    With a `peer` it applies to our ratio to that peer, computed round by round.
    """

    what: str
    key: str
    limit: float
    peer: str | None = None
    highest: bool = False

    def value(self, rounds: Mapping[str, Sequence[Sample]], ours: str) -> float | None:
        """Return the value to compare, from the rounds by contestant; None if it was not measured."""
        mine = [sample for sample in rounds.get(ours, ()) if self.key in sample]
        if not mine:
            return None
        if self.peer is not None:
            return ratio(rounds[ours], rounds.get(self.peer, ()), self.key)
        return max(sample[self.key] for sample in mine) if self.highest else medians(mine)[self.key]


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    limit: float
    value: float | None

    @property
    def met(self) -> bool | None:
        """None if it was not measured."""
        return None if self.value is None else self.value <= self.limit

    def __str__(self) -> str:
        if self.value is None:
            return f"bar: {self.what} ≤ {self.limit:g}: not measured"
        return f"bar: {self.what} ≤ {self.limit:g}: {self.value:.2f}, {'met' if self.met else 'MISSED'}"
