"""The background task of revocation: takes each family that is due, asks Cognito and records the result.

Invariant: no call is made unless pace.py allows it, no task outlives `stop`, and an error with one family
leaves it in the queue and all others unaffected.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

from gateway.observe.bugs import report
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.revocation.deny_list import Denial, subject_key
from gateway.revocation.get_user import CheckFailed, TokenStatus, UserPoolApi
from gateway.revocation.ledger import Ledger
from gateway.revocation.schedule import Family
from gateway.revocation.sharing import Claim, SharedVerdicts

# Concurrent calls: at the default 30 a second and 100 ms each there are 3. More would only lengthen the
# queue.
_AT_ONCE = 32
# Seconds between two announcements to those who share the calls.
_SHOW_EVERY = 2.0
# Seconds before the log repeats a failure: under a small quota, calls fail again and again.
_REPEAT_AFTER = 60.0
# Seconds until the next attempt after an unexpected exception.
_AFTER_A_BUG = 1.0
# Statuses that concern the user and not a single sign-in.
_OF_THE_USER = frozenset({TokenStatus.DISABLED, TokenStatus.DELETED})


class Checker:
    """Checks the families of one Ledger. `regions`: pool ID → AWS region."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        api: UserPoolApi,
        alone: int,
        regions: Mapping[str, str],
        strict: bool,
        metrics: WorkerMetrics,
        log: Logger,
        shared: SharedVerdicts | None,
    ) -> None:
        """`alone`: the number of workers that share the calls while `shared` cannot count them.

        `strict`: tokens whose check is too old while Cognito does not respond have to be admitted again.
        """
        self._ledger = ledger
        self._schedule = ledger.schedule
        self._pace = ledger.pace
        self._clock = ledger.clock
        self._api = api
        self._alone = alone
        self._regions = regions
        self._strict = strict
        self._metrics = metrics
        self._log = log
        self.shared = shared
        # Failure reason → when it was logged last.
        self._logged: dict[str, float] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._checks: set[asyncio.Task[None]] = set()
        self._owners: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if not self._owners:
            self._owners = [
                asyncio.create_task(self._dispatch(), name="revocation"),
                asyncio.create_task(self._look_after(), name="revocation, old checks"),
            ]

    async def stop(self) -> None:
        tasks = [*self._owners, *self._checks]
        self._owners = []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._api.close()
        if self.shared is not None:
            await self.shared.close()

    # --- selection ---

    async def _dispatch(self) -> None:
        """Start a task for each family that is due."""
        while True:
            await self._room.acquire()
            family, number = await self._next()
            # The family may be dropped, and its token cleared, before the task runs.
            check = self._check_safely(family, family.token, number)
            task = asyncio.create_task(check, name="revocation check")
            self._checks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._checks.discard(task)
        self._room.release()

    async def _next(self) -> tuple[Family, int]:
        """Wait for a family to check; return it and the round of its call."""
        while True:
            family: Family | None = None
            try:
                await self._until_due()
                family = self._schedule.next(self._clock())
                if family is not None and await self._is_ours(family):
                    return family, self._pace.began(self._clock())
            except Exception as bug:  # noqa: BLE001 - the checks must go on
                if family is not None:
                    self._schedule.later(family, self._clock() + _AFTER_A_BUG)
                report("selecting the next revocation check failed", bug)
                await asyncio.sleep(_AFTER_A_BUG)

    async def _until_due(self) -> None:
        """Wait until a family is due and a call is allowed."""
        while True:
            self._ledger.wake.clear()
            now = self._clock()
            due, call = self._schedule.wait(now), self._pace.wait(now)
            wait = None if due is None or call is None else max(due, call)
            if wait == 0.0:
                return
            try:
                async with asyncio.timeout(wait):
                    await self._ledger.wake.wait()
            except TimeoutError:
                pass  # a family is due

    async def _is_ours(self, family: Family) -> bool:
        """Return whether this worker is to ask Cognito now; otherwise reschedule the family."""
        if self.shared is None:
            return True
        subject = subject_key(family.pool_id, family.subject)
        claim = await self.shared.claim(family.key, subject, issued_at=family.issued_at)
        now = self._clock()
        if claim is None:
            self._pace.parties = max(self._alone, self.shared.parties or 0)
            if self._pace.wait(now) == 0.0 and not family.gone:
                return True
            self._schedule.back(family)
            return False
        self._pace.parties = 1
        if claim.kind != "ask":
            self._learn(family, claim, now)
            return False
        # Meanwhile, another call may have failed.
        if not family.gone and self._pace.wait(now) == 0.0:
            return True
        self._schedule.back(family)
        await self.shared.give_up(family.key)
        return False

    async def _look_after(self) -> None:
        """Update the gauges, announce this worker, and make stale checks not count in strict mode."""
        pause = min(1.0, self._ledger.check_every / 5)
        shown = float("-inf")
        while True:
            if self.shared is not None and self._clock() - shown >= _SHOW_EVERY:
                shown = self._clock()
                await self.shared.present()
            await asyncio.sleep(pause)
            self._metrics.revocation_oldest_check = self._schedule.oldest(self._clock())
            self._metrics.revocation_watched = len(self._schedule)
            self._metrics.revocation_denied = len(self._ledger.denied)
            if self._strict:
                self._ledger.forget_stale()

    # --- one family ---

    async def _check_safely(self, family: Family, token: bytes, number: int) -> None:
        began = self._clock()
        try:
            await self._ask(family, token, number, began)
        except Exception as bug:  # noqa: BLE001 - the checks of other families must go on
            now = self._clock()
            self._pace.failed(number, began, now, _spread(), throttled=False)
            self._schedule.later(family, now)
            report("a revocation check failed", bug)
        finally:
            self._ledger.wake.set()

    def _learn(self, family: Family, claim: Claim, now: float) -> None:
        """Apply what another worker found."""
        if claim.kind == "denied":
            self._metrics.revocation_checks["shared"] += 1
            self._ledger.deny(claim.key, Denial(claim.cause, claim.issued_until), family)
        elif claim.kind == "fresh":
            self._metrics.revocation_checks["shared"] += 1
            self._schedule.checked(family, at=now - claim.seconds, spread=_spread())
            self._ledger.tell(family)
        elif claim.kind == "busy":
            self._schedule.later(family, now + claim.seconds)
        else:
            # Spread out, so that waiting workers do not retry together.
            self._pace.hold(now + claim.seconds * (1.0 + _spread()))
            self._schedule.back(family)

    async def _ask(self, family: Family, token: bytes, number: int, began: float) -> None:
        shared = self.shared
        try:
            answer = await self._api.ask(self._regions[family.pool_id], token)
        except CheckFailed as failure:
            self._failed(family, failure, number, began)
            if shared is not None:
                await shared.give_up(family.key)
            return
        self._pace.answered(number, self._clock())
        if answer is TokenStatus.ENDED:
            self._schedule.drop(family)
        elif answer is TokenStatus.HOLDS:
            self._metrics.revocation_checks["active"] += 1
            self._schedule.checked(family, at=began, spread=_spread())
            self._ledger.tell(family)
            if shared is not None:
                await shared.settle(family.key)
        else:
            await self._refused(family, answer)

    async def _refused(self, family: Family, answer: TokenStatus) -> None:
        self._metrics.revocation_checks["revoked"] += 1
        key, denial = family.key, Denial(answer.value, 0.0)
        if answer in _OF_THE_USER:
            # Unix time, because it is compared with the times at which tokens were issued.
            key, denial = subject_key(family.pool_id, family.subject), Denial(answer.value, time.time())
        self._ledger.deny(key, denial, family)
        # It may have been a global sign-out: check the user's other sign-ins next.
        for other in self._schedule.of_subject(family.pool_id, family.subject):
            self._schedule.hasten(other, self._clock())
        if self.shared is not None:
            await self.shared.deny(key, denial)

    def _failed(self, family: Family, failure: CheckFailed, number: int, began: float) -> None:
        now, throttled = self._clock(), failure.reason == "throttled"
        self._metrics.revocation_checks["error"] += 1
        if not self._pace.failing and now - self._logged.get(failure.reason, -_REPEAT_AFTER) >= _REPEAT_AFTER:
            self._logged[failure.reason] = now
            self._log.event(
                "revocation_check_failed",
                level="warning",
                pool=family.pool_id,
                reason=failure.reason,
                exact=str(failure),
            )
        self._pace.failed(number, began, now, _spread(), throttled=throttled)
        if throttled:
            self._schedule.back(family)
        else:
            # After the others: the failure may be specific to this family.
            self._schedule.later(family, now)
        if self._pace.silent:
            self._ledger.tell(family)

    def __repr__(self) -> str:
        return f"<Checker, {len(self._checks)} calls in progress>"


def _spread() -> float:
    return random.random()  # noqa: S311 - spreads load, no secret
