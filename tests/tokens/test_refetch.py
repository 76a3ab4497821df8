"""The refetch policy as pure code: time is a number here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import NoKeys
from gateway.keys.refetch import BURST, MAX_ABSENT, Ask, RefetchPolicy, Timing

TIMING = Timing()


def loaded(at: float = 0.0) -> RefetchPolicy:
    """A policy whose first fetch has just brought a key set."""
    policy = RefetchPolicy(TIMING)
    policy.begin(at)
    policy.succeed(at, 0.5)
    return policy


def fetched(policy: RefetchPolicy, kid: str, now: float) -> None:
    """`kid` causes a fetch that brings a key set without it."""
    assert policy.ask(kid, now) is Ask.FETCH
    policy.begin(now)
    policy.succeed(now, 0.5)
    policy.remember_absent(kid, now)


def test_before_the_first_fetch_there_are_no_keys() -> None:
    assert RefetchPolicy(TIMING).ask("a", 0.0) is Ask.NO_KEYS


def test_while_the_first_fetch_is_under_way_requests_wait() -> None:
    policy = RefetchPolicy(TIMING)
    policy.begin(0.0)
    assert policy.ask("a", 0.1) is Ask.WAIT


def test_only_one_caller_starts_the_fetch() -> None:
    policy = loaded()
    assert [policy.ask(kid, 1.0) for kid in "abc"] == [Ask.FETCH, Ask.WAIT, Ask.WAIT]


def test_right_after_the_start_one_more_fetch_is_allowed() -> None:
    policy = loaded()
    fetched(policy, "a", 0.1)
    assert policy.ask("b", 0.2) is Ask.ABSENT
    assert policy.ask("b", TIMING.cooldown) is Ask.FETCH


def test_after_a_quiet_time_a_burst_is_allowed_its_two() -> None:
    policy = loaded()
    for number in range(BURST):
        fetched(policy, str(number), 100.0)
    assert policy.ask("one more", 100.0) is Ask.ABSENT


def test_one_bad_kid_again_and_again_leaves_the_reserve_alone() -> None:
    policy = loaded(0.0)
    fetched(policy, "bad", 100.0)
    assert {policy.ask("bad", 100.0 + n / 100) for n in range(900)} == {Ask.ABSENT}
    assert policy.ask("really new", 109.0) is Ask.FETCH


def test_an_absent_kid_is_looked_for_again_after_the_cooldown() -> None:
    policy = loaded(0.0)
    fetched(policy, "a", 100.0)
    assert policy.ask("a", 100.0 + TIMING.cooldown) is Ask.FETCH


def test_while_fetching_fails_unknown_kids_cause_no_fetch() -> None:
    policy = loaded(0.0)
    policy.begin(300.0)
    policy.fail(300.0, 0.0)
    assert {policy.ask(str(n), 300.0 + n / 10) for n in range(1000)} == {Ask.NO_KEYS}


def test_a_retry_in_progress_delays_no_request() -> None:
    policy = RefetchPolicy(TIMING)
    policy.begin(0.0)
    policy.fail(0.0, 0.0)
    policy.begin(1.0)
    assert policy.ask("a", 1.1) is Ask.NO_KEYS


def test_absent_kids_are_bounded() -> None:
    policy = loaded()
    for number in range(MAX_ABSENT + 500):
        policy.remember_absent(str(number), 0.0)
    assert f"{MAX_ABSENT} absent" in repr(policy)
    # The newest are the ones that are kept.
    assert policy.ask(str(MAX_ABSENT + 499), 1.0) is Ask.ABSENT


def test_back_off_doubles_to_its_bound_and_ends_with_success() -> None:
    policy = RefetchPolicy(TIMING)
    delays = []
    for _ in range(40):
        policy.begin(0.0)
        policy.fail(0.0, 0.0)
        delays.append(policy.due)
    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert set(delays[4:]) == {TIMING.retry_most}
    policy.succeed(0.0, 0.5)
    policy.fail(0.0, 0.0)
    assert policy.due == TIMING.retry_first


def test_refresh_spreads_by_a_tenth() -> None:
    policy = RefetchPolicy(TIMING)
    dues = []
    for spread in (0.0, 0.5, 1.0):
        policy.succeed(1000.0, spread)
        dues.append(policy.due - 1000.0)
    assert dues == pytest.approx([270.0, 300.0, 330.0])


def test_retry_after_is_when_asking_again_can_help() -> None:
    assert NoKeys.retry_after == TIMING.cooldown == TIMING.retry_most


# Seconds since the last step, which kid is asked for, and whether the fetch under way lands first.
STEPS = st.lists(st.tuples(st.floats(0.0, 4.0), st.integers(0, 30), st.booleans()), max_size=200)


@settings(deadline=None)
@given(STEPS)
def test_no_order_of_unknown_kids_evades_the_cooldown(steps: list[tuple[float, int, bool]]) -> None:
    policy, now, began = loaded(), 0.0, [0.0]
    asked: str | None = None
    for pause, number, lands in steps:
        now += pause
        if asked is not None and lands:
            policy.succeed(now, 0.5)
            policy.remember_absent(asked, now)
            asked = None
        ask = policy.ask(str(number), now)
        assert (ask is Ask.WAIT) == (asked is not None) or ask is Ask.ABSENT
        if ask is Ask.FETCH:
            policy.begin(now)
            began.append(now)
            asked = str(number)
    # In any stretch of time: the burst, and one more per cool-down (1e-9: floats add up inexactly).
    for first, start in enumerate(began):
        for last in range(first + BURST, len(began)):
            assert began[last] - start >= (last - first + 1 - BURST) * TIMING.cooldown - 1e-9


@settings(deadline=None)
@given(STEPS)
def test_no_flood_delays_a_new_kid_beyond_the_cooldown(steps: list[tuple[float, int, bool]]) -> None:
    policy, now = loaded(), 0.0
    for pause, number, _ in steps:
        now += pause
        if policy.ask(str(number), now) is Ask.FETCH:
            policy.begin(now)
            policy.succeed(now, 0.5)
            policy.remember_absent(str(number), now)
    assert policy.ask("really new", now + TIMING.cooldown) is Ask.FETCH
