"""Statistics: medians, percentiles, ratios. Pure.

Invariant: a ratio is computed within a round, between two measurements seconds apart, and then the median
over the rounds: slow changes of the machine's speed cancel out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

Sample = Mapping[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value not exceeded by a `share` (0..1] of all."""
    if not values:
        raise ValueError("no values to take a percentile of")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], not {share}")
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def medians(rounds: Sequence[Sample]) -> dict[str, float]:
    """Return the median of each column over the rounds that have it."""
    columns = dict.fromkeys(column for sample in rounds for column in sample)
    return {column: median(sample[column] for sample in rounds if column in sample) for column in columns}


def spread(rounds: Sequence[Sample], column: str) -> tuple[float, float]:
    """Return the lowest and highest value over the rounds."""
    values = [sample[column] for sample in rounds]
    return min(values), max(values)


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample], column: str) -> list[float]:
    """Return ours divided by theirs in each round that has both."""
    return [
        mine[column] / other[column]
        for mine, other in zip(ours, theirs, strict=False)
        if column in mine and other.get(column)
    ]


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], column: str) -> float | None:
    """Return the median over the rounds of ours divided by theirs; None if no round has both."""
    each = ratios(ours, theirs, column)
    return median(each) if each else None
