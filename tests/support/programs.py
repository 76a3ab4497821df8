"""Programs run as users run them: as separate processes, with their output in files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import procfs
from local_cognito.seed import DEMO
from tests.support import commands
from tests.support.certificates import Authority
from tests.support.commands import Forked
from tests.support.ports import free_port
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, key_set_document
from tests.support.waiting import PATIENCE
from tests.support.wire import Reply, get, once

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("cognito-gateway")

# From the demo's seed.
DEMO_POOL, DEMO_CLIENT = "us-east-1_LocalDemo", "1demo2client3local4cognito"
DEMO_USER, DEMO_PASSWORD = "alice@example.com", "Wonderland-2024"
POOL_FLAGS = ("token", "--username", "alice", "--user-pool-id", DEMO_POOL, "--client-id", DEMO_CLIENT)


async def until(
    true: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE, pause: float = 0.05
) -> float:
    """Wait until it is true; return the seconds it took. Raises TimeoutError."""
    begun = time.monotonic()
    while not await true():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(pause)
    return time.monotonic() - begun


@dataclass
class Program:
    process: subprocess.Popen[bytes] | Forked
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def pids(self) -> list[int]:
        """Its process ID and those of its children."""
        return procfs.tree(self.pid)

    @property
    def stdout(self) -> str:
        return self.out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self.err.read_text(encoding="utf-8")

    @property
    def log(self) -> list[dict[str, Any]]:
        """The complete JSON lines it has written so far."""
        return [json.loads(line) for line in self.stdout.splitlines(keepends=True) if line.endswith("\n")]

    async def logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` log lines of this event, which it gathers before it writes; return them."""
        lines: list[dict[str, Any]] = []

        async def enough() -> bool:
            lines[:] = [line for line in self.log if line["event"] == event]
            return len(lines) >= count

        await until(enough)
        return lines

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Send SIGINT to its process group, as a terminal does for Ctrl-C."""
        os.killpg(self.pid, signal.SIGINT)

    async def end(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended; return its exit code."""
        return await asyncio.to_thread(self.process.wait, seconds)

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.end()

    async def says(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until its stdout contains the text; return its stdout."""

        async def said() -> bool:
            if self.process.poll() is not None and text not in self.stdout:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.stdout}{self.stderr}")
            return text in self.stdout

        await until(said, seconds=seconds)
        return self.stdout


def environment(**more: str) -> dict[str, str]:
    """Return the environment without COGNITO_GATEWAY_* and AWS_*; tests/conftest.py removed those of make."""
    prefixes = ("COGNITO_GATEWAY_", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, **more}


def run(
    *command: str | Path, cwd: Path = ROOT, stdin: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    variables = environment(**(environ or {}))
    if command[0] == SCRIPT and commands.forks(variables):
        return commands.run(*command[1:], cwd=cwd, environ=variables, given=stdin)
    return subprocess.run(
        command,
        cwd=cwd,
        env=variables,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@contextlib.asynccontextmanager
async def started(
    folder: Path,
    command: Sequence[str | Path],
    *,
    name: str = "program",
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Program]:
    """Start a command in its own session, whose processes are killed at the end."""
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    process: subprocess.Popen[bytes] | Forked
    with out.open("wb") as stdout, err.open("wb") as stderr:
        own, variables = cwd or folder, environment(**(environ or {}))
        if command[0] == SCRIPT and commands.forks(variables):
            process = Forked(command[1:], cwd=own, environ=variables, out=out, err=err)
        else:
            process = subprocess.Popen(
                command,
                cwd=own,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
    try:
        yield Program(process, out, err)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait, 60)


@dataclass
class Served(Program):
    """A running gateway."""

    port: int = 0
    metrics_port: int = 0

    async def ask(self, target: str = "/", *lines: str, method: str = "GET") -> Reply:
        """Send one request on a new connection."""
        return await once(self.port, get(target, *lines, method=method), method=method)

    async def bearer(self, token: str | bytes, target: str = "/") -> Reply:
        text = token if isinstance(token, str) else token.decode("ascii")
        return await self.ask(target, f"Authorization: Bearer {text}")

    async def probe(self, path: str = "/readyz") -> Reply:
        return await once(self.metrics_port, get(path, "Connection: close"))

    async def samples(self) -> dict[str, float]:
        """Return the metrics: name with labels → value."""
        lines = (await self.probe("/metrics")).body.decode().splitlines()
        pairs = [line.rpartition(" ") for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in pairs}

    async def is_ready(self) -> bool:
        try:
            return (await self.probe()).status == 200
        except (ConnectionError, asyncio.IncompleteReadError):
            return False

    async def is_listening(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.stderr}{self.stdout}")
        try:
            await self.probe("/healthz")
            await self.ask("/oauth2/nothing")
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        return True


def configuration(*, port: int, metrics_port: int, upstream: str, pools: str, more: str = "") -> str:
    return (
        f"listen: {{address: '127.0.0.1:{port}', drain_timeout: 10s}}\n"
        f"metrics: {{address: '127.0.0.1:{metrics_port}'}}\n"
        f"upstream: {{url: '{upstream}'}}\n"
        f"cognito:\n{pools}\n{more}\n"
    )


def few_roots(folder: Path, environ: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of a gateway that calls nobody by TLS, unless `environ` says what it trusts.

    Each process of it would read all the system's CA certificates three times: a quarter of its start.
    """
    return {"SSL_CERT_FILE": str(Authority(folder, "root").file), **(environ or {})}


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    *,
    upstream: str,
    pools: str,
    more: str = "",
    ready: bool = True,
    command: Sequence[str | Path] = (SCRIPT,),
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Served]:
    """Run `serve` with a configuration file; `pools` is the indented content of `cognito:`."""
    port, metrics_port = free_port(), free_port()
    path = folder / "gateway.yaml"
    path.write_text(
        configuration(port=port, metrics_port=metrics_port, upstream=upstream, pools=pools, more=more)
    )
    arguments: list[str | Path] = [*command, "serve", "--config", path]
    async with started(folder, arguments, name="serve", environ=few_roots(folder, environ)) as program:
        served = Served(program.process, program.out, program.err, port, metrics_port)
        await until(served.is_listening)
        if ready:
            await until(served.is_ready)
        yield served


def pinned(folder: Path, *keys: KeyPair) -> str:
    """Return `pools` for `serving`: the tests' own pool with its keys in a file."""
    (folder / "jwks.json").write_bytes(key_set_document(*keys))
    return f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_file: jwks.json}}]"


@contextlib.asynccontextmanager
async def cognito(folder: Path, port: int | None = None) -> AsyncIterator[tuple[Program, str]]:
    """Run `local-cognito` with the demo's seed; yields it and its URL."""
    listen = f"127.0.0.1:{port or free_port()}"
    command: list[str | Path] = [SCRIPT, "local-cognito", "--listen", listen, "--seed", DEMO]
    async with started(folder, command, name="cognito") as program:
        await program.says(DEMO_CLIENT)
        yield program, f"http://{listen}"
