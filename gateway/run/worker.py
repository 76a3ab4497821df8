"""One process: sockets, the sweep of deadlines, signals, drain.

Invariant: what `start` opened, `stop` closes, in the opposite order, within bounds; a request that was
accepted is answered or visibly aborted.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import time

from gateway.config.model import Address, Config
from gateway.errors import GatewayError
from gateway.observe.logs import Logger, configure
from gateway.observe.metrics import WorkerMetrics
from gateway.proxy.connection import ClientConnection
from gateway.run.app import Gateway
from gateway.run.listener import MetricsListener
from gateway.version import VERSION

# Connections the kernel holds for us while the loop is busy; it caps this at net.core.somaxconn (4096).
_BACKLOG = 4096
# How often deadlines are looked at: a quarter of the shortest limit, within these bounds (seconds).
_SWEEP_MIN, _SWEEP_MAX = 0.02, 0.5


class Worker:
    """One worker: the public listener, the metrics listener, one running configuration."""

    def __init__(self, config: Config, *, log: Logger | None = None) -> None:
        self._log = log or configure(config.log)
        self._own_log = log is None
        self.metrics = WorkerMetrics()
        self.config = config
        # What ClientConnection needs of its server.
        self.app = Gateway(config, metrics=self.metrics, log=self._log)
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._listener = MetricsListener(
            config.metrics.address, config.metrics.path, scrape=self._scrape, readiness=self._unready
        )

    @property
    def port(self) -> int:
        """The public listener's TCP port, the real one where the configuration says 0."""
        assert self._server is not None, "start comes first"
        name = self._server.sockets[0].getsockname()
        return name[1] if isinstance(name, tuple) else 0

    @property
    def metrics_port(self) -> int:
        return self._listener.port

    async def start(self) -> None:
        """Listen. Raises GatewayError when an address cannot be had; waits for nothing else."""
        await self._listener.start()
        try:
            await self.app.start()
            self._server = await self._listen(self.config.listen.address)
        except BaseException:
            await self.app.stop()
            await self._listener.stop()
            raise
        self._sweeper = asyncio.create_task(self._sweep(), name="deadlines")
        self._log.event("started", address=str(self.config.listen.address), version=VERSION)

    async def stop(self) -> None:
        """Drain: say so, wait drain_delay, stop accepting, finish what is in flight, abort what is not done.

        Idempotent. Kubernetes' order: readiness fails first, traffic moves away, then the sockets close.
        """
        if self._stopping:
            return
        self._stopping = True
        listen = self.config.listen
        self._log.event("draining", in_flight=self.metrics.requests_in_flight)
        if listen.drain_delay:
            await asyncio.sleep(listen.drain_delay)
        if self._server is not None:
            self._server.close()
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
        until = time.monotonic() + listen.drain_timeout
        while self.connections and time.monotonic() < until:  # noqa: ASYNC110 - a set tells nobody it is empty
            await asyncio.sleep(_SWEEP_MIN)
        for connection in list(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.app.stop()
        await self._listener.stop()
        if listen.address.unix is not None:
            listen.address.unix.unlink(missing_ok=True)
        self._log.event("stopped")
        if self._own_log:
            self._log.close()

    async def _listen(self, address: Address) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def accept() -> ClientConnection:
            return ClientConnection(self, loop)

        try:
            if address.unix is not None:
                # A socket file left behind by a process that was killed; asyncio removes it only if stale.
                return await loop.create_unix_server(accept, str(address.unix), backlog=_BACKLOG)
            host = address.host or None
            return await loop.create_server(accept, host, address.port, backlog=_BACKLOG)
        except OSError as error:
            raise GatewayError(_cannot_listen(address, error)) from error

    async def _sweep(self) -> None:
        """Look at every connection's deadline, instead of a timer for each."""
        listen, upstream = self.config.listen, self.config.upstream
        limits = (
            listen.header_timeout,
            listen.idle_timeout,
            upstream.response_timeout,
            upstream.idle_timeout,
        )
        pause = min(max(min(limits) / 4, _SWEEP_MIN), _SWEEP_MAX)
        while True:
            await asyncio.sleep(pause)
            now = time.monotonic()
            for connection in [each for each in self.connections if each.deadline < now]:
                connection.expired()
            self.app.pool.drop_stale(now)

    async def _scrape(self, accept: str) -> tuple[bytes, str]:
        # Whoever is never scraped does not pay for prometheus_client: 14 ms and 1 MiB.
        from gateway.observe.exposition import render  # noqa: PLC0415

        return render(self.metrics.snapshot(), workers=1, version=VERSION, accept=accept)

    def _unready(self) -> list[dict[str, str]]:
        reasons = self.app.unready()
        if self._stopping:
            reasons.append({"component": "drain", "reason": "shutting down"})
        return reasons


def _cannot_listen(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"listen.address {address} is taken: stop the program that listens there, or choose another"
    return f"listen.address {address}: cannot listen: {(error.strerror or str(error)).lower()}"


def serve(config: Config) -> int:
    """Run one worker until SIGTERM or SIGINT; the exit code."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(config))


async def _serve(config: Config) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    worker = Worker(config)
    await worker.start()
    # What lives now lives until the end: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    await asked.wait()
    await worker.stop()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed; plain asyncio (None: the default) serves elsewhere."""
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        return None
    return uvloop.Loop
