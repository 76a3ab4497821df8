"""Revocation results shared by the workers of one gateway: checks, denials and the remaining calls.

Bookkeeping without I/O, kept by the supervisor; redis_verdicts.py is its counterpart for replicas. Invariant:
one of all workers checks a family at a time, and the calls of all stay within the limit; and no more than
`MAX_FAMILIES` are remembered.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.revocation.deny_list import Denial, DenyList
from gateway.revocation.pace import Budget
from gateway.revocation.sharing import Claim

# The maximum age of another worker's check, as a share of check_every: less than the shortest interval
# between two checks, so that a check is not postponed twice.
FRESH = 0.5
# Seconds until another worker checks if the first one died: a check takes at most 5 s.
ASKING = 6.0
# Seconds after which a worker looks again for another's result.
BUSY = 0.5
# Sign-ins remembered: four times as many as a worker can watch. With their keys some 20 MB.
MAX_FAMILIES = 65_536


class Commons:
    """The shared state of one configuration. `now` is monotonic time."""

    def __init__(
        self,
        check_every: float,
        calls_per_second: float,
        *,
        leeway: float = 0.0,
        previous: Commons | None = None,
    ) -> None:
        """Denials and recent checks of `previous` are adopted."""
        self._fresh = check_every * FRESH
        self._kept = max(self._fresh, ASKING)
        self._budget = Budget(calls_per_second)
        self._leeway = leeway
        self._denied: DenyList = DenyList() if previous is None else previous._denied
        # Family → when it was recorded, and whether a check began then or confirmed it. Ordered by that time.
        self._families: OrderedDict[str, tuple[float, bool]] = (
            OrderedDict() if previous is None else previous._families
        )

    def claim(self, family: str, subject: str, *, issued_at: float, now: float) -> Claim:
        """Return what is known of a family; with kind `ask` the caller is to check it."""
        denied = self._denied.look_up(family, subject, issued_at)
        if denied is not None:
            key, denial = denied
            return Claim("denied", 0.0, key, denial.cause, denial.issued_until)
        known = self._families.get(family)
        if known is not None:
            at, asking = known
            if asking and now - at < ASKING:
                return Claim("busy", BUSY)
            if not asking and now - at <= self._fresh:
                return Claim("fresh", now - at)
        wait = self._budget.take(now)
        if wait > 0:
            return Claim("wait", wait)
        self._write(family, now, asking=True)
        return Claim("ask")

    def settle(self, family: str, now: float) -> None:
        """Record that Cognito has just confirmed the family."""
        self._write(family, now, asking=False)

    def give_up(self, family: str) -> None:
        """Release a claim without a result, so that another worker can check."""
        known = self._families.get(family)
        if known is not None and known[1]:
            del self._families[family]

    def deny(self, key: str, denial: Denial, now: float) -> None:
        self._denied.deny(key, denial, now, self._leeway)

    def _write(self, family: str, now: float, *, asking: bool) -> None:
        self._families[family] = (now, asking)
        self._families.move_to_end(family)
        while len(self._families) > MAX_FAMILIES or now - next(iter(self._families.values()))[0] > self._kept:
            self._families.popitem(last=False)

    def __len__(self) -> int:
        return len(self._families)

    def __repr__(self) -> str:
        return f"<Commons of {len(self)} families, {self._denied!r}>"
