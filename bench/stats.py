"""What is made of the figures: medians, percentiles, ratios. Pure.

Invariant: a ratio is taken inside one round, between two measurements made seconds apart, and only then the
median over the rounds: what the machine does from minute to minute cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

Sample = Mapping[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` (0..1] of all do not exceed."""
    if not values:
        raise ValueError("no values to take a percentile of")
    if not 0 < share <= 1:
        raise ValueError(f"a share lies in (0, 1], not at {share}")
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def medians(rounds: Sequence[Sample]) -> dict[str, float]:
    """Column by column over the rounds; columns missing from a round are taken from the others."""
    columns = dict.fromkeys(column for sample in rounds for column in sample)
    return {column: median(sample[column] for sample in rounds if column in sample) for column in columns}


def spread(rounds: Sequence[Sample], column: str) -> tuple[float, float]:
    """The lowest and the highest of the rounds."""
    values = [sample[column] for sample in rounds]
    return min(values), max(values)


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], column: str) -> float | None:
    """Ours divided by theirs per round, then the median; None when no round holds both or theirs is zero."""
    each = [
        mine[column] / other[column]
        for mine, other in zip(ours, theirs, strict=False)
        if column in mine and other.get(column)
    ]
    return median(each) if each else None
