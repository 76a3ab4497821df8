"""The `serve` command: one process or a supervisor with workers, signals, reloads, until it is stopped.

SIGTERM and SIGINT drain, the second of them stops now; SIGHUP reloads. Invariant: whatever was started is
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
    """What the process was told: `stop`, and once more: `now`."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        (self.now if self.stop.is_set() else self.stop).set()


def serve(config: Config, source: ConfigurationSource) -> int:
    """Serve `config`, which `source` gave, until SIGTERM or SIGINT; the exit code. Raises GatewayError."""
    # Workers inherit it.
    raise_descriptor_limit()
    workers = worker_count(config)
    if workers == 1:
        return run(_serve_alone(config, source))
    # The supervisor carries no request: plain asyncio will do, whose child watcher is its own.
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
    # Also where it had not started whole: what serves already may have requests in hand.
    await service.stop(signals.now)
    return 0


async def _started(service: Worker | Supervisor, stop: asyncio.Event) -> bool:
    """Whether it serves, or was told to stop before it did. Raises GatewayError."""
    starting = asyncio.create_task(service.start(), name="start")
    told = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return False
    await starting
    return True
