"""The server of one process: accepted connections, their deadlines, and the swap of configurations.

Invariant: every request is served to its end by the Gateway it began with; a Gateway is stopped when it is no
longer used, and its parts when no other Gateway shares them.
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
from gateway.http.streams import SignOut, Streams
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

# How often deadlines are checked: a quarter of the shortest limit, within these bounds (seconds).
_SWEEP_MIN, _SWEEP_MAX = 0.02, 0.5
# Connections queued by the kernel are accepted before the sockets close, for this long at most (seconds): a
# whole backlog takes a tenth of it, but during a flood there is always another one.
_LAST_CALL = 1.0
# Seconds to read requests that were in transit when the sockets closed: closing a connection with unread
# bytes resets it.
_LAST_LOOK = 0.05
# Turns of the event loop after that: a process that was suspended meanwhile has not read anything yet.
# asyncio reads in the second turn, uvloop in the first.
_LAST_TURNS = 2
# Seconds for clients in a TLS handshake at that time to send their request.
_LAST_HANDSHAKES = 1.0
# Connections beyond max_connections that get a 503 as a normal request, counted and logged; beyond those the
# answer is a constant.
_REFUSED = 64
# Seconds between two log records about memory pressure.
_PRESSED = 10.0


class Server:
    """Serves the connections of its sockets by the current configuration."""

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
        tell_sign_out: Callable[[SignOut], None] | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        """`keys`: key sets that other workers have fetched; `verdicts`: revocation verdicts shared with
        them."""
        self._metrics = metrics
        self._log = log
        # Used by ClientConnection.
        self._capacity = capacity or capacity_here(config, worker_count(config))
        self._pressure = self._capacity.pressure(resident)
        # When memory pressure was last logged, time.monotonic().
        self._pressed_at = float("-inf")
        self.app = Gateway(
            config,
            metrics=metrics,
            log=log,
            secret=secret,
            once=once,
            token_cache_size=self._capacity.tokens,
            # What outlives a configuration asks the newest one.
            streams=Streams(holds=self._holds, tell=tell_sign_out, heard=self._heard_sign_out),
            access_of=self._access_of,
            verdicts=verdicts,
        )
        self.app.key_sets.take_over(keys)
        self.tls = listen_tls(config.listen, log, metrics)
        self.connections: set[ClientConnection] = set()
        # Used by TlsConnection.
        self.handshakes: set[TlsConnection] = set()
        self._tls_buffer = memoryview(bytearray(READ))
        self.draining = False
        # The server is about to stop: every answer is its connection's last.
        self.leaving = False
        self.outbox = Outbox()
        self.batch = Batch(self.outbox)
        self.turns = Turns()
        self.reads = ReadBuffer()
        self.heads = KeptHeads(self._capacity.bytes)
        # Envoy's gRPC listener, if configured.
        self.ext_authz: GrpcListener | None = None
        self._sockets: Sequence[socket.socket] = ()
        # Sockets of other workers' slots, by number.
        self._borrowed: dict[int, list[socket.socket]] = {}
        self._acceptor: Acceptor | None = None
        self._sweeper: asyncio.Task[None] | None = None
        # Gateways of replaced configurations → when they are stopped at the latest.
        self.replaced: dict[Gateway, float] = {}

    def _holds(self, credentials: Sequence[bytes]) -> bool:
        return self.app.authenticator.holds(credentials, time.time())

    def _heard_sign_out(self, sign_out: SignOut) -> None:
        if self.app.portal is not None:
            self.app.portal.sessions.heard(sign_out)

    def _access_of(self, id_token: bytes) -> bytes | None:
        return None if self.app.portal is None else self.app.portal.sessions.access_of(id_token)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve connections on these listening sockets, which are closed in the end.

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
        """Accept on these sockets too, until they are given back or accepting ends."""
        self.give_back(place)
        assert self._acceptor is not None, "start comes first"
        self._borrowed[place] = sockets
        for sock in sockets:
            self._acceptor.add(sock)

    def give_back(self, place: int) -> None:
        """Stop accepting on that slot's sockets."""
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
        """Limit of client connections, including handshakes; from the first configuration, not reloaded."""
        return self._capacity.connections

    @property
    def crowded(self) -> bool:
        """Whether there are more connections than allowed."""
        return len(self.connections) + len(self.handshakes) > self._capacity.connections

    def _full(self, starting: int) -> bool:
        """Return whether there is not even room for a normal refusal; `starting`: just accepted."""
        there = len(self.connections) + len(self.handshakes) + starting
        return there >= self._capacity.connections + _REFUSED

    def unready(self) -> list[dict[str, str]]:
        """Return why this server should get no traffic; empty if it should."""
        reasons = self.app.unready()
        if self._acceptor is not None and self._acceptor.exhausted:
            reason = "no file descriptor is left for a new connection"
            reasons.append({"component": "descriptors", "reason": reason})
        return reasons

    async def _start_ext_authz(self) -> None:
        """Start Envoy's gRPC listener if configured. Raises GatewayError."""
        config = self.app.config
        address = config.ext_authz.grpc_address
        if address is None:
            return
        try:
            # Imported only if configured: gRPC takes 0.2 s and 25 MiB.
            from gateway.envoy.listener import GrpcListener  # noqa: PLC0415
        except ModuleNotFoundError as absent:
            package = (absent.name or "").partition(".")[0]
            if package not in {"grpc", "google"}:
                raise
            problem = not_installed("grpc", package)
            raise GatewayError(f"ext_authz.grpc_address is set, and {problem}") from absent
        self.ext_authz = GrpcListener(address, lambda: self.app, shared=config.listen.workers != 1)
        await self.ext_authz.start()

    async def _stop_ext_authz(self, grace: float) -> None:
        if self.ext_authz is not None:
            await self.ext_authz.stop(grace)

    async def swap(self, config: Config) -> None:
        """Serve new requests by `config`; those in flight keep theirs. Raises GatewayError, and then nothing
        has changed."""
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
        """Announce with every answer that its connection closes, so that clients and proxies with kept-alive
        connections move elsewhere before those close."""
        self.leaving = True

    async def drain(self, now: asyncio.Event) -> None:
        """Stop accepting, finish what is in flight within drain_timeout or until `now`, abort the rest."""
        self.leave()
        until = time.monotonic() + self.app.config.listen.drain_timeout
        await self._accept_the_last(now)
        if self._acceptor is not None:
            self._acceptor.close()
            while self._acceptor.starting:  # noqa: ASYNC110 - a few turns, since accepting has ended
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
            await happens(now, _SWEEP_MIN)  # a set has no event for becoming empty
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
        """Accept what is queued: closing a listening socket resets those connections."""
        waiting = select.poll()
        for sock in [*self._sockets, *(each for lent in self._borrowed.values() for each in lent)]:
            waiting.register(sock, select.POLLIN)
        until = time.monotonic() + _LAST_CALL
        while (  # noqa: ASYNC110 - a backlog has no event for becoming empty
            waiting.poll(0) and time.monotonic() < until and not now.is_set()
        ):
            await asyncio.sleep(0)  # in each turn the event loop accepts some

    async def _sweep(self) -> None:
        """Check every connection's deadline, instead of a timer for each."""
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
            except Exception:  # noqa: BLE001 - it must not stop the deadlines of all connections
                _log.exception("a replaced configuration could not be stopped")

    def _relieve(self, now: float) -> None:
        """Close some connections if all together exceed the container's memory."""
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
        """Log sums of repeated refusals. (A local variable in the sweep would keep a gateway alive.)"""
        for app in (self.app, *self.replaced):
            app.record.sum_up(now)

    async def _stop_unused(self, now: float) -> bool:
        """Stop replaced gateways that are no longer used; return whether there were any."""
        before = len(self.replaced)
        for app in [app for app, until in self.replaced.items() if not app.record.in_flight or until < now]:
            del self.replaced[app]
            await app.stop(keep=[self.app, *self.replaced])
        # Otherwise a pool that is no longer configured would look like one whose keys get old.
        pools = {pool.id for app in (self.app, *self.replaced) for pool in app.config.cognito.user_pools}
        for gone in self._metrics.jwks_keys.keys() - pools:
            del self._metrics.jwks_keys[gone]
            self._metrics.jwks_keys_ignored.pop(gone, None)
            self._metrics.jwks_last_success.pop(gone, None)
        # Likewise, it would look like a certificate that is about to expire.
        if not any(app.shows_certificate for app in (self.app, *self.replaced)):
            self._metrics.certificate_expiry.pop("upstream.tls", None)
        return len(self.replaced) < before


def _each(connections: Iterable[_Ended], act: Callable[[_Ended], None]) -> None:
    """Call `act` for each connection. A bug with one must not affect the others."""
    for connection in list(connections):
        try:
            act(connection)
        except Exception:  # noqa: BLE001 - whatever it is
            _log.exception("a connection could not be ended properly")
            # By the event loop, where a second failure affects nothing else.
            asyncio.get_running_loop().call_soon(connection.abort)


def _pause(config: Config) -> float:
    listen, upstream = config.listen, config.upstream
    limits = [listen.header_timeout, listen.idle_timeout, upstream.response_timeout, upstream.idle_timeout]
    if config.cognito.revocation.check_every is not None:
        limits.append(config.cognito.revocation.check_every / 2)  # tunnels of users who were signed out
    return min(max(min(limits) / 4, _SWEEP_MIN), _SWEEP_MAX)
