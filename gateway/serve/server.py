"""What serves inside one process: accepted connections, the sweep of deadlines, the swap of configurations.

Invariant: every request is served to its end by the Gateway it began with; a Gateway is stopped when nobody
uses it any more, and its parts when no other Gateway shares them.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from gateway.client.batch import Batch
from gateway.client.connection import ClientConnection
from gateway.client.flow import ReadBuffer
from gateway.client.kept_heads import KeptHeads
from gateway.client.tls_transport import READ, TlsConnection
from gateway.client.turn_queue import Turns
from gateway.config.extras import not_installed
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.http.request_parser import C_PARSER_MISSING, has_c_parser
from gateway.keys.handover import HandedOver
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.pages.once import Once
from gateway.revocation.sharing import SharedVerdicts
from gateway.serve.accepting import Acceptor
from gateway.serve.app import Gateway
from gateway.serve.capacity import Capacity, capacity_here
from gateway.serve.cpus import worker_count
from gateway.serve.event_wait import happens
from gateway.serve.loops import collect
from gateway.serve.pressure import resident
from gateway.tls.rotation import listen_tls
from gateway.upstream.outbox import Outbox

if TYPE_CHECKING:
    from gateway.envoy.listener import GrpcListener

_log = logging.getLogger(__name__)

_Ended = TypeVar("_Ended", ClientConnection, TlsConnection)

# How often deadlines are looked at: a quarter of the shortest limit, within these bounds (seconds).
_SWEEP_MIN, _SWEEP_MAX = 0.02, 0.5
# Connections that the kernel holds for us are accepted before the sockets close, for so long at most
# (seconds): a whole backlog takes a tenth of it, and while a flood lasts there is always another one.
_LAST_CALL = 1.0
# Requests that were on their way when the sockets closed get so long to be read (seconds): closing a
# connection with unread bytes resets it.
_LAST_LOOK = 0.05
# Turns of the event loop after it: a process that stood still all that time finds it over before it has read
# anything. asyncio reads in the second turn only, uvloop in the first.
_LAST_TURNS = 2
# Clients that shake hands when the sockets have closed get so long to send their request (seconds).
_LAST_HANDSHAKES = 1.0
# Connections beyond max_connections that are answered 503 as any other request is, and counted and logged
# with it; beyond these the answer is a constant.
_REFUSED = 64
# The log hears of memory that is short once in so many seconds.
_PRESSED = 10.0


class Server:
    """Serves the connections of the sockets it is given, by the newest configuration."""

    def __init__(
        self,
        config: Config,
        *,
        metrics: WorkerMetrics,
        log: Logger,
        secret: bytes | None = None,
        once: Once | None = None,
        keys: Sequence[HandedOver] = (),
        verdicts: SharedVerdicts | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        """`keys`: what other workers had read, to begin with; `verdicts`: what they know of revocation."""
        self._metrics = metrics
        self._log = log
        # What ClientConnection needs of its server.
        self._capacity = capacity or capacity_here(config, worker_count(config))
        self._pressure = self._capacity.pressure(resident)
        # When the log was last informed of it, time.monotonic().
        self._pressed_at = float("-inf")
        self.app = Gateway(
            config,
            metrics=metrics,
            log=log,
            secret=secret,
            once=once,
            token_cache_size=self._capacity.tokens,
            verdicts=verdicts,
        )
        self.app.key_sets.take_over(keys)
        self.tls = listen_tls(config.listen, log, metrics)
        self.connections: set[ClientConnection] = set()
        # What TlsConnection needs of its server.
        self.handshakes: set[TlsConnection] = set()
        self._tls_buffer = memoryview(bytearray(READ))
        self.draining = False
        # Every answer is its connection's last one: it is known that this server stops.
        self.leaving = False
        self.outbox = Outbox()
        self.batch = Batch(self.outbox)
        self.turns = Turns()
        self.reads = ReadBuffer()
        self.heads = KeptHeads(self._capacity.bytes)
        # Where Envoy asks, if anywhere.
        self.ext_authz: GrpcListener | None = None
        self._sockets: Sequence[socket.socket] = ()
        # Of other workers' places, by number.
        self._borrowed: dict[int, list[socket.socket]] = {}
        self._acceptor: Acceptor | None = None
        self._sweeper: asyncio.Task[None] | None = None
        # Gateways of configurations that were replaced → when they are stopped at the latest.
        self.replaced: dict[Gateway, float] = {}

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve what comes in on these listening sockets, which are closed when it ends.

        Raises GatewayError.
        """
        if not has_c_parser():
            raise GatewayError(C_PARSER_MISSING)
        await self.app.start()
        await self._start_ext_authz()
        if self.tls is not None:
            self.tls.start()
        if self._capacity.warning is not None:
            self._log.event("connections_limited", level="warning", exact=self._capacity.warning)
        self._sockets = sockets
        self._acceptor = Acceptor(
            sockets,
            connect=self._connection,
            full=self._full,
            limited=self._limited,
            secure=self.tls is not None,
            log=self._log,
        )
        self._acceptor.start()
        self._sweeper = asyncio.create_task(self._sweep(), name="deadlines")

    def borrow(self, place: int, sockets: list[socket.socket]) -> None:
        """Accept from these too, until they are given back or accepting ends."""
        self.give_back(place)
        assert self._acceptor is not None, "start comes first"
        self._borrowed[place] = sockets
        for sock in sockets:
            self._acceptor.add(sock)

    def give_back(self, place: int) -> None:
        """Accept from that place's sockets no more."""
        for sock in self._borrowed.pop(place, []):
            assert self._acceptor is not None
            self._acceptor.remove(sock)

    def _connection(self) -> asyncio.BaseProtocol:
        loop = asyncio.get_running_loop()
        if self.tls is None:
            return ClientConnection(self, loop)
        seconds = self.app.config.listen.header_timeout
        return TlsConnection(
            self.tls.current,
            lambda: ClientConnection(self, loop),
            handshakes=self.handshakes,
            buffer=self._tls_buffer,
            seconds=seconds,
        )

    def _limited(self, key: str) -> None:
        self.app.record.limited(key)

    @property
    def max_connections(self) -> int:
        """Of clients, those that shake hands included; the first configuration's, which is not reloaded."""
        return self._capacity.connections

    @property
    def crowded(self) -> bool:
        """Whether there are more connections than there may be."""
        return len(self.connections) + len(self.handshakes) > self._capacity.connections

    def _full(self, starting: int) -> bool:
        """Whether not even a refusal has a place, with so many just accepted."""
        there = len(self.connections) + len(self.handshakes) + starting
        return there >= self._capacity.connections + _REFUSED

    def unready(self) -> list[dict[str, str]]:
        """Why this server should get no traffic; empty when it should."""
        reasons = self.app.unready()
        if self._acceptor is not None and self._acceptor.exhausted:
            told = "no file descriptor is left for a new connection"
            reasons.append({"component": "descriptors", "reason": told})
        return reasons

    async def _start_ext_authz(self) -> None:
        """Envoy's gRPC listener, where there is to be one. Raises GatewayError."""
        config = self.app.config
        address = config.ext_authz.grpc_address
        if address is None:
            return
        try:
            # Whoever has no Envoy does not pay for gRPC: 0.2 s and 25 MiB.
            from gateway.envoy.listener import GrpcListener  # noqa: PLC0415
        except ModuleNotFoundError as absent:
            package = (absent.name or "").partition(".")[0]
            if package not in {"grpc", "google"}:
                raise
            told = not_installed("grpc", package)
            raise GatewayError(f"ext_authz.grpc_address is set, and {told}") from absent
        self.ext_authz = GrpcListener(address, lambda: self.app, shared=config.listen.workers != 1)
        await self.ext_authz.start()

    async def _stop_ext_authz(self, grace: float) -> None:
        if self.ext_authz is not None:
            await self.ext_authz.stop(grace)

    async def swap(self, config: Config) -> None:
        """Serve new requests by `config`, those in flight by the one they began with. Raises GatewayError,
        and then nothing has changed."""
        app = Gateway(
            config,
            metrics=self._metrics,
            log=self._log,
            previous=self.app,
            token_cache_size=min(config.cognito.token_cache_size, self._capacity.tokens),
        )
        try:
            await app.start()
        except BaseException:
            await app.stop(keep=[self.app, *self.replaced])
            raise
        self.replaced[self.app] = time.monotonic() + self.app.config.listen.drain_timeout
        self.app = app
        self._log.apply(config.log)

    def leave(self) -> None:
        """Say with every answer from now on that its connection closes: clients, and proxies in front that
        keep connections for their next request, go elsewhere before anything is closed under them."""
        self.leaving = True

    async def drain(self, now: asyncio.Event) -> None:
        """Stop accepting, finish what is in flight within drain_timeout or until `now`, abort the rest."""
        self.leave()
        until = time.monotonic() + self.app.config.listen.drain_timeout
        await self._accept_the_last(now)
        if self._acceptor is not None:
            self._acceptor.close()
            while self._acceptor.starting:  # noqa: ASYNC110 - some turns, for nothing is accepted any more
                await asyncio.sleep(0)
        self.draining = True
        await happens(now, _LAST_LOOK)
        for _ in range(_LAST_TURNS):
            await asyncio.sleep(0)
        _each(self.connections, ClientConnection.drain)
        checks = asyncio.create_task(self._stop_ext_authz(until - time.monotonic()), name="last checks")
        shaken = min(until, time.monotonic() + _LAST_HANDSHAKES)
        while not now.is_set() and (
            ((self.connections or not checks.done()) and time.monotonic() < until)
            or (self.handshakes and time.monotonic() < shaken)
        ):
            await happens(now, _SWEEP_MIN)  # a set tells nobody that it is empty
        _each(self.connections, ClientConnection.abort)
        _each(self.handshakes, TlsConnection.abort)
        await self._stop_ext_authz(0.0)
        await checks
        if self.tls is not None:
            self.tls.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for app in [*self.replaced, self.app]:
            app.record.sum_up(float("inf"))
            await app.stop()
        self.replaced.clear()

    async def _accept_the_last(self, now: asyncio.Event) -> None:
        """Closing a listening socket resets whoever waits in its queue, with the request that they sent."""
        waiting = select.poll()
        for sock in [*self._sockets, *(each for lent in self._borrowed.values() for each in lent)]:
            waiting.register(sock, select.POLLIN)
        until = time.monotonic() + _LAST_CALL
        while (  # noqa: ASYNC110 - a queue tells nobody that it is empty
            waiting.poll(0) and time.monotonic() < until and not now.is_set()
        ):
            await asyncio.sleep(0)  # in each turn the loop accepts some

    async def _sweep(self) -> None:
        """Look at every connection's deadline, instead of a timer for each."""
        while True:
            await asyncio.sleep(_pause(self.app.config))
            now = time.monotonic()
            _each([each for each in self.connections if each.deadline < now], ClientConnection.expired)
            _each([each for each in self.handshakes if each.deadline < now], self._too_slow)
            self._relieve(now)
            self.app.pool.drop_stale(now)
            self._sum_up(now)
            try:
                if self.replaced and await self._stop_unused(now):
                    collect()  # here, where nothing refers to them any more
            except Exception:  # noqa: BLE001 - whatever it is, it must not end the deadlines of all connections
                _log.exception("a configuration that was replaced could not be stopped")

    def _relieve(self, now: float) -> None:
        """End some where all together hold more than the container grants."""
        if self._pressure is None:
            return
        victims = self._pressure.victims(self.connections, len(self.handshakes))
        if not victims:
            return
        for _ in victims:
            self.app.record.limited("memory")
        _each(victims, ClientConnection.abort)
        if now - self._pressed_at > _PRESSED:
            self._pressed_at = now
            self._log.event(
                "memory_pressure", level="warning", ended=len(victims), left=len(self.connections)
            )

    def _too_slow(self, handshake: TlsConnection) -> None:
        self.app.record.limited("listen.header_timeout")
        handshake.abort()

    def _sum_up(self, now: float) -> None:
        """Log sums of repeated refusals. Not in the sweep: a local name there would keep a gateway alive."""
        for app in (self.app, *self.replaced):
            app.record.sum_up(now)

    async def _stop_unused(self, now: float) -> bool:
        """Stop the replaced gateways that nobody uses any more; whether there were any."""
        before = len(self.replaced)
        for app in [app for app, until in self.replaced.items() if not app.record.in_flight or until < now]:
            del self.replaced[app]
            await app.stop(keep=[self.app, *self.replaced])
        # A pool that is no longer configured would look like one whose keys grow old.
        pools = {pool.id for app in (self.app, *self.replaced) for pool in app.config.cognito.user_pools}
        for gone in self._metrics.jwks_keys.keys() - pools:
            del self._metrics.jwks_keys[gone]
            self._metrics.jwks_keys_ignored.pop(gone, None)
            self._metrics.jwks_last_success.pop(gone, None)
        # As one that expires some day.
        if not any(app.shows_certificate for app in (self.app, *self.replaced)):
            self._metrics.certificate_expiry.pop("upstream.tls", None)
        return len(self.replaced) < before


def _each(connections: Iterable[_Ended], act: Callable[[_Ended], None]) -> None:
    """Have each of them do it. A bug with one must not keep it from all others."""
    for connection in list(connections):
        try:
            act(connection)
        except Exception:  # noqa: BLE001 - whatever it is
            _log.exception("a connection could not be ended as it should")
            # By the loop, where it reaches nobody else if this breaks off too.
            asyncio.get_running_loop().call_soon(connection.abort)


def _pause(config: Config) -> float:
    listen, upstream = config.listen, config.upstream
    limits = [listen.header_timeout, listen.idle_timeout, upstream.response_timeout, upstream.idle_timeout]
    if config.cognito.revocation.check_every is not None:
        limits.append(config.cognito.revocation.check_every / 2)  # tunnels of users who were signed out
    return min(max(min(limits) / 4, _SWEEP_MIN), _SWEEP_MAX)
