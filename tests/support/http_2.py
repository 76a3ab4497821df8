"""A browser's WebSocket over HTTP/2: extended CONNECT (RFC 8441)."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events

from tests.support.portal import signed_in
from tests.support.running import Running
from tests.support.waiting import PATIENCE


async def extended_connect(port: int, gateway: Running, origin: str) -> int:
    """Return the status of a WebSocket handshake over HTTP/2 (RFC 8441) with a signed-in user's cookie."""
    cookie = (await signed_in(gateway)).cookie.partition(": ")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False))
    connection.initiate_connection()
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/api")]
    headers = [*pseudo, (":authority", "api.test"), ("origin", origin), ("sec-websocket-version", "13")]
    connection.send_headers(1, [*headers, ("cookie", cookie)])
    writer.write(connection.data_to_send())
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                data = await reader.read(65_536)
                assert data, "the connection ended without a response"
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        return int(dict(event.headers)[b":status"])
                writer.write(connection.data_to_send())
    finally:
        writer.close()
