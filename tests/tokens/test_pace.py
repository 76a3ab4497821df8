"""How fast Cognito is asked, in a time of the tests' own: as fast as its quota allows, whatever that is."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.revocation.pace import BURST, Budget, Pace

LATENCY = 0.06


class Quota:
    """What AWS lets through: so many calls a second, by a bucket of as many, or by the clock's seconds."""

    def __init__(self, rate: float, kind: str) -> None:
        self.rate, self.kind = rate, kind
        self.left, self.at = rate, 0.0

    def takes(self, now: float) -> bool:
        if self.kind == "bucket":
            self.left = min(self.rate, self.left + self.rate * (now - self.at))
        elif int(now) != int(self.at):
            self.left = self.rate
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class World:
    """Workers with so much to ask that they ask all the time; `down` says when Cognito answers nothing."""

    def __init__(self, paces: list[Pace], quota: Quota, shared: Budget | None = None) -> None:
        self.paces, self.quota, self.shared = paces, quota, shared
        self.down: Callable[[float], bool] = lambda _: False
        self.sent: list[float] = []
        self.good: list[float] = []
        self.bad: list[float] = []
        self.silent: list[float] = []
        self._dice = random.Random(1)

    def run(self, seconds: float) -> None:
        number = count()
        # When, which pace, and of a call that comes back: its round, when it left, and its outcome.
        events: list[tuple[float, int, int, tuple[int, float, str] | None]] = [
            (0.0, next(number), which, None) for which in range(len(self.paces))
        ]
        while events and events[0][0] < seconds:
            now, _, which, call = heapq.heappop(events)
            pace = self.paces[which]
            if call is not None:
                began, outcome = call[1], call[2]
                if outcome == "good":
                    self.good.append(now)
                    pace.answered(call[0], now)
                else:
                    self.bad.append(now)
                    pace.failed(call[0], began, now, self._dice.random(), throttled=outcome == "throttled")
                if pace.silent:
                    self.silent.append(now)
            wait = pace.wait(now)
            if wait is None:
                continue
            if wait == 0.0 and self.shared is not None and (left := self.shared.take(now)) > 0.0:
                pace.hold(now + left * (1.0 + self._dice.random()))
                wait = pace.wait(now)
            if wait:
                heapq.heappush(events, (now + wait, next(number), which, None))
                continue
            self.sent.append(now)
            left_in = pace.began(now)
            outcome = "good" if not self.down(now) and self.quota.takes(now) else "throttled"
            if self.down(now):
                outcome = "unreachable"
            heapq.heappush(events, (now + LATENCY, next(number), which, (left_in, now, outcome)))
            heapq.heappush(events, (now, next(number), which, None))


def rate(times: list[float], since: float, until: float) -> float:
    return sum(since <= each < until for each in times) / (until - since)


@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize(("allowed", "workers", "counted"), [(30, 1, 0), (30, 4, 1), (30, 3, 0), (120, 1, 0)])
def test_at_a_quota_below_what_is_allowed_most_of_it_is_used(
    kind: str, allowed: int, workers: int, counted: int
) -> None:
    """`counted`: all workers' calls are, as through Redis or the supervisor; else each has its part."""
    paces = [Pace(allowed, parties=1 if counted else workers) for _ in range(workers)]
    world = World(paces, Quota(20, kind), Budget(allowed) if counted else None)
    world.run(60.0)
    assert rate(world.good, 10.0, 60.0) >= 17.0
    assert rate(world.bad, 10.0, 60.0) <= 4.0
    # With `on_error: deny` nobody is refused for want of a quota alone.
    assert world.silent == []
    assert max(b - a for a, b in pairwise(world.good)) < 3.0


def test_where_the_quota_suffices_all_that_is_allowed_is_used() -> None:
    world = World([Pace(30)], Quota(120, "bucket"))
    world.run(20.0)
    assert world.bad == []
    assert rate(world.good, 1.0, 20.0) == pytest.approx(30.0, rel=0.01)


def test_the_calls_come_back_when_the_quota_does() -> None:
    world = World([Pace(30)], Quota(5, "bucket"))
    world.run(30.0)
    world.quota.rate = 120.0
    before = rate(world.good, 10.0, 30.0)
    assert before <= 5.5
    world.good.clear()
    world.quota.left, world.quota.at = 0.0, 0.0
    world.run(60.0)
    # Twenty seconds later.
    assert rate(world.good, 50.0, 60.0) >= 28.0


def test_an_outage_costs_one_call_at_a_time_with_pauses_that_grow_and_then_it_goes_on() -> None:
    world = World([Pace(30)], Quota(120, "bucket"))
    world.down = lambda now: 10.0 <= now < 60.0
    world.run(90.0)
    lost = [each for each in world.sent if 10.0 <= each < 60.0]
    # Those that were under way with the first, and then the probes.
    probes = [each for each in lost if each > lost[0] + LATENCY]
    pauses = [b - a for a, b in pairwise(probes)]
    assert len(probes) <= 12
    assert pauses[0] < 1.0
    assert max(pauses) <= 12.0 + 2 * LATENCY
    assert all(b > 1.2 * a for a, b in pairwise(pauses[:5]))
    assert world.silent[0] < 11.0
    assert rate(world.good, 75.0, 90.0) >= 20.0
    # Nothing gathers in the pause and leaves together.
    after = [each for each in world.sent if each >= 60.0]
    assert after[1] >= after[0] + LATENCY
    assert sum(each < after[0] + 1.0 for each in after) <= 30


def test_of_the_calls_that_fail_together_one_counts() -> None:
    pace = Pace(100)
    numbers = [pace.began(10.0) for _ in range(4)]
    for number in numbers:
        pace.failed(number, 10.0, 10.1, 0.5, throttled=True)
    assert pace.wait(10.1) == pytest.approx(0.25)
    # The probe alone, until it is answered.
    number = pace.began(10.4)
    assert pace.wait(10.4) is None
    pace.answered(number, 10.5)
    assert pace.wait(10.5) == 0.0
    assert repr(pace) == "<Pace 85 calls a second, answered>"
    pace.began(10.5)
    assert (pace.wait(10.5) or 0.0) > 0.0


def test_silence_is_no_answer_at_all() -> None:
    pace = Pace(100)
    pace.answered(pace.began(0.0), 0.1)
    first, second = pace.began(1.0), pace.began(1.0)
    pace.answered(second, 1.1)
    # An answer came while it was under way.
    pace.failed(first, 1.0, 6.0, 0.5, throttled=False)
    assert pace.failing
    assert not pace.silent
    pace.failed(pace.began(7.0), 7.0, 12.0, 0.5, throttled=False)
    assert pace.silent
    pace.answered(pace.began(20.0), 20.1)
    assert not pace.silent
    assert not pace.failing
    # Too many calls, for a second or two.
    for began in (21.0, 22.0, 24.0):
        pace.failed(pace.began(began), began, began + 0.1, 0.5, throttled=True)
        assert not pace.silent
    pace.failed(pace.began(40.0), 40.0, 40.1, 0.5, throttled=True)
    assert pace.silent


def test_a_cognito_that_never_answered_is_silent_at_once_unless_there_are_too_many_calls() -> None:
    pace, other = Pace(100), Pace(100)
    pace.failed(pace.began(0.0), 0.0, 0.1, 0.5, throttled=False)
    assert pace.silent
    other.failed(other.began(0.0), 0.0, 0.1, 0.5, throttled=True)
    assert not other.silent


@given(st.floats(0.1, 500), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_stretch_of_time_has_more_calls_than_allowed(calls: float, pauses: list[float]) -> None:
    budget, now, taken = Budget(calls), 1000.0, []
    for pause in pauses:
        now += pause
        wait = budget.take(now)
        if wait > 0:
            now += wait * 1.000001
            assert budget.take(now) == 0
        taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= BURST + calls * (taken[last] - begin) + 1e-3
