"""The rate of calls to Cognito: bookkeeping without a clock and without waiting; checker.py acts on it.

The account's quota is shared with others, and its remainder is unknown. So the rate grows slowly up to what
is allowed, and drops by a factor when a call fails, as TCP does in a network (RFC 5681, congestion
avoidance). Invariant: in any t seconds there are at most `BURST` + allowed × t calls; of the calls in flight
when one failed only that one counts; and until a response arrives there is one call at a time.
"""

from __future__ import annotations

# Calls at once: families that become due together are checked together, without exceeding the rate by much.
BURST = 4.0
# The factor after a failure, and after another one caused by throttling. TCP halves at once; but AWS's quota
# is the same the next second, so a smaller step keeps the rate closer to it.
_BACK, _FAR_BACK = 0.85, 0.5
# The share regained t seconds after the last failure: 0.02 × (t + t² / 16). From 0.85 to 1 it takes six
# seconds; from almost nothing, half a minute. Growth accelerates with time, as in CUBIC (RFC 9438).
_GAIN, _FASTER_AFTER = 0.02, 16.0
# The lowest share of the allowed rate.
_LEAST = 1 / 64
# Seconds. AWS counts calls per second: throttling alone does not explain a longer silence.
_SILENCE = 10.0
# After a failure this worker pauses 0.25, 0.5, 1, 2, 4, 8, 10, 10 … seconds.
_PAUSE_FIRST, _PAUSE_MOST = 0.25, 10.0


class Budget:
    """A token bucket of calls, with a small burst. The caller supplies the time."""

    def __init__(self, calls_per_second: float) -> None:
        self.rate = calls_per_second
        self._calls = BURST
        self._at = float("-inf")

    def wait(self, now: float) -> float:
        """Return the seconds until a call is available; 0 if one is."""
        most = max(1.0, min(BURST, self.rate))
        self._calls = min(most, self._calls + self.rate * max(0.0, now - self._at))
        self._at = max(self._at, now)
        # A billionth of a call is a rounding error.
        return 0.0 if self._calls >= 1.0 - 1e-9 else (1.0 - self._calls) / self.rate

    def take(self, now: float) -> float:
        """Take a call and return 0, or return the seconds until one is available."""
        wait = self.wait(now)
        if wait == 0.0:
            self._calls -= 1.0
        return wait

    def empty(self, now: float) -> None:
        """Leave at most one call: none accumulate during a pause."""
        self.wait(now)
        self._calls = min(self._calls, 1.0)


class Pace:
    """The call rate of one worker."""

    def __init__(self, allowed: float, *, parties: int = 1) -> None:
        """`allowed`: calls per second, of all `parties` together."""
        # The number of workers that share the allowed rate, unless it is counted elsewhere.
        self.parties = parties
        # Cognito does not respond: no response since the last failed call began, or, under throttling, for
        # long.
        self.silent = False
        self._allowed = allowed
        # The current share of the allowed rate; the share when it began to grow, and when that was.
        self._part = self._base = 1.0
        self._base_at = float("-inf")
        self._budget = Budget(allowed / parties)
        self._round = 0
        # Consecutive failed rounds.
        self._failures = 0
        self._probing = False
        self._held_until = float("-inf")
        self._answered_at: float | None = None

    @property
    def failing(self) -> bool:
        """Whether the last round failed: one call at a time until there is a response."""
        return self._failures > 0

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next call is allowed; None: not before the current one ends."""
        if self._probing:
            return None
        if now < self._held_until:
            return self._held_until - now
        self._grow(now)
        return self._budget.wait(now)

    def began(self, now: float) -> int:
        """Record the start of a call; return its round."""
        self._grow(now)
        self._budget.take(now)
        self._probing = self.failing
        return self._round

    def hold(self, until: float) -> None:
        """Allow no call before then: others have used up the rate."""
        self._held_until = max(self._held_until, until)

    def answered(self, number: int, now: float) -> None:
        """Record a response to a call of this round."""
        self.silent = False
        self._answered_at = now
        if number == self._round and self.failing:
            self._failures = 0
            self._probing = False
            self._base, self._base_at = self._part, now
            self._budget.empty(now)

    def failed(self, number: int, began: float, now: float, spread: float, *, throttled: bool) -> None:
        """Record the failure of a call of this round that began at `began`; `spread` is random in [0, 1)."""
        if number != self._round:
            return  # concurrent with one that failed before
        self._grow(now)
        self._round += 1
        self._probing = False
        if not self.failing:
            self._part = max(_LEAST, self._part * _BACK)
        elif throttled:
            self._part = max(_LEAST, self._part * _FAR_BACK)
        # 2**10 pauses far exceed the longest; the bound keeps the power from growing indefinitely.
        pause = min(_PAUSE_MOST, _PAUSE_FIRST * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self.hold(now + pause * (0.8 + 0.4 * spread))
        if self._answered_at is None:
            self._answered_at = began  # for all we know there was a response until then
        silence = now - self._answered_at
        if self._answered_at <= began and (not throttled or silence > _SILENCE):
            self.silent = True

    def _grow(self, now: float) -> None:
        if not self.failing and self._part < 1.0:
            since = max(0.0, now - self._base_at)
            self._part = min(1.0, self._base + _GAIN * (since + since * since / _FASTER_AFTER))
        self._budget.rate = self._allowed * self._part / self.parties

    def __repr__(self) -> str:
        state = "silent" if self.silent else "failing" if self.failing else "answered"
        return f"<Pace {self._budget.rate:.3g} calls a second, {state}>"
