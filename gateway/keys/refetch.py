"""The schedule of key set fetches of one pool, without a clock and without waiting; key_sets.py acts on it.

Invariant: however many unknown kids arrive, in whatever order, they cause at most `BURST` fetches at once and
one per `cooldown` after that, and none while fetches fail (the owner's retries cover that case). No bad kid
delays the look-up of another kid longer than one `cooldown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Fetches that unknown kids may cause at once. One is too few: a single bad kid would make everyone's newly
# rotated key wait a whole cool-down (as in aws-jwt-verify). Documented: at most two.
BURST = 2

# Kids remembered as absent, per pool. Each lasts one cool-down, so this only has to cover what honest but
# stale clients send in ten seconds; a flood that evicts entries is still limited by the bucket.
MAX_ABSENT = 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals in seconds. Only tests choose other values."""

    # Between fetches caused by unknown kids. At most about 12: after a flood, a new kid has to work within 15
    # s. Also the Retry-After of NoKeys.
    cooldown: float = 10.0
    # New keys are found by their unknown kid; this interval is for withdrawn keys, which nothing else
    # announces. AWS only says keys "might rotate"; aws-jwt-verify never fetches again, others do hourly. Five
    # minutes bound the life of a withdrawn key and cost 12 fetches an hour.
    refresh: float = 300.0
    # After a failure: 1, 2, 4, 8, 10, 10 … The first is short because containers of one pod start in any
    # order; the last is the cool-down, so that clients that obey Retry-After come after the next attempt.
    retry_first: float = 1.0
    retry_most: float = 10.0


class Ask(Enum):
    """What to do about a kid that the current key set lacks."""

    FETCH = "start a fetch, then look again"
    WAIT = "a fetch is in progress: wait for it, then look again"
    ABSENT = "the key set is fresh and does not have it"
    NO_KEYS = "fetching fails: unknown"


class RefetchPolicy:
    """One pool's state. `now` is any monotonic clock; `spread` is a random number in [0, 1)."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._level = float(BURST)
        self._filled_at = 0.0
        self._absent: dict[str, float] = {}  # kid → until when it counts as absent; oldest first
        self._under_way = False
        self._failures = 0
        # False before the first fetch, when nothing is known.
        self.fresh = False
        # When the owner fetches next without being asked.
        self.due = float("-inf")

    def ask(self, kid: str, now: float) -> Ask:
        """Return what to do about `kid`: FETCH once per fetch, whose caller starts it; the rest WAIT."""
        if self._absent.get(kid, now) > now:
            return Ask.ABSENT
        # While fetches fail, holding a request gains nothing: the response is 503 either way.
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
        """Record the start of a fetch. Each takes from the bucket, so none adds to a burst."""
        self._level = max(0.0, self._filled(now) - 1.0)
        self._filled_at = now
        self._under_way = True

    def succeed(self, now: float, spread: float) -> None:
        """Record a fetched key set.

        The next fetch is due up to 10 % earlier or later, so that replicas spread out.
        """
        self._under_way = False
        self._failures = 0
        self.fresh = True
        self.due = now + self._timing.refresh * (0.9 + 0.2 * spread)

    def fail(self, now: float, spread: float) -> None:
        """Record a failed fetch. The next is due after the back-off, shortened by up to 10 %."""
        self._under_way = False
        # 2**16 s is far beyond any back-off; the bound keeps the power from growing indefinitely.
        backoff = min(self._timing.retry_most, self._timing.retry_first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.fresh = False
        self.due = now + backoff * (1.0 - 0.1 * spread)

    def remember_absent(self, kid: str, now: float) -> None:
        """Remember that a fresh key set lacked `kid`, for one cool-down."""
        self._absent.pop(kid, None)
        while len(self._absent) >= MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        self._absent[kid] = now + self._timing.cooldown

    def _filled(self, now: float) -> float:
        return min(float(BURST), self._level + (now - self._filled_at) / self._timing.cooldown)

    def __repr__(self) -> str:
        state = "fresh" if self.fresh else f"failed {self._failures}x" if self._failures else "new"
        return f"<RefetchPolicy {state}, {len(self._absent)} absent>"
