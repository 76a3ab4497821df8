"""A single-process gateway: public listener, metrics listener and log.

Invariant: `stop` closes what `start` opened, in reverse order and within bounds; an accepted request is
answered or visibly aborted.
"""

from __future__ import annotations

import asyncio

from gateway.client.connection import ClientConnection
from gateway.client.tls_transport import TlsConnection
from gateway.config.model import Config
from gateway.observe.logs import Logger, configure
from gateway.observe.metrics import WorkerMetrics
from gateway.serve import sockets
from gateway.serve.admin import MetricsListener
from gateway.serve.announce import announce_start
from gateway.serve.app import Gateway
from gateway.serve.capacity import Capacity
from gateway.serve.event_wait import happens
from gateway.serve.reload import shortcomings
from gateway.serve.server import Server
from gateway.sessions.secrets import warn_of_made_secret
from gateway.tls.rotation import WatchedContext
from gateway.version import VERSION


class Worker:
    """The gateway as one process. With several, supervisor.py takes the part of this around its server."""

    def __init__(
        self,
        config: Config,
        *,
        log: Logger | None = None,
        capacity: Capacity | None = None,
        source: str | None = None,
    ) -> None:
        """`capacity`: None for what this machine grants. `source`: where `config` was read from, for the
        log."""
        self._source = source
        self.log = log or configure(config.log)
        self._own_log = log is None
        self.metrics = WorkerMetrics()
        self._address = config.listen.address
        self.server = Server(config, metrics=self.metrics, log=self.log, capacity=capacity)
        self._listening: sockets.Listening | None = None
        self._stopping = False
        # Why a changed configuration is not applied yet, shown by readiness.
        self._held: str | None = None
        self._listener = MetricsListener(
            config.metrics.address,
            config.metrics.path,
            scrape=self._scrape,
            readiness=self._unready,
            warnings=lambda: shortcomings(self.metrics),
        )

    @property
    def config(self) -> Config:
        """The configuration for new requests."""
        return self.app.config

    @property
    def app(self) -> Gateway:
        return self.server.app

    @property
    def tls(self) -> WatchedContext | None:
        return self.server.tls

    @property
    def connections(self) -> set[ClientConnection]:
        return self.server.connections

    @property
    def handshakes(self) -> set[TlsConnection]:
        """Connections whose TLS handshake is not complete."""
        return self.server.handshakes

    @property
    def port(self) -> int:
        """The public listener's TCP port; the actual one if the configuration says 0."""
        assert self._listening is not None, "start comes first"
        return self._listening.port

    @property
    def grpc_port(self) -> int:
        assert self.server.ext_authz is not None, "ext_authz.grpc_address is not set"
        return self.server.ext_authz.port

    @property
    def metrics_port(self) -> int:
        return self._listener.port

    async def start(self) -> None:
        """Start listening. Raises GatewayError if an address cannot be bound; waits for nothing else."""
        try:
            sockets.require_all_free(sockets.listeners_of(self.config))
            await self._listener.start()
            self._listening = sockets.bind(self._address)
            await self.server.start(self._listening.slots[0])
        except BaseException:
            await self.app.stop()
            self._stop_listening()
            await self._listener.stop()
            self._stopping = True  # nothing is left for `stop`
            raise
        announce_start(self.config, self._source, 1, self.log)
        self.app.announce()
        warn_of_made_secret(self.config, self.log)

    async def stop(self, now: asyncio.Event | None = None) -> None:
        """Drain: fail readiness, wait drain_delay, stop accepting, finish requests in flight, abort the rest.

        `now` ends the waiting. Idempotent. This is the order for Kubernetes: readiness fails first, traffic
        moves away, then the sockets close.
        """
        if self._stopping:
            return
        self._stopping = True
        self.server.leave()
        now = now or asyncio.Event()
        self.log.event("draining", in_flight=self.metrics.requests_in_flight)
        await happens(now, self.config.listen.drain_delay)
        if self._listening is not None:
            # Before the socket closes: a successor may start at once, and its socket file must stay.
            self._listening.hide()
        await self.server.drain(now)
        self._stop_listening()
        await self._listener.stop()
        self.log.event("stopped")
        if self._own_log:
            self.log.close()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()

    async def reload(self, config: Config) -> None:
        """Serve new requests by `config`. Raises GatewayError, and then nothing has changed."""
        before = self.config
        await self.server.swap(config)
        self.app.announce(before)

    def hold_back(self, reason: str | None) -> None:
        """Fail readiness for this reason: the changed configuration looks incomplete. None: no longer."""
        self._held = reason

    async def _scrape(self, accept: str) -> tuple[bytes, str]:
        # Imported only when scraped: prometheus_client takes 14 ms and 1 MiB.
        from gateway.observe.exposition import render  # noqa: PLC0415

        return render(self.metrics.snapshot(), workers=1, version=VERSION, accept=accept)

    def _unready(self) -> list[dict[str, str]]:
        reasons = self.server.unready()
        if self._stopping:
            reasons.append({"component": "drain", "reason": "shutting down"})
        if self._held is not None:
            reasons.append({"component": "configuration", "reason": self._held})
        return reasons
