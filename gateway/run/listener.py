"""The metrics listener: metrics and probes on an address of their own, never on the public port.

It starts before the proxy and stops after it, so that probes are answered during start, drain and trouble.

Invariant: nothing here depends on what a client sends but the path, the method and the Accept header.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.config.model import Address
from gateway.errors import GatewayError
from gateway.run.sockets import somebody_listens

# Scrapes come every 15 to 60 s on one connection; nginx keeps idle ones 75 s.
_KEEP_ALIVE = 75.0
# Seconds a scrape under way may take to end when the listener stops; one takes milliseconds.
_STOP_TIMEOUT = 1.0

_log = logging.getLogger(__name__)


class MetricsListener:
    """Answers `path`, /healthz and /readyz on `address`; owns its sockets from `start` to `stop`.

    `scrape` takes the Accept header and gives body and content type (gateway/observe/exposition.py).
    `readiness` gives the reasons not to be ready, e.g. {"component": "keys", "pool": …, "reason": …}.
    """

    def __init__(
        self,
        address: Address,
        path: str,
        *,
        scrape: Callable[[str], Awaitable[tuple[bytes, str]]],
        readiness: Callable[[], list[dict[str, str]]],
    ) -> None:
        self._address = address
        self._scrape = scrape
        self._readiness = readiness
        self._pages = {"/healthz": self._healthz, "/readyz": self._readyz, path: self._metrics}
        self._runner: web.ServerRunner | None = None
        self._port = address.port

    @property
    def port(self) -> int:
        """The TCP port; after `start` the real one where the configuration says 0."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises GatewayError when the address cannot be had."""
        runner = web.ServerRunner(_Server(self._answer), shutdown_timeout=_STOP_TIMEOUT)
        await runner.setup()
        try:
            self._port = await self._bind(runner)
        except OSError as exc:
            await runner.cleanup()
            raise GatewayError(_cannot_listen(self._address, exc)) from exc
        self._runner = runner

    async def stop(self) -> None:
        """Close the sockets; does nothing when not started."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        await runner.cleanup()
        if self._address.unix is not None:
            self._address.unix.unlink(missing_ok=True)

    async def _bind(self, runner: web.ServerRunner) -> int:
        if self._address.unix is not None:
            # The event loop replaces any socket file, in use or left behind.
            if somebody_listens(self._address.unix):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            await web.UnixSite(runner, self._address.unix).start()
            return 0
        site = web.TCPSite(runner, self._address.host or None, self._address.port)
        await site.start()
        return site.port

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        page = self._pages.get(request.path)
        if page is None:
            return _plain(404, "not found\n")
        if request.method not in {"GET", "HEAD"}:
            return _plain(405, "method not allowed\n", {"Allow": "GET, HEAD"})
        return await page(request)

    async def _healthz(self, _: web.BaseRequest) -> web.Response:
        return _plain(200, "ok\n")

    async def _readyz(self, _: web.BaseRequest) -> web.Response:
        reasons = self._readiness()
        answer = {"status": "not ready", "reasons": reasons} if reasons else {"status": "ready"}
        body = json.dumps(answer).encode() + b"\n"
        return _response(503 if reasons else 200, body, "application/json")

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        body, content_type = await self._scrape(request.headers.get("Accept", ""))
        return _response(200, body, content_type)


class _Server(web.Server):
    """aiohttp's server with connections of our own."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEP_ALIVE,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's type omits the None it documents
        )


class _Connection(web.RequestHandler):
    """Refuses in our words: aiohttp's name its version, echo the request and log it with a traceback."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            _log.error("the metrics listener failed to answer", exc_info=exc)
        response = _plain(status, "internal error\n" if status >= 500 else "bad request\n")
        response.force_close()
        return response


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    response = _response(status, text.encode(), "text/plain; charset=utf-8")
    response.headers.update(headers or {})
    return response


def _response(status: int, body: bytes, content_type: str) -> web.Response:
    # Server: aiohttp would name itself, Python and both versions. no-store: a cached probe lies.
    headers = {"Content-Type": content_type, "Cache-Control": "no-store", "Server": "cognito-gateway"}
    return web.Response(status=status, body=body, headers=headers)


def _cannot_listen(address: Address, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"metrics.address {address} is taken: stop what listens there, or choose another address"
    # A resolver's errors have negative numbers of their own.
    why = os.strerror(exc.errno) if exc.errno is not None and exc.errno > 0 else str(exc.strerror or exc)
    return f"metrics.address {address} cannot be listened on ({why}): choose another address"
