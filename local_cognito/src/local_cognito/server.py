"""The local Cognito as a server with start and stop, and the function behind the `local-cognito` command.

Invariant: it listens on loopback addresses only, since it has no AWS accounts and accepts every signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web

from local_cognito import keys, operations
from local_cognito.errors import CannotRun
from local_cognito.hooks import Hooks
from local_cognito.seed import apply, read
from local_cognito.state import State
from local_cognito.wire import application

DEFAULT_REGION = "us-east-1"
# Seconds for requests in progress at stop: long enough for any answer but a delayed one (hooks).
_LEAVE = 1.0
# Seconds after which people wonder whether something hangs.
_PATIENCE = 2.0


class LocalCognito:
    """One local Cognito. `seed`: a document from local_cognito.seed.read; `clock` returns epoch seconds.

    `make_keys` makes each new pool's keys; it is called in a thread, because that takes 0.1 s.
    """

    def __init__(
        self,
        *,
        seed: Mapping[str, Any] | None = None,
        region: str = DEFAULT_REGION,
        clock: Callable[[], float] = time.time,
        make_keys: Callable[[], keys.PoolKeys] = keys.generate,
    ) -> None:
        self._seed = seed
        self._make_keys = make_keys
        self._real_clock = clock
        self.hooks = Hooks()
        self._makers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pool-keys")
        self._runner: web.AppRunner | None = None
        self.state = State(region=region, url="", new_keys=self._new_keys)

    @property
    def url(self) -> str:
        """The endpoint URL for SDKs, and the start of every issuer; empty before `start`."""
        return self.state.url

    def _clock(self) -> float:
        return self._real_clock() + self.hooks.offset

    async def start(self, host: str = "127.0.0.1", port: int = 9229) -> None:
        """Start listening (port 0: any free port). Raises CannotRun off loopback, OSError if the port is in
        use."""
        require_loopback(host)
        runner = web.AppRunner(
            application(self.state, self._clock, self.hooks),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_LEAVE,
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            self._runner = None
            await runner.cleanup()
            raise
        bound: int = runner.addresses[0][1]
        self.state.url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        if self._seed is not None:
            # Only once: a restarted server keeps its state.
            apply(self.state, self._seed, self._clock())
            self._seed = None

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._makers.shutdown(wait=False, cancel_futures=True)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation without HTTP and signature. May wait 0.1 s for a new pool's keys. Raises
        AwsError."""
        return operations.call(self.state, operation, request, self._clock())

    def _new_keys(self) -> Future[keys.PoolKeys]:
        return self._makers.submit(self._make_keys)


def require_loopback(host: str) -> None:
    """Raise CannotRun unless the host is `localhost` or a loopback address."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise CannotRun(
            f"local-cognito: --listen {host}: it serves loopback addresses only, since it checks no AWS "
            "credentials; use 127.0.0.1"
        )


def run(listen: str, seed: Path | None) -> int:
    """Serve until SIGINT or SIGTERM, then return 0. Raises CannotRun for errors that the user can fix."""
    host, port = _address(listen)
    require_loopback(host)
    with _waiting_for(f"the seed {seed}"):
        document = read(seed) if seed is not None else None
    asyncio.run(_serve(LocalCognito(seed=document), host, port, seed))
    return 0


@contextlib.contextmanager
def _waiting_for(what: str) -> Iterator[None]:
    """Report on standard error, if that is a terminal, what a block waits for after 2 s."""
    timer = threading.Timer(_PATIENCE, lambda: sys.stderr.write(f"Waiting for {what} …\n"))
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise CannotRun(f"local-cognito: --listen {listen}: not host:port; for example 127.0.0.1:9229")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


async def _serve(local: LocalCognito, host: str, port: int, seed: Path | None) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        # Passwords of thousands of users take a while.
        with _waiting_for(f"everything in {seed} to be created"):
            await local.start(host, port)
    except OSError as error:
        why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotRun(
            f"local-cognito: cannot listen on {host}:{port}: {why}; name another with --listen"
        ) from error
    sys.stdout.write(_banner(local))
    sys.stdout.flush()
    try:
        await ended.wait()
    finally:
        await local.stop()


def _banner(local: LocalCognito) -> str:
    lines = [f"local Cognito: {local.url}"]
    for pool in local.state.pools.values():
        clients = ", ".join(pool.clients)
        lines.append(f"  user pool {pool.id} ({pool.name}), clients: {clients or 'none'}")
    return "\n".join(lines) + "\n"
