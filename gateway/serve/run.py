"""The main function of `serve`: one process, or a supervisor with workers; signals and reloads.

SIGTERM and SIGINT drain, and a second one stops at once; SIGHUP reloads. Invariant: whatever was started is
stopped before this returns.
"""

from __future__ import annotations

import asyncio
import signal

from gateway.config.model import Config
from gateway.serve.capacity import raise_descriptor_limit
from gateway.serve.cpus import worker_count
from gateway.serve.loops import run, settle
from gateway.serve.reload import ConfigurationSource, Reloader
from gateway.serve.supervisor import Supervisor
from gateway.serve.worker import Worker


class _Signals:
    """Signals received: `stop`, and after a second one `now`."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested)

    def _stop_requested(self) -> None:
        (self.now if self.stop.is_set() else self.stop).set()


def serve(config: Config, source: ConfigurationSource) -> int:
    """Serve `config`, loaded from `source`, until SIGTERM or SIGINT; return the exit code. Raises
    GatewayError."""
    # Inherited by the workers.
    raise_descriptor_limit()
    workers = worker_count(config)
    if workers == 1:
        return run(_serve_alone(config, source))
    # The supervisor serves no requests: asyncio suffices, and has its own child watcher.
    return asyncio.run(_serve(Supervisor(config, workers, source=str(source.path)), source))


async def _serve_alone(config: Config, source: ConfigurationSource) -> int:
    return await _serve(Worker(config, source=str(source.path)), source)


async def _serve(service: Worker | Supervisor, source: ConfigurationSource) -> int:
    signals = _Signals()
    loop = asyncio.get_running_loop()
    reloader = Reloader(source, service)
    signals.listen(loop)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    if await _started(service, signals.stop):
        reloader.start()
        settle()
        await signals.stop.wait()
        await reloader.stop()
    # Even if the start was incomplete: workers that serve may have requests in flight.
    await service.stop(signals.now)
    return 0


async def _started(service: Worker | Supervisor, stop: asyncio.Event) -> bool:
    """Return whether it serves; False if it was stopped before. Raises GatewayError."""
    starting = asyncio.create_task(service.start(), name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return False
    await starting
    return True
