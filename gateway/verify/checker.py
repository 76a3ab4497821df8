"""The background of revocation: takes each family that is due, asks, and writes down what it heard.

Invariant: no more questions a second than the calls allow, the families' own tasks never outlive `stop`, and
whatever goes wrong with one family leaves it in the queue and all others untouched.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

from gateway.observe.bugs import report
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.verify.denied import Denial, subject_key
from gateway.verify.get_user import Answer, CheckFailed, UserPoolApi
from gateway.verify.ledger import Ledger
from gateway.verify.recheck import Budget, Family
from gateway.verify.sharing import Claim, SharedVerdicts

# Questions under way at once: 100 ms each at the default 30 a second are 3. Beyond it only waiting grows.
_AT_ONCE = 32
# What Cognito says of the user and not of one sign-in.
_OF_THE_USER = frozenset({Answer.DISABLED, Answer.DELETED})


class Checker:
    """Asks for one Ledger. `regions`: pool ID → AWS region."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        api: UserPoolApi,
        budget: Budget,
        regions: Mapping[str, str],
        strict: bool,
        metrics: WorkerMetrics,
        log: Logger,
        shared: SharedVerdicts | None,
    ) -> None:
        """`strict`: tokens whose check became too old while Cognito cannot be asked must be shown again."""
        self._ledger = ledger
        self._schedule = ledger.schedule
        self._clock = ledger.clock
        self._api = api
        self._budget = budget
        self._regions = regions
        self._strict = strict
        self._metrics = metrics
        self._log = log
        self._shared = shared
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
        if self._shared is not None:
            await self._shared.close()

    # --- who is next ---

    async def _dispatch(self) -> None:
        """Hand each family that is due to a task of its own, a few at a time."""
        while True:
            await self._room.acquire()
            family = await self._next()
            task = asyncio.create_task(self._check_safely(family), name="revocation check")
            self._checks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._checks.discard(task)
        self._room.release()

    async def _next(self) -> Family:
        while True:
            try:
                family = self._schedule.next(self._clock())
                if family is not None:
                    return family
                await self._until_due()
            except Exception as bug:  # noqa: BLE001 - it must not end the checks
                report("finding who is to be asked about failed", bug)
                await asyncio.sleep(1.0)

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._schedule.wait(self._clock())):
                await self._ledger.wake.wait()
        except TimeoutError:
            pass  # somebody is due
        self._ledger.wake.clear()

    async def _look_after(self) -> None:
        """Keep the gauges true, and old checks from counting where they must not."""
        pause = min(1.0, self._ledger.check_every / 5)
        while True:
            await asyncio.sleep(pause)
            self._metrics.revocation_oldest_check = self._schedule.oldest(self._clock())
            self._metrics.revocation_watched = len(self._schedule)
            self._metrics.revocation_denied = len(self._ledger.denied)
            if self._strict:
                self._ledger.forget_stale()

    # --- one family ---

    async def _check_safely(self, family: Family) -> None:
        try:
            await self._check(family)
        except Exception as bug:  # noqa: BLE001 - a bug with one must not end the checks of all others
            self._schedule.failed(family, self._clock(), _spread())
            report("asking about revocation failed", bug)
        finally:
            self._ledger.wake.set()

    async def _check(self, family: Family) -> None:
        # The family may be dropped, and with it the text, while this waits.
        token, now = family.token, self._clock()
        claim = await self._claim(family)
        if claim is None:
            wait = self._budget.take(now)
            if wait > 0:
                self._schedule.pause(family, now + wait)
                return
        elif claim.kind != "ask":
            self._learn(family, claim, now)
            return
        await self._ask(family, token, now, shared=None if claim is None else self._shared)

    async def _claim(self, family: Family) -> Claim | None:
        if self._shared is None:
            return None
        subject = subject_key(family.pool_id, family.subject)
        return await self._shared.claim(family.key, subject, issued_at=family.issued_at)

    def _learn(self, family: Family, claim: Claim, now: float) -> None:
        """What another replica found."""
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
            self._schedule.pause(family, now + claim.seconds * (1.0 + _spread()))

    async def _ask(self, family: Family, token: bytes, now: float, *, shared: SharedVerdicts | None) -> None:
        try:
            answer = await self._api.ask(self._regions[family.pool_id], token)
        except CheckFailed as failure:
            self._failed(family, failure)
            if shared is not None:
                await shared.give_up(family.key)
            return
        if answer is Answer.ENDED:
            self._schedule.drop(family)
        elif answer is Answer.HOLDS:
            self._metrics.revocation_checks["active"] += 1
            self._schedule.checked(family, at=now, spread=_spread())
            self._ledger.tell(family)
            if shared is not None:
                await shared.settle(family.key)
        else:
            await self._refused(family, answer)

    async def _refused(self, family: Family, answer: Answer) -> None:
        self._metrics.revocation_checks["revoked"] += 1
        key, denial = family.key, Denial(answer.value, 0.0)
        if answer in _OF_THE_USER:
            # Unix time: it is compared with when tokens were issued.
            key, denial = subject_key(family.pool_id, family.subject), Denial(answer.value, time.time())
        self._ledger.deny(key, denial, family)
        # A sign-out may have been from everywhere: the user's other sign-ins are next.
        for other in self._schedule.of_subject(family.pool_id, family.subject):
            self._schedule.hasten(other, self._clock())
        if self._shared is not None:
            await self._shared.deny(key, denial)

    def _failed(self, family: Family, failure: CheckFailed) -> None:
        self._metrics.revocation_checks["error"] += 1
        if not self._schedule.failing:
            self._log.event(
                "revocation_check_failed",
                level="warning",
                pool=family.pool_id,
                reason=failure.reason,
                exact=str(failure),
            )
        self._schedule.failed(family, self._clock(), _spread())
        self._ledger.tell(family)

    def __repr__(self) -> str:
        return f"<Checker, {len(self._checks)} questions under way>"


def _spread() -> float:
    return random.random()  # noqa: S311 - spreads load, hides nothing
