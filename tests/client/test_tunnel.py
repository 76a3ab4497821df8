"""WebSockets: the handshake, bytes both ways, and all the ways a tunnel ends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSCloseCode, WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.tunnel import FrameCursor
from tests.support.running import Running, running
from tests.support.tunnels import SWITCH, UPGRADE, echo
from tests.support.waiting import at_rest, until
from tests.support.wire import UNDER_WAY, Client, Received, Upstream, get


@contextlib.asynccontextmanager
async def opened(gateway: Running, *lines: str, **claims: object) -> AsyncIterator[Client]:
    async with await Client.connect(gateway.port) as client:
        reply = await client.ask(get("/ws", gateway.bearer(**claims), *UPGRADE, *lines))
        assert reply.status == 101, reply
        yield client


async def test_the_upstream_switches_and_bytes_flow(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        async with opened(gateway) as client:
            head = gateway.upstream.last
            assert head.get("Upgrade") == b"websocket"
            assert head.get("Connection") == b"Upgrade"
            assert head.get("Sec-WebSocket-Key") == b"dGhlIHNhbXBsZSBub25jZQ=="
            assert head.get("Authorization") is None
            await client.send(b"anything at all")
            assert await client.reader.readexactly(15) == b"anything at all"
        await until(lambda: gateway.upstream.open == 0)
        await until(lambda: not gateway.worker.connections)
        await until(lambda: gateway.worker.app.pool.open == 0)


async def test_no_token_never_reaches_the_upstream(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/ws", *UPGRADE))).status == 401
        assert gateway.upstream.requests == []


async def test_another_answer_is_passed_on_and_ends_the_connection(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nSec-WebSocket-Version: 13\r\n\r\nno"
    async with running(tmp_path, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            # What a smuggler would hide behind the handshake (CVE-2026-69243).
            hidden = get("/admin", gateway.bearer())
            reply = await client.ask(get("/ws", gateway.bearer(), *UPGRADE) + hidden)
            assert (reply.status, reply.body) == (426, b"no")
            assert await client.closed()
        assert [each.target for each in gateway.upstream.requests] == [b"/ws"]


async def test_extra_bytes_behind_a_refused_upgrade_go_nowhere(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with running(tmp_path, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/ws", gateway.bearer(), *UPGRADE))
            assert (reply.status, reply.body) == (200, b"ok")
            assert await client.closed()


async def test_a_body_with_the_handshake_is_not_a_second_request(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        hidden = get("/admin", gateway.bearer())
        async with await Client.connect(gateway.port) as client:
            await client.send(
                get("/ws", gateway.bearer(), *UPGRADE, f"Content-Length: {len(hidden)}") + hidden
            )
            await client.reply()
        assert [each.target for each in gateway.upstream.requests] == [b"/ws"]


@pytest.mark.parametrize("protocol", ["h2c", "HTTP/2.0", "TLS/1.0", "websocket, h2c", "WebSocketX"])
async def test_other_protocols_are_not_offered(tmp_path: Path, protocol: str) -> None:
    async with running(tmp_path) as gateway:
        lines = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABk")
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                reply = await client.ask(get("/", gateway.bearer(), *lines))
                assert (reply.status, reply.get("connection")) == (200, None)
        assert gateway.upstream.last.get("Upgrade") is None
        assert gateway.upstream.last.get("HTTP2-Settings") is None


async def test_an_unrequested_101_is_a_broken_response(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(answer=SWITCH)) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/", gateway.bearer()))).status == 502


async def test_the_client_goes(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        async with opened(gateway) as client:
            client.writer.transport.abort()
            await until(lambda: gateway.upstream.open == 0)


async def test_the_upstream_goes(tmp_path: Path) -> None:
    async def hang_up(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCH + b"bye")
        await writer.drain()
        writer.close()

    async with running(tmp_path, upstream=Upstream(script=hang_up)) as gateway:
        async with opened(gateway) as client:
            assert await client.reader.read() == b"bye"
        await until(lambda: not gateway.worker.connections)


async def test_one_side_may_end_while_the_other_still_speaks(tmp_path: Path) -> None:
    async def answer_after_end(
        received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(SWITCH)
        everything = await reader.read()
        writer.write(b"got %d" % len(everything))
        await writer.drain()
        writer.close()

    async with running(tmp_path, upstream=Upstream(script=answer_after_end)) as gateway:
        async with opened(gateway) as client:
            await client.send(b"x" * 100)
            client.writer.write_eof()
            assert await client.reader.read() == b"got 100"


async def test_a_side_that_does_not_read_stops_the_other(tmp_path: Path) -> None:
    """Back-pressure: what is under way stays within the buffers of two sockets, whatever is sent."""
    sent = 0

    async def flood(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(SWITCH)
        while True:
            writer.write(b"\x82\x7e\xff\xff" + b"x" * 65535)
            await writer.drain()
            sent += 65539

    async with running(tmp_path, upstream=Upstream(script=flood)) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.transport.pause_reading()
            await client.send(get("/ws", gateway.bearer(), *UPGRADE))
            before = await at_rest(lambda: sent)
            assert 0 < before < UNDER_WAY
            client.transport.resume_reading()
            await client.reply()
            await client.reader.readexactly(before)


async def test_large_both_ways(tmp_path: Path) -> None:
    block = bytes(range(256)) * 4096
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        async with opened(gateway) as client:
            digest = hashlib.sha256()

            async def read() -> None:
                left = 8 * len(block)
                while left:
                    data = await client.reader.read(65536)
                    assert data
                    digest.update(data)
                    left -= len(data)

            reading = asyncio.create_task(read())
            for _ in range(8):
                await client.send(block)
            await asyncio.wait_for(reading, 60)
            assert digest.hexdigest() == hashlib.sha256(block * 8).hexdigest()


async def test_the_token_expires(tmp_path: Path) -> None:
    async with running(
        tmp_path, upstream=Upstream(script=echo), upstream_lines="idle_timeout: 3s"
    ) as gateway:
        async with opened(gateway, exp=int(time.time()) + 4) as client:
            ending = time.monotonic() + 30
            received = b""
            # Talking does not keep it open.
            while time.monotonic() < ending and b"token expired" not in received:
                await client.send(b"\x82\x01x")
                with contextlib.suppress(TimeoutError):
                    received += await asyncio.wait_for(client.reader.read(1024), 0.1)
            assert received.endswith(b"\x88\x0f\x03\xf0token expired")
            assert await client.closed()
            assert time.monotonic() < ending


async def test_a_tunnel_may_outlive_its_token(tmp_path: Path) -> None:
    async with running(
        tmp_path, upstream=Upstream(script=echo), upstream_lines="tunnels_end_with_token: false"
    ) as gateway:
        async with opened(gateway, exp=int(time.time()) + 4) as client:
            await asyncio.sleep(4.5)
            await client.send(b"\x82\x01x")
            assert await client.reader.readexactly(3) == b"\x82\x01x"


async def test_silence_ends_a_tunnel(tmp_path: Path) -> None:
    async with running(
        tmp_path, upstream=Upstream(script=echo), upstream_lines="idle_timeout: 200ms"
    ) as gateway:
        async with opened(gateway) as client:
            assert await client.closed()
        await until(lambda: gateway.upstream.open == 0)


async def test_draining_sends_going_away(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=echo)) as gateway:
        async with opened(gateway) as client:
            stopping = asyncio.create_task(gateway.worker.stop())
            assert await client.reader.read() == b"\x88\x0c\x03\xe9going away"
            await stopping


async def half_closed(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Switches, says one frame and that nothing more comes, and goes on reading."""
    writer.write(SWITCH + b"\x82\x01x")
    writer.write_eof()
    await reader.read()
    writer.close()


async def test_a_tunnel_ended_after_the_upstreams_close_affects_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path, upstream=Upstream(script=half_closed)) as gateway:
        async with opened(gateway) as client, opened(gateway) as other:
            assert await client.reader.read() == await other.reader.read() == b"\x82\x01x"
            await asyncio.wait_for(gateway.worker.stop(), 30)
            await until(lambda: gateway.upstream.open == 0)


async def test_a_client_that_does_not_read_holds_no_tunnel_whose_token_expired(tmp_path: Path) -> None:
    """The farewell is said once, and what is not taken in time is dropped."""

    def unsent() -> int:
        return sum(connection.unsent for connection in gateway.worker.connections)

    async def fill(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCH)
        while not unsent():
            # Whole frames, until there are some that the kernel does not take.
            writer.write((b"\x82\x7e\x40\x00" + b"x" * 0x4000) * 8)
            await asyncio.sleep(0.002)
        await reader.read()
        writer.close()

    async with running(
        tmp_path, upstream=Upstream(script=fill), listen_lines="idle_timeout: 500ms"
    ) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.transport.pause_reading()
            # Else the kernel may find room later for what it did not take, or take all until the expiry.
            client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            await client.send(get("/ws", gateway.bearer(exp=int(time.time()) + 4), *UPGRADE))
            await until(lambda: unsent() > 0)
            held = await at_rest(unsent)
            await until(lambda: gateway.upstream.open == 0)
            assert unsent() <= held + len(b"\x88\x0f\x03\xf0token expired")
            await until(lambda: not gateway.worker.connections)


async def test_a_real_websocket(tmp_path: Path) -> None:
    """aiohttp's client and server, with a sub-protocol and messages larger than a read."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["chat"])
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data[::-1])
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        upstream = Upstream()
        async with running(tmp_path, upstream=upstream, upstream_url=f"http://127.0.0.1:{port}") as gateway:
            headers = {"Authorization": f"Bearer {gateway.token()}"}
            url = f"http://127.0.0.1:{gateway.port}/ws"
            async with ClientSession() as session:
                async with session.ws_connect(
                    url, headers=headers, protocols=["chat"], max_msg_size=0
                ) as socket:
                    assert socket.protocol == "chat"
                    for size in (0, 1, 125, 126, 65535, 65536, 300_000):
                        data = bytes(i % 251 for i in range(size))
                        await socket.send_bytes(data)
                        assert (await socket.receive_bytes()) == data[::-1]
                    stopping = asyncio.create_task(gateway.worker.stop())
                    closed = await socket.receive()
                    assert (closed.type, closed.data) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
                await stopping
    finally:
        await runner.cleanup()


# --- frames, pure ---


def frame(payload: bytes, *, masked: bool = False) -> bytes:
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes([0x82, mask | size])
    elif size < 65536:
        head = bytes([0x82, mask | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x82, mask | 127]) + size.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + payload


@given(st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 300, 65536]), st.booleans())), st.data())
def test_the_cursor_knows_where_frames_end(frames: list[tuple[int, bool]], data: st.DataObject) -> None:
    stream, ends = b"", {0}
    for size, masked in frames:
        stream += frame(b"x" * size, masked=masked)
        ends.add(len(stream))
    cursor, at = FrameCursor(), 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        last = cursor.feed(stream[at : at + step])
        inside = [end for end in ends if at < end <= at + step]
        assert last == (max(inside) - at if inside else -1)
        at += step
        assert cursor.between == (at in ends)
