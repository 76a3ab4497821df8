"""Revocation as requests see it: admits verified tokens, and watches those in the cache.

`admit` is called for every newly verified token; tokens it lets into the cache are watched from then on.
checker.py asks Cognito in the background, ledger.py holds the state, and denied tokens are dropped from the
cache, so that a cached token costs nothing more. Invariant: a denied token is refused, whatever its
signature.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum

from gateway.config.model import Cognito
from gateway.errors import RevocationUnknown, TokenRevoked
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.revocation.checker import Checker
from gateway.revocation.deny_list import DenyList, family_key
from gateway.revocation.get_user import UserPoolApi
from gateway.revocation.ledger import Ledger
from gateway.revocation.pace import Pace
from gateway.revocation.sharing import SharedVerdicts
from gateway.tokens.cache import TokenCache
from gateway.tokens.claims import Claims
from gateway.tokens.principal import Principal

# AWS, GetUser: "Requires an access token with the scope aws.cognito.signin.user.admin."
SCOPE = "aws.cognito.signin.user.admin"
# Seconds a request waits at most with `first_use: check`: as long as one call may take.
_PATIENCE = 5.0


class Admission(Enum):
    """The decision about a verified token."""

    KNOWN = "accept it and cache it"
    ONCE = "accept it, but do not cache it"
    ASK = "ask Cognito first"


class RevocationWatch:
    """The revocation of one configuration. Owned by the Gateway: `start`, `stop`."""

    def __init__(
        self,
        config: Cognito,
        remembered: TokenCache[Principal],
        *,
        workers: int,
        metrics: WorkerMetrics,
        log: Logger,
        shared: SharedVerdicts | None = None,
        previous: RevocationWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`remembered` is the cache whose tokens are watched; `workers` the number of workers that share the
        calls, if `shared` does not count them.

        Denials of `previous` are kept.
        """
        settings = config.revocation
        assert settings.check_every is not None, "only made where revocation is configured"
        self._ask_first = settings.first_use == "check"
        self._strict = settings.on_error == "deny"
        self._metrics = metrics
        alone = workers * settings.replicas
        pace = Pace(settings.calls_per_second, parties=alone if shared is None else 1)
        self.ledger: Ledger = Ledger(
            settings.check_every,
            remembered=remembered,
            denied=DenyList() if previous is None else previous.ledger.denied,
            pace=pace,
            leeway=config.clock_leeway,
            log=log,
            clock=clock,
        )
        self.checker = Checker(
            self.ledger,
            api=UserPoolApi(config.endpoint_url, config.egress),
            alone=alone,
            regions={pool.id: pool.region for pool in config.user_pools},
            strict=self._strict,
            metrics=metrics,
            log=log,
            shared=shared,
        )

    async def start(self) -> None:
        await self.checker.start()

    async def stop(self) -> None:
        await self.checker.stop()

    def admit(self, claims: Claims, token: bytes, digest: bytes, now: float) -> Admission:
        """Decide about a token that has just been verified. `now` is Unix time.

        Raises TokenRevoked, RevocationUnknown.
        """
        self._refuse_denied(claims)
        reason = unaskable(claims)
        if reason is not None:
            self._metrics.revocation_unwatched[reason] += 1
            return Admission.KNOWN
        family = self.ledger.watch(claims, token, now)
        if family is None:
            self._metrics.revocation_unwatched["no_room"] += 1
            if self._ask_first:
                self._cannot_tell("more sign-ins are in use than can be watched")
            return Admission.ONCE
        if family.checked_at is None and self._ask_first:
            if not self.ledger.pace.silent:
                return Admission.ASK
            self._cannot_tell("Cognito cannot be asked")
        elif self._strict and self.ledger.is_stale(family):
            self._cannot_tell("Cognito cannot be asked, and the last check is too old")
        return Admission.KNOWN if self.ledger.remember(family, digest) else Admission.ONCE

    async def ask_first(self, claims: Claims, token: bytes, digest: bytes, now: float) -> Admission:
        """Wait until Cognito was asked, after `admit` returned ASK. Raises as `admit` does."""
        family = self.ledger.schedule.get(family_key(claims))
        if family is not None and family.checked_at is None:
            news = self.ledger.news_of(family)
            # Ahead of families nobody waits for, but not of those that have waited long.
            self.ledger.schedule.hasten(family, family.seen_at - self.ledger.check_every)
            self.ledger.wake.set()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await news.wait()
            except TimeoutError:
                self._cannot_tell(f"Cognito was not asked within {_PATIENCE:g} s")
                return Admission.ONCE
        admission = self.admit(claims, token, digest, now)
        # Dropped and added again meanwhile: the request has waited once, and the family is next.
        return Admission.ONCE if admission is Admission.ASK else admission

    def _refuse_denied(self, claims: Claims) -> None:
        denial = self.ledger.denied.find(claims)
        if denial is not None:
            raise TokenRevoked(f"Cognito no longer accepts it: {denial.cause}")

    def _cannot_tell(self, why: str) -> None:
        if self._strict:
            raise RevocationUnknown(why)

    def __repr__(self) -> str:
        return f"<Revocation {self.ledger!r}>"


def unaskable(claims: Claims) -> str | None:
    """Return why Cognito cannot be asked about this token, or None if it can."""
    if claims.token_use != "access":  # noqa: S105 - not a password
        return "id_token"
    # Client credentials: there is no user to sign out.
    if claims.username is None:
        return "no_user"
    return None if SCOPE in claims.scopes else "no_scope"
