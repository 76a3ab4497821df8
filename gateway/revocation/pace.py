"""How fast Cognito may be asked: pure bookkeeping, no clock, no await; checker.py acts on it.

Others share the account's quota, and nobody tells how much of it is left. So the calls become a little more
all the time, up to what is allowed, and fewer by a part when one fails, as TCP does with a network (RFC 5681,
congestion avoidance). Invariant: in any stretch of t seconds no more than `BURST` + allowed × t calls; of the
calls under way when one failed only that one counts; and until an answer comes there is one call at a time.
"""

from __future__ import annotations

# Calls at once: what came due together goes out together, and no second has many more than are allowed.
BURST = 4.0
# What is left of the rate after a failure, and where the next call fails too because there were too many. TCP
# halves at once; AWS's quota is the same the next second, so that less keeps the calls nearer to it.
_BACK, _FAR_BACK = 0.85, 0.5
# What comes back of what is allowed, t seconds after the last failure: 0.02 × (t + t² / 16). From 0.85 to 1
# that takes six seconds; where the quota is no longer the limit, from next to nothing half a minute. The
# longer nothing fails, the faster (as CUBIC does, RFC 9438).
_GAIN, _FASTER_AFTER = 0.02, 16.0
# Never less than that, of what is allowed.
_LEAST = 1 / 64
# AWS counts calls by the second: too many calls are no reason for so long a silence (seconds).
_SILENCE = 10.0
# After a failure: 0.25, 0.5, 1, 2, 4, 8, 10, 10 … seconds until the next call of this worker.
_PAUSE_FIRST, _PAUSE_MOST = 0.25, 10.0


class Budget:
    """Calls a second, and no more than a few at once. Its user says when time has passed."""

    def __init__(self, calls_per_second: float) -> None:
        self.rate = calls_per_second
        self._calls = BURST
        self._at = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until there is a call to take; 0: now."""
        most = max(1.0, min(BURST, self.rate))
        self._calls = min(most, self._calls + self.rate * max(0.0, now - self._at))
        self._at = max(self._at, now)
        # A billionth of a call is rounding.
        return 0.0 if self._calls >= 1.0 - 1e-9 else (1.0 - self._calls) / self.rate

    def take(self, now: float) -> float:
        """0: one call was taken. Else the seconds until there is one."""
        wait = self.wait(now)
        if wait == 0.0:
            self._calls -= 1.0
        return wait

    def empty(self, now: float) -> None:
        """Leave one call at most: a pause is no time in which calls gather."""
        self.wait(now)
        self._calls = min(self._calls, 1.0)


class Pace:
    """The pace of one worker."""

    def __init__(self, allowed: float, *, parties: int = 1) -> None:
        """`allowed`: calls a second, of all `parties` together."""
        # How many share what is allowed as far as nobody else counts their calls.
        self.parties = parties
        # Cognito answers nothing at all: no answer has come since the last call that failed began; or for
        # long, where it said that there are too many.
        self.silent = False
        self._allowed = allowed
        # What is left of what is allowed, and what was left when that began to grow, and when.
        self._part = self._base = 1.0
        self._base_at = float("-inf")
        self._budget = Budget(allowed / parties)
        self._round = 0
        # Rounds that failed in a row.
        self._failures = 0
        self._probing = False
        self._held_until = float("-inf")
        self._answered_at: float | None = None

    @property
    def failing(self) -> bool:
        """Whether the last round failed: one call at a time until there is an answer."""
        return self._failures > 0

    def wait(self, now: float) -> float | None:
        """Seconds until the next call may leave; None: not before the one under way is over."""
        if self._probing:
            return None
        if now < self._held_until:
            return self._held_until - now
        self._grow(now)
        return self._budget.wait(now)

    def began(self, now: float) -> int:
        """A call leaves; returns the round it belongs to."""
        self._grow(now)
        self._budget.take(now)
        self._probing = self.failing
        return self._round

    def hold(self, until: float) -> None:
        """No call leaves before then: others have taken what was left."""
        self._held_until = max(self._held_until, until)

    def answered(self, number: int, now: float) -> None:
        """Cognito answered a call of this round."""
        self.silent = False
        self._answered_at = now
        if number == self._round and self.failing:
            self._failures = 0
            self._probing = False
            self._base, self._base_at = self._part, now
            self._budget.empty(now)

    def failed(self, number: int, began: float, now: float, spread: float, *, throttled: bool) -> None:
        """A call of this round, which left at `began`, failed. `spread` is a random number in [0, 1)."""
        if number != self._round:
            return  # it left with one that failed before
        self._grow(now)
        self._round += 1
        self._probing = False
        if not self.failing:
            self._part = max(_LEAST, self._part * _BACK)
        elif throttled:
            self._part = max(_LEAST, self._part * _FAR_BACK)
        # 2**10 pauses are far beyond the longest; the bound keeps the power from growing for ever.
        pause = min(_PAUSE_MOST, _PAUSE_FIRST * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self.hold(now + pause * (0.8 + 0.4 * spread))
        if self._answered_at is None:
            self._answered_at = began  # it may have answered until then, for all that is known
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
