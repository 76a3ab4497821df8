"""Upstreams with long-lived responses: event streams and WebSockets."""

from __future__ import annotations

import asyncio

from tests.support.tunnels import SWITCH
from tests.support.wire import OK, Received

CHUNKED = b"Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
FAREWELL = b"\x88\x0c\x03\xf0signed out"


async def upstream(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the head, then nothing more."""
    if received.target == b"/ws":
        writer.write(SWITCH)
        await reader.read()
    elif received.target == b"/events":
        writer.write(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n")
        await reader.read()
    else:
        writer.write(OK)
