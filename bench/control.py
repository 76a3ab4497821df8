"""The control: a second nginx in the same rounds, which tells how far equal programs differ here. Pure.

Invariant: a run is quiet only if its control was measured in enough rounds and hardly differs from the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.stats import Sample, ratios

# Of one nginx to the other: the median, and any single round.
MEDIAN_WITHIN = 0.03
ROUND_WITHIN = 0.10
# Fewer rounds say nothing about the machine.
LEAST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """A ratio over the rounds of a run."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} – {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Control:
    """nginx ÷ nginx."""

    spread: Spread
    rounds: int

    @property
    def quiet(self) -> bool:
        within = abs(self.spread.middle - 1) <= MEDIAN_WITHIN
        steady = self.spread.low >= 1 - ROUND_WITHIN and self.spread.high <= 1 + ROUND_WITHIN
        return within and steady and self.rounds >= LEAST_ROUNDS

    def __str__(self) -> str:
        if self.rounds < LEAST_ROUNDS:
            said = "too few rounds to tell"
        else:
            said = "quiet" if self.quiet else "TOO NOISY, the ratios of this run decide nothing"
        return f"control: nginx ÷ nginx {self.spread}: {said}"


def spread_of(ours: Sequence[Sample], theirs: Sequence[Sample], column: str) -> Spread | None:
    """Return the ratio of two contestants, round by round; None if no round has both."""
    each = ratios(ours, theirs, column)
    return Spread(min(each), median(each), max(each)) if each else None


def control_of(again: Sequence[Sample], first: Sequence[Sample], column: str) -> Control | None:
    """Return the control of a work from the rounds of both; None if it was not measured."""
    found = spread_of(again, first, column)
    return None if found is None else Control(found, len(ratios(again, first, column)))
