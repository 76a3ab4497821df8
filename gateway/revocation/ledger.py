"""What is known of the sign-ins in use: who is watched, who is denied, whose tokens are in the cache.

No task and no I/O: revocation.py (requests) and checker.py (the background) both write here.
Invariant: a token in the cache that Cognito can be asked about belongs to a family that is watched; whoever
is not watched any more, or is denied, has no token there.
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
    """One configuration's families. `clock` never goes back."""

    def __init__(
        self,
        check_every: float,
        *,
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
        # Set when there may be somebody to ask about.
        self.wake = asyncio.Event()
        self.remembered: TokenCache[Principal] | None = None
        self._leeway = leeway
        self._log = log
        # Family → set when something is known of it; only where requests wait for that.
        self._awaited: dict[str, asyncio.Event] = {}
        self._purging = False

    # --- who is watched ---

    def watch(self, claims: Claims, token: bytes, now: float) -> Family | None:
        """The token's family, watched from now on and in use; None: there is no room. `now` is Unix time."""
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
        """Whether the token with this SHA-256 may be put into the cache."""
        if len(family.digests) >= MAX_TOKENS and digest not in family.digests:
            return False
        family.digests.add(digest)
        return True

    def is_stale(self, family: Family) -> bool:
        """Whether Cognito does not answer, and its last word on this one is older than it may be."""
        return self.pace.silent and family.age(self.clock()) > self.check_every

    def forget_stale(self) -> None:
        """Have the tokens of those shown again; they stay watched."""
        if self.pace.silent and self.remembered is not None:
            for family in self.schedule:
                if self.is_stale(family):
                    for digest in family.digests:
                        self.remembered.forget(digest)

    def _in_use(self, family: Family) -> bool:
        used, family.used = family.used, False
        for digest in list(family.digests):
            seen = self.remembered.used(digest) if self.remembered is not None else None
            if seen is None:
                # Pushed out by others: what was known of its use went with it.
                family.digests.discard(digest)
                used = True
            used = used or seen is True
        return used

    def _dropped(self, family: Family) -> None:
        if self.remembered is not None:
            for digest in family.digests:
                self.remembered.forget(digest)
        family.digests.clear()
        self.tell(family)

    # --- who is waited for ---

    def news_of(self, family: Family) -> asyncio.Event:
        return self._awaited.setdefault(family.key, asyncio.Event())

    def tell(self, family: Family) -> None:
        awaited = self._awaited.pop(family.key, None)
        if awaited is not None:
            awaited.set()

    # --- who is denied ---

    def deny(self, key: str, denial: Denial, family: Family) -> None:
        """Let in no token of `key` any more: this family, or the user of all of them."""
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
            # Once for all that are denied in one turn of the loop: it looks at every token there is. The
            # families' own are gone already; ID tokens, which nobody watches, go here.
            self._purging = True
            asyncio.get_running_loop().call_soon(self._purge)

    def _purge(self) -> None:
        self._purging = False
        if self.remembered is not None:
            self.remembered.forget_where(lambda proven: self.denied.find(proven.claims) is not None)

    def __repr__(self) -> str:
        return f"<Ledger of {self.schedule!r}, {self.denied!r}>"
