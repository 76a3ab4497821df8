from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import medians, percentile, ratio, spread

numbers = st.floats(min_value=0, max_value=1e6)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1), (0.991, 100), (0.01, 1)]
)
def test_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


@given(st.lists(numbers, min_size=1), st.floats(min_value=0.001, max_value=1))
def test_percentile_covers_its_share_and_is_one_of_the_values(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_percentile_refuses_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1], share)


def test_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_medians_and_spread_go_by_column() -> None:
    rounds = [{"a": 1.0, "b": 10.0}, {"a": 9.0, "b": 20.0}, {"a": 2.0}]
    assert medians(rounds) == {"a": 2.0, "b": 15.0}
    assert spread(rounds, "a") == (1.0, 9.0)


def test_ratio_is_taken_per_round_before_the_median() -> None:
    # The machine was ten times slower in the second round, for both alike; medians first would say 5.5 / 11.
    ours = [{"c": 1.0}, {"c": 10.0}, {"c": 1.0}]
    theirs = [{"c": 2.0}, {"c": 20.0}, {"c": 8.0}]
    assert ratio(ours, theirs, "c") == 0.5


def test_ratio_without_a_common_round_is_none() -> None:
    assert ratio([], [{"c": 1.0}], "c") is None
    assert ratio([{"c": 1.0}], [{"c": 0.0}], "c") is None
    assert ratio([{"c": 1.0}], [{"d": 1.0}], "c") is None
