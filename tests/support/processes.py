"""A gateway as separate processes, with any number of workers, in front of a scripted upstream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.programs import SCRIPT, Served, configuration, few_roots, pinned, serving, started, until
from tests.support.tokens import KeyPair
from tests.support.waiting import PATIENCE
from tests.support.wire import OK, Received, Upstream, read_body

OPEN = "routes: [{path: /**, auth: none}]"


class Slow:
    """An upstream's script: /slow is answered once `go` is set, anything else at once."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        received.body = await read_body(received.head, reader)
        if received.target == b"/slow":
            self.waiting.set()
            await self.go.wait()
        writer.write(OK)


@dataclass
class Fleet:
    """A running gateway with its upstream."""

    served: Served
    upstream: Upstream
    slow: Slow
    path: Path

    @property
    def workers(self) -> list[int]:
        """The process IDs of the living workers, according to the log."""
        living: dict[int, int] = {}
        for line in self.events("worker_started", "worker_exited"):
            living.pop(line["worker"], None)
            if line["event"] == "worker_started":
                living[line["worker"]] = line["pid"]
        return list(living.values())

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in self.served.log if line["event"] in names]

    async def event(self, name: str, count: int = 1, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait for the `count`-th event of that name; return it."""

        async def there() -> bool:
            return len(self.events(name)) >= count

        await until(there, seconds=seconds)
        return self.events(name)[count - 1]

    async def serving(self, workers: int, seconds: float = PATIENCE) -> None:
        """Wait until the metrics report this number of workers."""

        async def there() -> bool:
            return (await self.served.samples())["cognito_gateway_workers"] == workers

        await until(there, seconds=seconds)

    async def counted(self, name: str, value: float) -> None:
        """Wait until a sample has this value: a busy worker answers a scrape with its last report."""

        async def so() -> bool:
            return (await self.served.samples()).get(name) == value

        await until(so)

    def rewrite(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    async def reloads(self, result: str) -> float:
        return (await self.served.samples())[f'cognito_gateway_config_reloads_total{{result="{result}"}}']


def state(pid: int) -> str:
    """Return the process's state in proc(5): T if it is stopped, Z if it has ended and was not reaped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.asynccontextmanager
async def fleet(
    folder: Path, workers: int = 2, more: str = OPEN, *, upstream: Upstream | None = None, **listen: str
) -> AsyncIterator[Fleet]:
    """Run a gateway. `listen`: further keys of that section, e.g. drain_delay="1s"; they cannot be
    reloaded."""
    slow = Slow()
    upstream = upstream or Upstream(script=slow)
    environ = {f"COGNITO_GATEWAY_LISTEN__{key.upper()}": value for key, value in listen.items()}
    environ["COGNITO_GATEWAY_LISTEN__WORKERS"] = str(workers)
    async with (
        upstream.running(),
        serving(
            folder,
            upstream=upstream.url,
            pools=pinned(folder, KeyPair.generate("key-1")),
            more=more,
            environ=environ,
        ) as served,
    ):
        running = Fleet(served, upstream, slow, folder / "gateway.yaml")
        await running.serving(workers)
        try:
            yield running
        finally:
            slow.go.set()
            if served.process.poll() is None:
                await served.stop()


# Imported by every Python that starts: the first `workers` workers stop themselves before our code is
# imported.
HOLD = """
import os, signal, sys
if any("gateway.serve.worker_main" in argument for argument in sys.orig_argv):
    for number in range({workers}):
        try:
            with open(f"{folder}/held-{{number}}", "x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGSTOP)
        break
"""


@contextlib.asynccontextmanager
async def held_at_start(
    folder: Path, slow: Slow, workers: int = 1, more: str = OPEN
) -> AsyncIterator[tuple[Fleet, list[int]]]:
    """Run two workers, of which `workers` are stopped before they serve; yields their process IDs as well."""
    (folder / "sitecustomize.py").write_text(HOLD.format(folder=folder, workers=workers))
    async with Upstream(script=slow).running() as upstream:
        port, metrics_port = free_port(), free_port()
        path = folder / "gateway.yaml"
        pools = pinned(folder, KeyPair.generate("key-1"))
        path.write_text(
            configuration(port=port, metrics_port=metrics_port, upstream=upstream.url, pools=pools, more=more)
        )
        command: list[str | Path] = [SCRIPT, "serve", "--config", path, "--workers", "2"]
        environ = few_roots(folder, {"PYTHONPATH": str(folder)})
        async with started(folder, command, environ=environ) as program:
            served = Served(program.process, program.out, program.err, port, metrics_port)
            running = Fleet(served, upstream, slow, path)
            await until(lambda: are_held(folder, workers))
            await running.serving(2 - workers)
            yield running, [int(file.read_text()) for file in folder.glob("held-*")]


async def are_held(folder: Path, workers: int) -> bool:
    pids = [file.read_text() for file in folder.glob("held-*")]
    return len(pids) == workers and all(pid and state(int(pid)) == "T" for pid in pids)
