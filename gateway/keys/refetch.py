"""When one pool's key set is fetched: pure bookkeeping, no clock, no await; key_sets.py acts on its answers.

Invariant: however many unknown kids arrive, in whatever order, they cause at most `BURST` fetches at once
and one per `cooldown` after that, and none at all while fetches fail (the owner's own retries cover that
case). Nobody's bad kid keeps another kid from being looked for longer than one `cooldown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Fetches that unknown kids may cause in one go. One is too few: a single stranger's bad kid would then make
# everybody's newly rotated key wait a whole cool-down (aws-jwt-verify does that). INTERFACE promises two.
BURST = 2

# Kids remembered as absent, per pool. Each lasts one cool-down, so this only has to cover what honest but
# stale clients send in ten seconds; a flood that pushes entries out still meets the bucket behind it.
MAX_ABSENT = 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. Only tests choose others than these."""

    # Between fetches caused by unknown kids. COGNITO.md: "one fetch per >= 10 s"; INTERFACE: after a flood a
    # really new kid works within 15 s, so no more than about 12. Also the Retry-After of NoKeys.
    cooldown: float = 10.0
    # New keys are found through their unknown kid; this one is for keys that were withdrawn, which nothing
    # else would tell us of. AWS only says keys "might rotate"; aws-jwt-verify never asks again, others ask
    # hourly. Five minutes bound the life of a withdrawn key and cost 12 fetches an hour.
    refresh: float = 300.0
    # After a failure: 1, 2, 4, 8, 10, 10 … The first is short because side by side containers start in any
    # order; the last is the cool-down, so that whoever obeys Retry-After finds that we have tried again.
    retry_first: float = 1.0
    retry_most: float = 10.0


class Ask(Enum):
    """What to do about a kid that the current key set lacks."""

    FETCH = "start a fetch, then look again"
    WAIT = "a fetch is under way: wait for it, then look again"
    ABSENT = "the key set is fresh and does not have it"
    NO_KEYS = "fetching fails: nobody can tell"


class RefetchPolicy:
    """One pool's state. `now` is any clock that never goes back; `spread` is a random number in [0, 1)."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._level = float(BURST)
        self._filled_at = 0.0
        self._absent: dict[str, float] = {}  # kid → until when it counts as absent; oldest first
        self._under_way = False
        self._failures = 0
        # Before the first fetch there is nothing to tell anybody.
        self.fresh = False
        # When the owner fetches by itself.
        self.due = float("-inf")

    def ask(self, kid: str, now: float) -> Ask:
        """What to do about `kid`. FETCH is said once per fetch: the caller starts it, the rest WAIT."""
        if self._absent.get(kid, now) > now:
            return Ask.ABSENT
        # While fetches fail, a held request gains nothing: the answer is 503 either way.
        if self._failures:
            return Ask.NO_KEYS
        if self._under_way:
            return Ask.WAIT
        if not self.fresh:
            return Ask.NO_KEYS
        if self._filled(now) < 1.0:
            return Ask.ABSENT
        self._under_way = True
        return Ask.FETCH

    def begin(self, now: float) -> None:
        """A fetch starts, whoever wanted it. Every fetch is paid for: none comes on top of a burst."""
        self._level = max(0.0, self._filled(now) - 1.0)
        self._filled_at = now
        self._under_way = True

    def succeed(self, now: float, spread: float) -> None:
        """It brought a key set. The next is due a tenth earlier or later, so that replicas drift apart."""
        self._under_way = False
        self._failures = 0
        self.fresh = True
        self.due = now + self._timing.refresh * (0.9 + 0.2 * spread)

    def fail(self, now: float, spread: float) -> None:
        """It brought nothing. The next is due after the back-off, shortened by up to a tenth."""
        self._under_way = False
        # 2**16 s is far beyond any back-off; the bound keeps the power from growing for ever.
        backoff = min(self._timing.retry_most, self._timing.retry_first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.fresh = False
        self.due = now + backoff * (1.0 - 0.1 * spread)

    def remember_absent(self, kid: str, now: float) -> None:
        """A fresh key set lacked `kid`: for one cool-down that is the answer."""
        self._absent.pop(kid, None)
        while len(self._absent) >= MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        self._absent[kid] = now + self._timing.cooldown

    def _filled(self, now: float) -> float:
        return min(float(BURST), self._level + (now - self._filled_at) / self._timing.cooldown)

    def __repr__(self) -> str:
        state = "fresh" if self.fresh else f"failed {self._failures}x" if self._failures else "new"
        return f"<RefetchPolicy {state}, {len(self._absent)} absent>"
