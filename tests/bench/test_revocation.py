"""The table of docs/revocation.md is what the simulation says, and the simulation is not made to please."""

from __future__ import annotations

import pytest

from bench.revocation import CALLS_PER_SECOND, CHECK_EVERY, DOCUMENT, SIMULATED, case, simulate, written


def test_the_document_holds_what_is_simulated_now() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert written(document) == document, "run `python -m bench.revocation`"


def test_with_enough_calls_no_check_is_late() -> None:
    made, oldest = simulate(600, CALLS_PER_SECOND)
    assert oldest <= CHECK_EVERY
    assert made == pytest.approx(600 / (0.7 * CHECK_EVERY), rel=0.05)


@pytest.mark.parametrize("families", [700, 2000, 8000])
def test_too_few_calls_make_checks_late_and_are_all_used(families: int) -> None:
    made, oldest = simulate(families, CALLS_PER_SECOND)
    assert made == pytest.approx(CALLS_PER_SECOND, rel=0.02)
    # One round of all of them; somebody's turn comes later by as much as the turns are spread.
    assert families / CALLS_PER_SECOND <= oldest <= families / CALLS_PER_SECOND + 0.2 * CHECK_EVERY + 2


def test_dividing_sign_ins_and_calls_alike_changes_nothing() -> None:
    whole, part = simulate(8 * SIMULATED // 4, 60.0), simulate(SIMULATED, 30.0)
    assert whole[0] == pytest.approx(2 * part[0], rel=0.02)
    assert whole[1] == pytest.approx(part[1], rel=0.05)


@pytest.mark.parametrize("redis", [False, True])
@pytest.mark.parametrize("replicas", [1, 10, 100, 1000])
def test_no_number_of_replicas_makes_more_calls_than_allowed(replicas: int, redis: bool) -> None:
    assert case(100_000, replicas, redis=redis).made <= CALLS_PER_SECOND * 1.02


def test_redis_makes_many_replicas_as_good_as_one() -> None:
    assert case(1000, 1000, redis=True) == case(1000, 1, redis=True)
    assert case(1000, 1000, redis=False).oldest > 100 * case(1000, 1000, redis=True).oldest
