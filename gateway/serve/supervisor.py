"""The supervisor of several workers on one port: keeps each slot filled, and presents them as one gateway.

It owns the listening sockets, the metrics listener and the worker processes; it serves no requests itself.

Invariant: until it is stopped, every slot has a worker or one about to be started; what a worker has reported
is never taken back, so counters never decrease.
"""

from __future__ import annotations

import asyncio
import time

from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.keys.handover import NewestKeySets
from gateway.observe.logs import Logger, configure
from gateway.observe.metrics import Snapshot, WorkerMetrics, merge, retired
from gateway.pages.once import Once
from gateway.serve import sockets
from gateway.serve.admin import MetricsListener
from gateway.serve.announce import announce_setup, announce_start
from gateway.serve.app import Gateway
from gateway.serve.control import BEAT, Message
from gateway.serve.event_wait import happens
from gateway.serve.reload import shortcomings
from gateway.serve.shared_revocation import Counter
from gateway.serve.worker_handle import Member
from gateway.serve.worker_slot import EARLY, WorkerSlot
from gateway.sessions.secrets import make_secret, warn_of_made_secret
from gateway.version import VERSION

_PAUSE_MIN, _PAUSE_MAX = 0.5, 30.0
# Seconds that a scrape waits for busy workers; then it shows their last report.
_SCRAPE = 0.5
# Seconds for the workers to apply a new configuration, which takes milliseconds.
_SWAP = 5.0
# Seconds beyond drain_timeout until draining workers are killed.
_OVERTIME = 2.0


def pause_before_restart(early_deaths: int) -> float:
    """Return the delay in seconds, by the number of consecutive deaths at start in one slot."""
    if early_deaths <= 1:
        return 0.0
    return min(_PAUSE_MIN * 2.0 ** min(early_deaths - 2, 16), _PAUSE_MAX)


class Supervisor:
    """The gateway as several processes; with the same interface as worker.Worker."""

    def __init__(
        self, config: Config, workers: int, *, log: Logger | None = None, source: str | None = None
    ) -> None:
        """`source`: where `config` was read from, for the log."""
        self._source = source
        self.log = log or configure(config.log)
        self._own_log = log is None
        # The supervisor's own share: reloads, which count once rather than per worker.
        self.metrics = WorkerMetrics()
        self.config = config
        self._generation = 0
        # Shared by all workers, including later ones: any of them may get a browser's next request.
        self._secret = make_secret()
        self._once = Once.make()
        # For workers that have fetched no keys themselves: the key endpoint may be down by then.
        self._keys = NewestKeySets(config.cognito.user_pools)
        # Coordinates the revocation checks of all workers.
        self._counter = Counter(config)
        self._workers = workers
        self._places: list[WorkerSlot] = []
        self._listening: sockets.Listening | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._gone: Snapshot = merge([])
        self._stopping = False
        # Why a changed configuration is not applied yet, shown by readiness.
        self._held: str | None = None
        # Set when workers are no longer replaced.
        self.ending = asyncio.Event()
        self._listener = MetricsListener(
            config.metrics.address,
            config.metrics.path,
            scrape=self._scrape,
            readiness=self._unready,
            warnings=lambda: shortcomings(self.metrics),
        )

    @property
    def port(self) -> int:
        """The public listener's TCP port; the actual one if the configuration says 0."""
        assert self._listening is not None, "start comes first"
        return self._listening.port

    @property
    def metrics_port(self) -> int:
        return self._listener.port

    # --- start and stop ---

    async def start(self) -> None:
        """Listen, and wait until each first worker serves or has ended.

        Raises GatewayError for what the user must fix: an address in use, an unusable file. If it is
        cancelled when some workers serve already, all are left to `stop`.
        """
        try:
            sockets.require_all_free(sockets.listeners_of(self.config))
            await self._listener.start()
            self._listening = sockets.bind(self.config.listen.address, self._workers)
            self._ticker = asyncio.create_task(self._tick(), name="heartbeats")
            self._places = [WorkerSlot(number, own) for number, own in enumerate(self._listening.slots)]
            firsts = await asyncio.gather(*(self._spawn(place) for place in self._places))
            self._tasks = [
                asyncio.create_task(self._keep(place, first), name=f"worker {place.number}")
                for place, first in zip(self._places, firsts, strict=True)
            ]
            for member in firsts:
                await member.settled.wait()
                if member.sentence is not None:
                    raise GatewayError(member.sentence)
        except BaseException as error:
            some_serve = bool(self._tasks) and any(member.started for member in self.members())
            if not (some_serve and isinstance(error, asyncio.CancelledError)):
                await self._end(kill=True)
                self._stopping = True  # nothing is left for `stop`
            raise
        announce_start(self.config, self._source, self._workers, self.log)
        announce_setup(self.config, self._secret, self._once, self.log)
        warn_of_made_secret(self.config, self.log)

    async def stop(self, now: asyncio.Event | None = None) -> None:
        """Drain all workers: fail readiness, wait drain_delay, stop accepting, let them finish. Idempotent.

        `now` ends the waiting.
        """
        if self._stopping:
            return
        self._stopping = True
        now = now or asyncio.Event()
        for member in self.members():
            member.leave()
        in_flight = await self._snapshot()
        self.log.event("draining", in_flight=_value(in_flight, "requests_in_flight"))
        await happens(now, self.config.listen.drain_delay)
        # Here first, then in the workers: while any process holds a socket open, it must be accepted from.
        self._stop_listening()
        self.ending.set()
        for member in self.members():
            member.drain()
        ended = asyncio.create_task(asyncio.wait(self._tasks))
        cut_short = asyncio.create_task(now.wait())
        patience = self.config.listen.drain_timeout + _OVERTIME
        await asyncio.wait((ended, cut_short), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        cut_short.cancel()
        await self._end(kill=True)
        await ended
        self.log.event("stopped")
        if self._own_log:
            self.log.close()

    async def _end(self, *, kill: bool) -> None:
        """End everything that is left, and wait for it."""
        self.ending.set()
        for member in self.members():
            if kill:
                member.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self.members():
            await member.ended()  # those without a `_keep` task yet
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait((self._ticker,))
        self._stop_listening()
        await self._listener.stop()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()

    # --- the workers ---

    def members(self) -> list[Member]:
        return [place.member for place in self._places if place.member is not None]

    def _pass_on(self, speaker: Member, message: Message) -> None:
        if message["kind"] == "revocation":
            answer = self._counter.hear(message)
            if answer is not None:
                speaker.hear({"kind": "claim", **answer})
            return
        for member in self.members():
            if member is not speaker:
                member.hear(message)

    async def _spawn(self, place: WorkerSlot) -> Member:
        member = await Member.spawn(place.sockets, self._keys, self._pass_on, self._once)
        place.began(member, time.monotonic())
        if self.ending.is_set():
            # Too late for the drain message to the others, and the sockets are closed: it ends unused.
            member.drain()
            return member
        member.serve(self.config, self._generation, place.sockets, self._secret)
        if self._stopping:
            member.leave()
        self.log.event("worker_started", worker=place.number, pid=member.pid)
        return member

    async def _keep(self, place: WorkerSlot, member: Member) -> None:
        """Keep the slot filled until the end. `member`: its first worker."""
        while True:
            began = time.monotonic()
            code = await member.ended()
            place.ended(time.monotonic())
            if member.snapshot is not None:
                self._gone = merge([self._gone, retired(member.snapshot)])
            if self.ending.is_set():
                return
            early = not member.started or time.monotonic() - began < EARLY
            place.early_deaths = place.early_deaths + 1 if early else 0
            self._report_death(place, member, code)
            if await happens(self.ending, pause_before_restart(place.early_deaths)):
                return
            successor = await self._respawn(place)
            if successor is None:
                return
            member = successor

    async def _respawn(self, place: WorkerSlot) -> Member | None:
        """Start a successor; None if the end came before there was room for one."""
        while not self.ending.is_set():
            try:
                return await self._spawn(place)
            except OSError as error:
                # No process, descriptor or memory available: the others go on, and this may pass.
                why = (error.strerror or str(error)).lower()
                if place.unstartable is None:
                    self.log.event("worker_start_failed", level="error", worker=place.number, exact=why)
                place.unstartable = why
                await happens(self.ending, _PAUSE_MIN)
        return None

    def _report_death(self, place: WorkerSlot, member: Member, code: int) -> None:
        self.log.event(
            "worker_exited",
            level="error",
            worker=place.number,
            pid=member.pid,
            cause="hung" if member.hung else "died",
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            exact=member.sentence,
            restart_in=pause_before_restart(place.early_deaths),
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            # Workers that are draining have their time limit from `stop`.
            if not self.ending.is_set():
                living = self.members()
                for member in living:
                    member.tick()
                if self.config.listen.address.unix is None:  # otherwise all share one socket
                    for place in self._places:
                        place.attend(living, time.monotonic())

    # --- reload ---

    async def reload(self, config: Config) -> None:
        """Let every worker, including later ones, serve new requests by `config`.

        Raises GatewayError, and then nothing has changed.
        """
        # Built here first, so that errors show before any worker gets it.
        await Gateway(config, metrics=WorkerMetrics(), log=self.log).stop()
        announce_setup(config, self._secret, self._once, self.log, before=self.config)
        self.config = config
        self._keys.configure(config.cognito.user_pools)
        self._counter.configure(config)
        self._generation += 1
        for member in self.members():
            member.reload(config, self._generation)
        self.log.apply(config.log)
        until = time.monotonic() + _SWAP
        while time.monotonic() < until and any(  # noqa: ASYNC110 - the workers report when they have swapped
            member.started and member.generation < self._generation for member in self.members()
        ):
            await asyncio.sleep(0.01)

    def hold_back(self, reason: str | None) -> None:
        """Fail readiness for this reason: the changed configuration looks incomplete. None: no longer."""
        self._held = reason

    # --- one view of all workers ---

    async def _scrape(self, accept: str) -> tuple[bytes, str]:
        # Imported only when scraped: prometheus_client takes 14 ms and 1 MiB.
        from gateway.observe.exposition import render  # noqa: PLC0415

        snapshot = await self._snapshot()
        workers = sum(member.started for member in self.members())
        return render(snapshot, workers=workers, version=VERSION, accept=accept)

    async def _snapshot(self) -> Snapshot:
        await asyncio.gather(*(member.ask(_SCRAPE) for member in self.members() if member.started))
        # No await from here on: a worker is counted either as living or as gone.
        living = [member.snapshot for member in self.members() if member.snapshot is not None]
        return merge([self._gone, self.metrics.snapshot(), *living])

    def _unready(self) -> list[dict[str, str]]:
        """Return why traffic should go elsewhere.

        A worker that died once is replaced before its connections time out, and does not count; one that
        crash-loops delays every n-th connection, and does.
        """
        reasons = [{"component": "drain", "reason": "shutting down"}] if self._stopping else []
        members = self.members()
        if not any(member.started for member in members):
            reasons.append({"component": "workers", "reason": "no worker serves yet"})
        failing = sum(place.failing(time.monotonic()) for place in self._places)
        if failing:
            reason = f"{failing} of {len(self._places)} workers are crash-looping"
            reasons.append({"component": "workers", "reason": reason})
        unstartable = [place.unstartable for place in self._places if place.unstartable is not None]
        if unstartable:
            reason = f"{len(unstartable)} of {len(self._places)} workers cannot be started: {unstartable[0]}"
            reasons.append({"component": "workers", "reason": reason})
        if self._held is not None:
            reasons.append({"component": "configuration", "reason": self._held})
        for member in members:
            reasons += [reason for reason in member.reasons if reason not in reasons]
        return reasons


def _value(snapshot: Snapshot, gauge: str) -> int:
    return sum(int(value) for _, value in snapshot["gauges"].get(gauge, []))
