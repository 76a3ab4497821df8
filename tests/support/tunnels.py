"""WebSocket upgrades, and an upstream that echoes what it receives."""

from __future__ import annotations

import asyncio
import base64
import hashlib

from tests.support.wire import Received

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-X: 1\r\n\r\n"
# RFC 6455 section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepting(received: Received) -> bytes:
    """Return SWITCH with the proof that the handshake was read, without which HAProxy passes on nothing."""
    key = received.get("Sec-WebSocket-Key") or b""
    proof = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return SWITCH[:-2] + b"Sec-WebSocket-Accept: %b\r\n\r\n" % proof


async def echo(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Switch protocols, then echo until the client ends."""
    writer.write(accepting(received))
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
