"""The state of revocation: which sign-ins are watched, which are denied, whose tokens are cached.

No task and no I/O: watch.py (requests) and checker.py (background) both write here. Invariant: a cached token
that Cognito can be asked about belongs to a watched family; a family that is denied, or no longer watched,
has no cached token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.observe.logs import Logger
from gateway.revocation.deny_list import Denial, DenyList, family_key
from gateway.revocation.pace import Pace
from gateway.revocation.schedule import MAX_TOKENS, Family, Schedule
from gateway.tokens.cache import TokenCache
from gateway.tokens.claims import Claims
from gateway.tokens.principal import Principal


class Ledger:
    """The families of one configuration. `clock` is monotonic."""

    def __init__(
        self,
        check_every: float,
        *,
        remembered: TokenCache[Principal],
        denied: DenyList,
        pace: Pace,
        leeway: float,
        log: Logger,
        clock: Callable[[], float],
    ) -> None:
        self.check_every = check_every
        self.pace = pace
        self.clock = clock
        self.denied = denied
        self.schedule = Schedule(check_every, in_use=self._in_use, dropped=self._dropped)
        # Set when a family may be due.
        self.wake = asyncio.Event()
        self.remembered = remembered
        self._leeway = leeway
        self._log = log
        # Family → set when its status is known; only where requests wait for it.
        self._awaited: dict[str, asyncio.Event] = {}
        self._purging = False

    # --- watched families ---

    def watch(self, claims: Claims, token: bytes, now: float) -> Family | None:
        """Return the token's family, now watched and in use; None if there is no room. `now` is Unix time."""
        key, clock = family_key(claims), self.clock()
        family = self.schedule.get(key)
        news = family is None
        if family is None:
            family = Family(key, claims.pool_id, claims.subject, now=clock)
        ends = clock + claims.expires_at - now
        if not self.schedule.watch(family, token, ends=ends, issued_at=claims.issued_at or 0.0):
            return None
        family.used = True
        if news:
            self.wake.set()
        return family

    def remember(self, family: Family, digest: bytes) -> bool:
        """Return whether the token with this SHA-256 may be cached."""
        if len(family.digests) >= MAX_TOKENS and digest not in family.digests:
            return False
        family.digests.add(digest)
        return True

    def is_stale(self, family: Family) -> bool:
        """Return whether Cognito does not respond and the family's last check is older than allowed."""
        return self.pace.silent and family.age(self.clock()) > self.check_every

    def forget_stale(self) -> None:
        """Drop the cached tokens of stale families, which stay watched, so that they are admitted again."""
        if self.pace.silent:
            for family in self.schedule:
                if self.is_stale(family):
                    for digest in family.digests:
                        self.remembered.forget(digest)

    def _in_use(self, family: Family) -> bool:
        used, family.used = family.used, False
        for digest in list(family.digests):
            seen = self.remembered.used(digest)
            if seen is None:
                # Evicted from the cache, and with it the record of its use.
                family.digests.discard(digest)
                used = True
            used = used or seen is True
        return used

    def _dropped(self, family: Family) -> None:
        for digest in family.digests:
            self.remembered.forget(digest)
        family.digests.clear()
        self.tell(family)

    # --- pending requests ---

    def news_of(self, family: Family) -> asyncio.Event:
        return self._awaited.setdefault(family.key, asyncio.Event())

    def tell(self, family: Family) -> None:
        awaited = self._awaited.pop(family.key, None)
        if awaited is not None:
            awaited.set()

    # --- denied families ---

    def deny(self, key: str, denial: Denial, family: Family) -> None:
        """Deny all tokens of `key`: this family, or every family of its user."""
        if self.denied.deny(key, denial, self.clock(), self._leeway):
            self._log.event(
                "token_revoked", pool=family.pool_id, subject=family.subject, cause=denial.cause, denied=key
            )
        if denial.issued_until:
            for other in self.schedule.of_subject(family.pool_id, family.subject):
                if other.issued_at <= denial.issued_until:
                    self.schedule.drop(other)
        self.schedule.drop(family)
        if not self._purging:
            # Once for everything denied in one turn of the event loop, because it scans the whole cache. The
            # families' tokens are gone already; this is for ID tokens, which are not watched.
            self._purging = True
            asyncio.get_running_loop().call_soon(self._purge)

    def _purge(self) -> None:
        self._purging = False
        self.remembered.forget_where(lambda proven: self.denied.find(proven.claims) is not None)

    def __repr__(self) -> str:
        return f"<Ledger of {self.schedule!r}, {self.denied!r}>"
