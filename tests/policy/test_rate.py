"""Token buckets: never more than promised, never less, and bounded whatever comes."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.rate import (
    MAX_NAME,
    Allowance,
    Buckets,
    RateRule,
    address_key,
    limit_header,
    policy_header,
    rule_of,
    take,
)

RULES = st.builds(RateRule, st.floats(0.01, 10_000), st.integers(1, 1000))
# Seconds between requests: none, a few, and long rests.
PAUSES = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 200)), min_size=1, max_size=300)


def arrivals(pauses: list[float], start: float = 1000.0) -> list[float]:
    times, now = [], start
    for pause in pauses:
        now += pause
        times.append(now)
    return times


@given(RULES, PAUSES)
def test_no_stretch_of_time_holds_more_than_promised(rule: RateRule, pauses: list[float]) -> None:
    buckets: Buckets[str] = Buckets(rule)
    allowed = [now for now in arrivals(pauses) if buckets.take("k", now).allowed]
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            promised = rule.capacity + rule.rate * (allowed[last] - begin)
            assert last - first + 1 <= promised + 1e-6 * max(1.0, promised)


@given(RULES, PAUSES)
def test_it_is_the_bucket_that_textbooks_draw(rule: RateRule, pauses: list[float]) -> None:
    level, before, full_at = float(rule.capacity), 1000.0, -math.inf
    for now in arrivals(pauses):
        level = min(rule.capacity, level + (now - before) * rule.rate)
        before = now
        allowance, full_at = take(rule, full_at, now)
        if abs(level - 1) > 1e-5:
            assert allowance.allowed == (level >= 1)
        if allowance.allowed:
            level -= 1


@given(RULES, PAUSES)
def test_a_client_that_obeys_retry_after_is_allowed(rule: RateRule, pauses: list[float]) -> None:
    buckets: Buckets[str] = Buckets(rule)
    for now in arrivals(pauses):
        allowance = buckets.take("k", now)
        if not allowance.allowed:
            # A time of day has fewer digits than a short wait.
            rounding = 4 * math.ulp(now + rule.interval)
            assert 0 < allowance.retry_after <= rule.interval * (1 + 1e-9) + rounding
            assert buckets.look("k", now + allowance.retry_after * (1 + 1e-6) + rounding).allowed


@given(RULES, st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=200))
def test_forgetting_changes_nothing(rule: RateRule, asked: list[tuple[str, float]]) -> None:
    buckets, kept, now = Buckets[str](rule), dict[str, float](), 0.0
    for key, pause in asked:
        now += pause
        expected, kept[key] = take(rule, kept.get(key, -math.inf), now)
        assert buckets.take(key, now) == expected


def test_one_key_takes_nothing_from_another_and_looking_takes_nothing() -> None:
    buckets: Buckets[str] = Buckets(RateRule(1, 2))
    assert [buckets.take("a", 5.0).allowed for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 5.0) == Allowance(True, 1, 0.0)
    for _ in range(5):
        assert buckets.look("b", 5.0) == Allowance(True, 0, 0.0)
    assert buckets.take("a", 5.0) == Allowance(False, 0, 1.0)


def test_memory_is_bounded_by_number_and_by_time() -> None:
    buckets: Buckets[str] = Buckets(RateRule(10, 10), most=100)
    for number in range(10_000):
        buckets.take(f"k{number}", 0.0)
        assert len(buckets) <= 200
    buckets.take("k", 1.5)
    buckets.take("k", 3.0)
    assert len(buckets) == 2  # the same one, of this spell and of the one before


@pytest.mark.parametrize(
    ("rate", "burst", "capacity"), [(10, 0, 10), (0.5, 0, 1), (2.5, 0, 3), (10, 50, 50), (10, 1, 1)]
)
def test_each_setting_has_its_rule(rate: float, burst: int, capacity: int) -> None:
    assert rule_of(rate, burst) == RateRule(rate, capacity)


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:4711", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_whose_bucket_an_address_takes_from(client: str, key: str) -> None:
    assert address_key(client) == key


@settings(max_examples=30)
@given(st.text(max_size=400))
def test_any_text_has_a_short_key(client: str) -> None:
    assert len(address_key(client)) <= max(MAX_NAME, 43)
    assert sys.getsizeof(address_key(client)) < 700


def test_headers() -> None:
    rule = RateRule(10, 25)
    assert policy_header(rule) == '"default";q=25;w=3'
    assert limit_header(Allowance(False, 0, 0.05)) == '"default";r=0;t=1'
    assert limit_header(Allowance(False, 0, 59.2)) == '"default";r=0;t=60'
