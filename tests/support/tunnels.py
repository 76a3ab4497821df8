"""WebSocket upgrades, and an upstream that echoes what it receives."""

from __future__ import annotations

import asyncio

from tests.support.wire import Received

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: a2V5",
)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-X: 1\r\n\r\n"


async def echo(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Switch protocols, then echo until the client ends."""
    writer.write(SWITCH)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
