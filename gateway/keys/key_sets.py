"""The current signing keys of each configured user pool, and the tasks that fetch them.

One task per pool does all its fetching, so there is never more than one fetch of a pool at a time (single
flight by construction); refetch.py decides when, fetch.py does it, jwk.py judges the result. Invariant: a key
set is replaced only by the usable keys of one document that `read_key_set` accepted; every failure leaves
the last good one in place, and no failure affects a token whose key is known. The first fetch follows the
start, even with inherited keys, so that they are not used longer than at their origin.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from gateway.config.model import DIRECT, Egress, UserPool
from gateway.errors import NoKeys, UnknownKey
from gateway.keys.fetch import TOTAL_TIMEOUT, FetchFailed, FileSource, HttpSource, KeySetSource
from gateway.keys.handover import HandedOver, place_of
from gateway.keys.refetch import Ask, RefetchPolicy, Timing
from gateway.observe.bugs import report
from gateway.observe.logs import DOCTOR, Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.tokens.jwk import KeySet, KeySetRefused, VerificationKey, read_key_set, render_key_set

# jwks_file, in seconds: reading a file costs nothing, and its editor waits for the effect.
FILE_REFRESH = 10.0

_NOT_YET = "the key set has not been fetched yet"


class KeySetReport:
    """Reports fetches to a worker's metrics and log. `wall` returns Unix time.

    `reason` is from a fixed set; `exact` is safe to log, never the response's text. `key_ignored` is called
    once for each newly ignored key: `name` is printable ASCII of at most 256 characters.
    """

    def __init__(self, metrics: WorkerMetrics, log: Logger, *, wall: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._log = log
        self._wall = wall
        self._hint: str | None = DOCTOR

    def key_set_loaded(self, pool_id: str, keys: int, *, ignored: int, changed: bool) -> None:
        self._count(pool_id, "success")
        self._metrics.jwks_keys[pool_id] = keys
        self._metrics.jwks_keys_ignored[pool_id] = ignored
        self._metrics.jwks_last_success[pool_id] = self._wall()
        if changed:
            self._log.event("key_set_loaded", level="info", pool=pool_id, keys=keys)

    def key_ignored(self, pool_id: str, name: str, exact: str) -> None:
        # At most 128 characters of an unverified value are logged.
        self._log.event("key_ignored", level="warning", pool=pool_id, kid=name[:128], exact=exact)

    def key_set_fetch_failed(self, pool_id: str, reason: str, exact: str) -> None:
        self._count(pool_id, "failure")
        # A pool without keys needs a time series, or no alert can see it.
        self._metrics.jwks_keys.setdefault(pool_id, 0)
        # Once: the hint is always the same, and an outage may be long.
        hint, self._hint = self._hint, None
        self._log.event(
            "key_set_fetch_failed", level="warning", pool=pool_id, reason=reason, exact=exact, hint=hint
        )

    def key_set_adopted(self, pool_id: str, keys: int, age: float) -> None:
        self._metrics.jwks_keys[pool_id] = keys
        # As old as at its origin; not counted as a fetch, since there was none.
        self._metrics.jwks_last_success[pool_id] = self._wall() - age
        self._log.event("key_set_adopted", level="info", pool=pool_id, keys=keys, age_s=round(age, 1))

    def key_set_rejected(self, pool_id: str, exact: str) -> None:
        self._log.event("key_set_rejected", level="warning", pool=pool_id, exact=exact)

    def _count(self, pool_id: str, result: str) -> None:
        # Both series from the first fetch on, so that rate() sees the first failure.
        for name in ("success", "failure"):
            self._metrics.jwks_fetches[(pool_id, name)] += name == result


class _PoolKeys:
    """One pool's current keys and the task that keeps them current."""

    def __init__(
        self,
        pool: UserPool,
        source: KeySetSource,
        timing: Timing,
        events: KeySetReport,
        clock: Callable[[], float],
        *,
        previous: _PoolKeys | None,
    ) -> None:
        """`previous`: the same pool's under the configuration before."""
        self.pool = pool
        # Of the same place. For a reload while Cognito is down: the last good keys must not be lost.
        kept = previous if previous is not None and place_of(previous.pool) == place_of(pool) else None
        self.keys: dict[str, VerificationKey] = {} if kept is None else kept.keys
        # Name → why, for the ignored keys of the same document.
        self.ignored: dict[str, str] = {} if kept is None else kept.ignored
        # These keys with the time of their fetch, for another worker to start with.
        self.handed: HandedOver | None = None if kept is None else kept.handed
        self.trouble = _NOT_YET
        self._source = source
        self._events = events
        self._clock = clock
        self._policy = RefetchPolicy(timing)
        self._wanted = asyncio.Event()
        self._landed = asyncio.Event()  # set when the current fetch ends; a new one for each fetch
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            # Here and not in the task: a request that arrives before its first step then already waits for
            # it.
            self._policy.begin(self._clock())
            self._task = asyncio.create_task(self._keep(), name=f"key set of {self.pool.id}")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            self._policy.fail(self._clock(), 0.0)
            self.trouble = "fetching of keys has stopped"
            self._landed.set()

    def take_over(self, handed: HandedOver) -> None:
        try:
            # Text that cannot be encoded is not ours, and is left to the parser to refuse.
            read = read_key_set(handed.document.encode("utf-8", "surrogatepass"))
        except KeySetRefused as refused:
            self._events.key_set_rejected(self.pool.id, str(refused))
            return
        self.keys = read.keys
        self._ignore(read)
        # Passed on with its original age.
        self.handed = handed
        self._events.key_set_adopted(self.pool.id, len(self.keys), self._clock() - handed.read_at)

    async def find(self, kid: str) -> VerificationKey:
        key = self.keys.get(kid)
        if key is not None:
            return key
        ask = self._policy.ask(kid, self._clock())
        if ask is Ask.FETCH:
            self._wanted.set()
        if ask in (Ask.FETCH, Ask.WAIT):
            # An event and not the task: a client that disconnects cancels only its own wait.
            await self._landed.wait()
            key = self.keys.get(kid)
            if key is not None:
                return key
            if self._policy.fresh:
                self._policy.remember_absent(kid, self._clock())
                ask = Ask.ABSENT
        if ask is Ask.ABSENT:
            ignored = self.ignored.get(kid)
            if ignored is not None:
                raise UnknownKey(f"the key of the token's kid is ignored: {ignored}")
            raise UnknownKey("no key of the pool's key set has the token's kid")
        raise NoKeys(f"pool {self.pool.id}: {self.trouble}")

    async def _keep(self) -> None:
        while True:
            try:
                await self._fetch()
            except Exception as bug:  # noqa: BLE001 - the task must survive: a later fetch may succeed
                self._policy.fail(self._clock(), _spread())
                self.trouble = "could not fetch the keys: internal_error"
                # The log line itself may have failed; the event loop's handler is what remains.
                report("fetching a key set failed", bug)
            self._landed.set()
            self._landed = asyncio.Event()
            try:
                async with asyncio.timeout(max(0.0, self._policy.due - self._clock())):
                    await self._wanted.wait()
            except TimeoutError:
                pass  # a regular fetch is due
            self._wanted.clear()
            self._policy.begin(self._clock())

    async def _fetch(self) -> None:
        """Fetch once, and report the outcome to the policy and the operator."""
        try:
            read = read_key_set(await self._source.read())
        except FetchFailed as failure:
            self._failed(failure.reason, str(failure))
        except KeySetRefused as refused:
            self._failed("refused", f"{self.pool.jwks_file or self.pool.jwks_url}: {refused}")
        else:
            self._loaded(read)

    def _failed(self, reason: str, exact: str) -> None:
        self._policy.fail(self._clock(), _spread())
        self.trouble = f"could not fetch the keys: {reason}"
        self._events.key_set_fetch_failed(self.pool.id, reason, exact)

    def _loaded(self, read: KeySet) -> None:
        # Cached tokens refer to the key object: an unchanged key stays the same object.
        kept = {kid: _unchanged(self.keys.get(kid), key) for kid, key in read.keys.items()}
        changed = kept != self.keys
        now = self._clock()
        self.keys = kept
        self.handed = HandedOver(self.pool.id, place_of(self.pool), now, render_key_set(kept.values()))
        self.trouble = ""
        self._policy.succeed(now, _spread())
        self._events.key_set_loaded(self.pool.id, len(kept), ignored=len(read.ignored), changed=changed)
        self._ignore(read)

    def _ignore(self, read: KeySet) -> None:
        """Store the ignored keys of this set's document, and report the new ones."""
        before, self.ignored = self.ignored, dict(read.ignored)
        for name, reason in self.ignored.items():
            if before.get(name) != reason:
                self._events.key_ignored(self.pool.id, name, reason)


class KeySets:
    """The key sets of one configuration, one per pool. Started and stopped by the worker that owns it."""

    def __init__(
        self,
        pools: Sequence[UserPool],
        egress: Egress = DIRECT,
        *,
        events: KeySetReport,
        clock: Callable[[], float] = time.monotonic,
        timing: Timing | None = None,
        timeout: float = TOTAL_TIMEOUT,
        previous: KeySets | None = None,
    ) -> None:
        """`previous`: keys that it holds for the same pools from the same places are adopted."""
        self._pools: dict[str, _PoolKeys] = {}
        for pool in pools:
            source: KeySetSource
            # Each pool has its own timing: a file is read more often than a server is asked.
            if pool.jwks_file is not None:
                source, usual = FileSource(pool.jwks_file), Timing(refresh=FILE_REFRESH)
            else:
                source, usual = HttpSource(pool.jwks_url, egress, timeout=timeout), Timing()
            before = None if previous is None else previous._pools.get(pool.id)
            self._pools[pool.id] = _PoolKeys(pool, source, timing or usual, events, clock, previous=before)

    async def start(self) -> None:
        """Start fetching in the background: never fails, never waits for the network."""
        for keys in self._pools.values():
            keys.start()

    async def stop(self) -> None:
        """Stop all fetching; pending calls of `find` raise NoKeys. Keys already fetched stay usable."""
        await asyncio.gather(*(keys.stop() for keys in self._pools.values()))

    def take_over(self, handed: Sequence[HandedOver]) -> None:
        """Adopt what other workers have read for the same pools from the same places, for pools without keys.

        For a worker that has read nothing when Cognito goes down. What does not parse, or belongs to none of
        these pools or to another place, is skipped: then the keys come with the first fetch.
        """
        for each in handed:
            keys = self._pools.get(each.pool_id)
            if keys is not None and not keys.keys and place_of(keys.pool) == each.place:
                keys.take_over(each)

    def handed_over(self) -> list[HandedOver]:
        """Return the key set of each pool that has one, for another worker to start with."""
        return [keys.handed for keys in self._pools.values() if keys.handed is not None]

    def ready(self) -> dict[str, str]:
        """Return pool ID → why its tokens cannot be verified; empty if all pools are ready."""
        return {pool_id: keys.trouble for pool_id, keys in self._pools.items() if not keys.keys}

    def key(self, pool_id: str, kid: str) -> VerificationKey | None:
        """Return the pool's key of that name if it is known; no I/O. `pool_id` must be configured."""
        return self._pools[pool_id].keys.get(kid)

    async def find(self, pool_id: str, kid: str) -> VerificationKey:
        """Return the pool's key of that name, after a fetch if one may help (at most 5 s).

        Raises UnknownKey if the fresh key set lacks it, NoKeys if fetching fails.
        """
        return await self._pools[pool_id].find(kid)

    def __repr__(self) -> str:
        held = ", ".join(f"{pool_id}: {len(keys.keys)}" for pool_id, keys in self._pools.items())
        return f"<KeySets {held}>"


def _unchanged(old: VerificationKey | None, new: VerificationKey) -> VerificationKey:
    return old if old is not None and old.thumbprint == new.thumbprint else new


def _spread() -> float:
    return random.random()  # noqa: S311 - spreads load, no secret
