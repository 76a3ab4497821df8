"""A key set endpoint on a real socket that misbehaves on request and counts its requests."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.tokens.jwk import MAX_DOCUMENT_SIZE

# The values of `KeyServer.mode` besides "good" and "slow": none of these answers is a key set.
BROKEN = (
    "error",
    "not_found",
    "redirect",
    "html",
    "empty",
    "oversize",
    "oversize_declared",
    "drip",
    "hang",
    "cut",
    "garbage",
    "gzip",
)


class KeyServer:
    """Serves `document` while `mode` is "good"; a redirect leads to `elsewhere`, a valid key set."""

    def __init__(self, document: bytes, *, elsewhere: bytes = b"") -> None:
        self.document = document
        self.elsewhere = elsewhere or document
        self.mode = "good"
        self.slowness = 0.2  # seconds, for "slow"
        self.fetches = 0
        self.redirected = 0
        self.port = 0
        self.headers: list[dict[str, str]] = []
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/.well-known/jwks.json"

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[KeyServer]:
        """Listen; after a restart, on the same port."""
        self._stopping.clear()
        app = web.Application()
        app.router.add_get("/.well-known/jwks.json", self._answer)
        app.router.add_get("/elsewhere", self._elsewhere)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self._stopping.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.fetches += 1
        self.headers.append(dict(request.headers))
        match self.mode:
            case "good":
                return self._good()
            case "slow":
                await asyncio.sleep(self.slowness)
                return self._good()
            case "error":
                return web.Response(status=500, body=self.document)
            case "not_found":
                return web.Response(status=404, body=self.document)
            case "redirect":
                return web.Response(status=302, headers={"Location": "/elsewhere"})
            case "html":
                return web.Response(text="<html>captive portal</html>", content_type="text/html")
            case "empty":
                return web.Response(body=b"")
            case "oversize":
                return await self._chunks(request, [self.document, b" " * MAX_DOCUMENT_SIZE])
            case "oversize_declared":
                return web.Response(body=self.document + b" " * MAX_DOCUMENT_SIZE)
            case "drip":
                return await self._drip(request)
            case "hang":
                await self._stopping.wait()
                return web.Response(status=503)
            case "cut":
                return await self._cut(request)
            case "garbage":
                assert request.transport is not None
                request.transport.write(b"\x00\xffHTTP nonsense\r\n\r\n")
                request.transport.close()
                return web.Response()
            case "gzip":
                answer = web.Response(body=self.document)
                answer.enable_compression(web.ContentCoding.gzip)
                answer.headers["Content-Encoding"] = "gzip"
                return answer
            case mode:
                raise AssertionError(f"no such mode: {mode}")

    def _good(self) -> web.Response:
        return web.Response(body=self.document, content_type="application/json")

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.redirected += 1
        return web.Response(body=self.elsewhere)

    async def _chunks(self, request: web.Request, chunks: list[bytes]) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                await answer.write(chunk)
        return answer

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """Send the valid document byte by byte: never silent for long, never complete in time."""
        answer = web.StreamResponse(headers={"Content-Length": str(len(self.document))})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for octet in self.document:
                await answer.write(bytes((octet,)))
                await asyncio.sleep(0.02)
        return answer

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        """Send complete JSON with a Content-Length that promises more."""
        answer = web.StreamResponse(headers={"Content-Length": str(len(self.document) + 1)})
        await answer.prepare(request)
        await answer.write(self.document)
        assert request.transport is not None
        request.transport.close()
        return answer
