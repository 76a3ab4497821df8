"""The page on this machine that the browser returns to after a sign-in (RFC 8252 section 7.3).

Invariant: it listens on loopback only, answers one path, and hands over one callback, with the `state` that
this sign-in was started with; everything held for a stranger is bounded.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import socket
from collections.abc import Mapping
from html import escape
from types import TracebackType
from urllib.parse import parse_qsl

from gateway.errors import GatewayError, system_said

PATH = "/callback"
# Bytes and seconds of a request: a browser sends its cookies for localhost along.
_MOST, _PATIENCE = 32 * 1024, 10.0
# Connections at once: browsers open some ahead.
_CONNECTIONS = 16
# Members of a callback: code, state, error, error_description, iss and what may be added.
_FIELDS = 20
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
)


class Loopback:
    """An asynchronous context manager; `callback` is set by the browser, and gets the page of `finish`."""

    def __init__(self, port: int, state: str) -> None:
        self.port = port
        self._state = state
        self.callback: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._page: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        # The connection that brought the callback.
        self._last: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The redirect URI. AWS allows http for localhost; a client's list of URLs is compared exactly."""
        return f"http://localhost:{self.port}{PATH}"

    def finish(self, *, failed: str | None = None) -> None:
        """Answer the browser: the sign-in is complete, or why it is not."""
        if failed is None:
            text = "You are signed in. You can close this window and return to the terminal."
        else:
            text = f"Sign-in failed: {failed}. Return to the terminal, and try again."
        self._page.set_result((200 if failed is None else 400, text))

    async def __aenter__(self) -> Loopback:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                server = await asyncio.start_server(
                    self._connected, host, self.port, family=family, limit=_MOST
                )
            except OSError as error:
                # A machine without IPv6 has no ::1.
                if family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
                    continue
                await self._close()
                raise GatewayError(
                    f"{host}:{self.port} cannot be listened on: {system_said(error)}. Name another port with "
                    "--callback-port, and allow its URL for the app client"
                ) from None
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._page.done():
            self.finish(failed="it took too long, or was interrupted")
        await self._close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        # The answer must reach the browser.
        if self._last is not None:
            await asyncio.wait((self._last,), timeout=1.0)
        for connection in self._connections:
            connection.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        if len(self._connections) >= _CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            status, text = self._answer(head.decode("latin-1")) or await self._outcome(task)
            body = _document(text)
            start = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{_HEADERS}Content-Length: {len(body)}\r\n\r\n"
            writer.write(start.encode("ascii") + body)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # not a browser's request, or the browser has left
        finally:
            self._connections.discard(task)
            writer.close()

    async def _outcome(self, task: asyncio.Task[None]) -> tuple[int, str]:
        self._last = task
        return await asyncio.shield(self._page)

    def _answer(self, head: str) -> tuple[int, str] | None:
        """Return status and text; None for the callback, whose answer is the outcome of the sign-in."""
        start, *lines = head.split("\r\n")
        method, _, rest = start.partition(" ")
        path, _, query = rest.partition(" ")[0].partition("?")
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        # Another name would be a page of somebody's that points its name at this machine.
        if method != "GET" or path != PATH or hosts != [f"localhost:{self.port}"]:
            return 404, "Page not found."
        given = _fields(query)
        if given is None or not hmac.compare_digest(given.get("state", "").encode(), self._state.encode()):
            return 400, "This page belongs to another sign-in. Return to the terminal, and try again."
        if self.callback.done():
            return 400, "This sign-in is complete already. Return to the terminal."
        self.callback.set_result(given)
        return None


def _fields(query: str) -> Mapping[str, str] | None:
    """Return the members of a query; None if one is repeated (RFC 6749 section 3.1) or there are too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None


def _document(text: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" '
        'content="light dark"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cognito-gateway</title></head><body><p>{escape(text)}</p></body></html>"
    ).encode()
