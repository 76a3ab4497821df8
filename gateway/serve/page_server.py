"""A small HTTP/1.1 server for pages that programs fetch: probes and metrics.

It is not meant for strangers, but they may reach it: memory is bounded per connection and in total, and so is
the work for one connection per turn of the event loop.

Invariant: one request at a time per connection; a new connection is always served (the one idle for longest
makes room); nothing of a request is repeated in an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

_log = logging.getLogger(__name__)

# Concurrent connections. Prometheus, a kubelet and an operator use five.
MOST = 64
# Bytes of a request head: Prometheus sends some 300, with a bearer token or behind a proxy a few thousand.
MAX_HEAD = 8 * 1024
# Seconds until the first head, and until the next: scrapes come every 15 to 60 s; nginx's keep-alive is 75 s.
_FIRST, _NEXT = 10.0, 75.0
# Seconds for a client to read an answer, and for answers in progress at stop.
_READING, _STOP = 10.0, 1.0
# Bytes of an unexpected body that are read, so that closing does not destroy the answer.
_UNREAD = 64 * 1024

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
# RFC 9110 sections 5.6.2 and 5.5: a token; and no control characters but tabs.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass(frozen=True, slots=True)
class Page:
    """A response."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """The parts of a request that are read."""

    method: str
    path: str
    accept: str
    close: bool


def plain(status: int, text: str, headers: dict[str, str] | None = None) -> Page:
    return Page(status, text.encode(), headers=headers or {})


class PageServer:
    """The connections of one listener. `answer` returns the page for a request."""

    def __init__(self, answer: Callable[[ProbeRequest], Awaitable[Page]]) -> None:
        self._answer = answer
        # Its connections, and since when each is idle (time.monotonic(); None: being answered).
        self._idle: dict[asyncio.StreamWriter, float | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._idle)

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection (asyncio.start_server's callback; pass it `limit=MAX_HEAD`)."""
        if len(self._idle) >= MOST:
            self._make_room()
        self._idle[writer] = time.monotonic()
        task = asyncio.create_task(self._serve(reader, writer), name="metrics client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_room(self) -> None:
        idle = [(since, writer) for writer, since in self._idle.items() if since is not None]
        if idle:
            _, writer = min(idle, key=lambda each: each[0])
        else:
            # All are being answered, which takes milliseconds, unless they do not read.
            writer = next(iter(self._idle))
        del self._idle[writer]
        writer.transport.abort()

    async def stop(self) -> None:
        """Close idle connections; those being answered get a moment to finish."""
        for writer, since in list(self._idle.items()):
            if since is not None:
                writer.transport.abort()
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            within = _FIRST
            while await self._one(reader, writer, within):
                within = _NEXT
                # A client that pipelines requests must let others have their turn.
                await asyncio.sleep(0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # closed, or too slow
        finally:
            self._idle.pop(writer, None)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, within: float) -> bool:
        """Answer one request; return whether another may follow."""
        asked, page = None, plain(400, "bad request\n")
        try:
            async with asyncio.timeout(within):
                asked = read_head(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError:
            page = plain(431, "bad request\n")
        if writer in self._idle:
            self._idle[writer] = None
        if asked is not None:
            page = await self._page(asked)
        close = asked is None or asked.close
        writer.write(_rendered(page, close=close, head_only=asked is not None and asked.method == "HEAD"))
        async with asyncio.timeout(_READING):
            await writer.drain()
        if close:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP):
                    if writer.can_write_eof():
                        writer.write_eof()
                    await reader.read(_UNREAD)
        elif writer in self._idle:
            self._idle[writer] = time.monotonic()
        return not close

    async def _page(self, asked: ProbeRequest) -> Page:
        try:
            return await self._answer(asked)
        except Exception as error:  # noqa: BLE001 - a failing probe must not end the listener
            _log.error("the metrics listener failed to answer", exc_info=error)
            return plain(500, "internal error\n")


def read_head(head: bytes) -> ProbeRequest | None:
    """Parse a complete request head; None if it is malformed. Pure."""
    first, *lines = head[:-4].lstrip(b"\r\n").split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        return None
    fields: dict[bytes, bytes] = {}
    for each in lines:
        found = _FIELD.fullmatch(each)
        if found is None:
            return None
        fields[found[1].lower()] = found[2].strip()
    # No request for these pages has a body; after one that does, the connection closes.
    body = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
    close = body or line[3] == b"0" or b"close" in fields.get(b"connection", b"").lower()
    path = line[2].partition(b"?")[0].decode("ascii")
    return ProbeRequest(line[1].decode("ascii"), path, fields.get(b"accept", b"").decode("latin-1"), close)


def _rendered(page: Page, *, close: bool, head_only: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        # Probes must not be cached.
        "Cache-Control: no-store",
        "Server: cognito-gateway",
        *(f"{name}: {value}" for name, value in page.headers.items()),
        *(["Connection: close"] if close else []),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return head if head_only else head + page.body
