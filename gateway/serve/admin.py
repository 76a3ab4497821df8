"""The metrics listener: metrics and probes on their own address, never on the public port.

It starts before the proxy and stops after it, so that probes are answered during start, drain and failures.

Invariant: answers depend only on a request's path, method and Accept header; rendering metrics takes no more
than a fifth of the time, however many clients ask.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Awaitable, Callable

from gateway.config.model import Address
from gateway.errors import GatewayError
from gateway.serve.page_server import MAX_HEAD, Page, PageServer, ProbeRequest, plain
from gateway.serve.sockets import cannot_listen, somebody_listens

# After a scrape, the next one waits this many times as long as it took: a few milliseconds, while scrapers
# come at most once a second.
_REST = 4.0
# Upper bound of that wait in seconds.
_LONGEST_REST = 0.5


class MetricsListener:
    """Serves `path`, /healthz and /readyz on `address`; owns its sockets from `start` to `stop`.

    `scrape` takes the Accept header and returns body and content type (gateway/observe/exposition.py).
    `readiness` returns the reasons for not being ready, e.g. {"component": "keys", "pool": …, "reason": …};
    `warnings`, in the same form, problems that need no traffic to go elsewhere.
    """

    def __init__(
        self,
        address: Address,
        path: str,
        *,
        scrape: Callable[[str], Awaitable[tuple[bytes, str]]],
        readiness: Callable[[], list[dict[str, str]]],
        warnings: Callable[[], list[dict[str, str]]] = list,
    ) -> None:
        self._address = address
        self._scrape = scrape
        self._readiness = readiness
        self._warnings = warnings
        self._pages = {"/healthz": self._healthz, "/readyz": self._readyz, path: self._metrics}
        self._clients = PageServer(self._answer)
        self._scraping = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._port = address.port

    @property
    def port(self) -> int:
        """The TCP port; after `start`, the actual one if the configuration says 0."""
        return self._port

    async def start(self) -> None:
        """Start listening. Raises GatewayError if the address cannot be bound."""
        try:
            self._server = await self._bind()
        except OSError as exc:
            raise GatewayError(cannot_listen("metrics.address", self._address, exc)) from exc
        if self._address.unix is None:
            self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening. Does nothing if not started."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        await self._clients.stop()
        if self._address.unix is not None:
            self._address.unix.unlink(missing_ok=True)

    async def _bind(self) -> asyncio.Server:
        unix = self._address.unix
        if unix is None:
            return await asyncio.start_server(
                self._clients.accepted, self._address.host or None, self._address.port, limit=MAX_HEAD
            )
        # The event loop would replace any socket file, even one in use.
        if somebody_listens(unix):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return await asyncio.start_unix_server(self._clients.accepted, unix, limit=MAX_HEAD)

    async def _answer(self, asked: ProbeRequest) -> Page:
        page = self._pages.get(asked.path)
        if page is None:
            return plain(404, "not found\n")
        if asked.method not in {"GET", "HEAD"}:
            return plain(405, "method not allowed\n", {"Allow": "GET, HEAD"})
        return await page(asked)

    async def _healthz(self, _: ProbeRequest) -> Page:
        return plain(200, "ok\n")

    async def _readyz(self, _: ProbeRequest) -> Page:
        reasons = self._readiness()
        answer: dict[str, object] = {"status": "not ready" if reasons else "ready"}
        if reasons:
            answer["reasons"] = reasons
        if warnings := self._warnings():
            answer["warnings"] = warnings
        body = json.dumps(answer).encode() + b"\n"
        return Page(503 if reasons else 200, body, "application/json")

    async def _metrics(self, asked: ProbeRequest) -> Page:
        await self._scraping.acquire()
        began = time.monotonic()
        try:
            body, content_type = await self._scrape(asked.accept)
        finally:
            rest = min((time.monotonic() - began) * _REST, _LONGEST_REST)
            asyncio.get_running_loop().call_later(rest, self._scraping.release)
        return Page(200, body, content_type)
