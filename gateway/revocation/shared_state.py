"""What the workers of one gateway know together of revocation: who was asked about, who is denied, what calls
are left.

Pure bookkeeping, kept by the supervisor; redis_verdicts.py is the same for replicas, in Redis.
Invariant: of all workers together one asks about a family at a time, and no more often than the calls allow;
and no more than `MAX_FAMILIES` are remembered.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.revocation.deny_list import Denial, DenyList
from gateway.revocation.pace import Budget
from gateway.revocation.sharing import Claim

# How old another worker's check may be to count, as a part of check_every: below the least that lies between
# two checks, so that a check is not put off twice.
FRESH = 0.5
# Seconds until another one asks when the one that wanted to died: a question takes 5 s at most.
ASKING = 6.0
# Seconds after which one looks again whether another has its answer.
BUSY = 0.5
# Sign-ins remembered: four times as many as a worker has room for. With their names some 20 MB.
MAX_FAMILIES = 65_536


class Commons:
    """One configuration's. `now` is a clock that never goes back."""

    def __init__(self, check_every: float, calls_per_second: float, *, leeway: float = 0.0) -> None:
        self._fresh = check_every * FRESH
        self._kept = max(self._fresh, ASKING)
        self._budget = Budget(calls_per_second)
        self._leeway = leeway
        self._denied = DenyList()
        # Family → when it was written down, and whether somebody is asking since then, or it held then. In
        # the order of those times.
        self._families: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    def inherit(self, previous: Commons) -> None:
        """Who is denied stays so, and what was asked about need not be asked again."""
        self._denied = previous._denied
        self._families = previous._families

    def claim(self, family: str, subject: str, *, issued_at: float, now: float) -> Claim:
        """What is known of it; of kind `ask` it is now the caller's to ask about."""
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
        """It held, just now."""
        self._write(family, now, asking=False)

    def give_up(self, family: str) -> None:
        """It could not be asked about: another one may."""
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
