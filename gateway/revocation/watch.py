"""Whether Cognito still accepts the tokens in use: asked in the background, never while a request waits.

`admit` is called for every token that was just verified; what it lets into the token cache is watched from
then on. checker.py asks, ledger.py holds what is known, and what is denied is dropped from the cache, so that
a token that is known costs nothing more.
Invariant: what is denied does not come in, whatever its signature says.
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
# Seconds a request waits with `first_use: check` at most; as long as one question may take.
_PATIENCE = 5.0


class Admission(Enum):
    """What becomes of a token that was verified."""

    KNOWN = "it may come in, and be remembered"
    ONCE = "it may come in; the next time it must be shown here again"
    ASK = "Cognito is to be asked first"


class RevocationWatch:
    """One configuration's questions and answers. Owned by the Gateway: `start`, `stop`."""

    def __init__(
        self,
        config: Cognito,
        *,
        workers: int,
        metrics: WorkerMetrics,
        log: Logger,
        shared: SharedVerdicts | None = None,
        previous: RevocationWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`workers`: how many of this gateway share its calls where `shared` does not count them.

        Whom `previous` denied stays denied.
        """
        settings = config.revocation
        assert settings.check_every is not None, "who never asks has no Revocation"
        self._ask_first = settings.first_use == "check"
        self._strict = settings.on_error == "deny"
        self._metrics = metrics
        alone = workers * settings.replicas
        pace = Pace(settings.calls_per_second, parties=alone if shared is None else 1)
        self.ledger: Ledger = Ledger(
            settings.check_every,
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

    def watch_over(self, remembered: TokenCache[Principal]) -> None:
        """The cache whose tokens are watched."""
        self.ledger.remembered = remembered

    async def start(self) -> None:
        await self.checker.start()

    async def stop(self) -> None:
        await self.checker.stop()

    def is_denied(self, claims: Claims) -> bool:
        """For whoever holds claims that were verified earlier, as a session does."""
        return self.ledger.denied.find(claims) is not None

    def admit(self, claims: Claims, token: bytes, digest: bytes, now: float) -> Admission:
        """Whether a token that was just verified may come in. `now` is Unix time.

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
        """The rest where `admit` gave ASK: wait until Cognito was asked. Raises as `admit` does."""
        family = self.ledger.schedule.get(family_key(claims))
        if family is not None and family.checked_at is None:
            news = self.ledger.news_of(family)
            # Ahead of those who wait for nothing, but not of those who have waited for long.
            self.ledger.schedule.hasten(family, family.seen_at - self.ledger.check_every)
            self.ledger.wake.set()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await news.wait()
            except TimeoutError:
                self._cannot_tell(f"Cognito was not asked within {_PATIENCE:g} s")
                return Admission.ONCE
        admission = self.admit(claims, token, digest, now)
        # Dropped and taken in anew meanwhile: it has waited once, and is asked about next.
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
    """Why Cognito cannot be asked about this token; None: it can."""
    if claims.token_use != "access":  # noqa: S105 - a kind of token
        return "id_token"
    # Client credentials: there is nobody who could be signed out.
    if claims.username is None:
        return "no_user"
    return None if SCOPE in claims.scopes else "no_scope"
