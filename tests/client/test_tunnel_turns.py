"""A tunnel lets others have their turn, and reads neither side faster than the other takes it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.tunnel import FrameCursor, Tunnel
from gateway.upstream.connection import TUNNEL_READ
from tests.support.loops import on_both_loops
from tests.support.running import running
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.waiting import at_rest, until
from tests.support.wire import Client, Received, Upstream, get

OPEN = "routes: [{path: /open, auth: none}]\n"


def ends_of(stream: bytes) -> list[int]:
    """Where frames end, read as plainly as RFC 6455 section 5.2 says it."""
    ends, at = [], 0
    while at + 2 <= len(stream):
        masked, size = stream[at + 1] & 0x80, stream[at + 1] & 0x7F
        start = at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            if start + width > len(stream):
                break
            size = int.from_bytes(stream[start : start + width], "big")
            start += width
        at = start + (4 if masked else 0) + size
        if at <= len(stream):
            ends.append(at)
    return ends


@given(st.binary(max_size=400), st.data())
def test_any_bytes_are_cut_into_the_same_frames_however_they_arrive(
    stream: bytes, data: st.DataObject
) -> None:
    ends, cursor, at = ends_of(stream), FrameCursor(), 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        last = cursor.feed(stream[at : at + step])
        inside = [end for end in ends if at < end <= at + step]
        assert last == (inside[-1] - at if inside else -1)
        at += step


@pytest.mark.parametrize(
    "frame", [b"\x81\x00", b"\x81\x01x", b"\x89\x80mask", b"\x82\x11" + b"x" * 17, b"\x82\x7d" + b"x" * 125]
)
def test_small_frames_are_not_looked_at_one_by_one(frame: bytes) -> None:
    """A megabyte of empty ones took half a second, in which nobody else was served."""
    count, calls = 65536 // len(frame), 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    cursor = FrameCursor()
    sys.setprofile(called)
    try:
        last = cursor.feed(frame * count)
    finally:
        sys.setprofile(None)
    assert last == count * len(frame)
    assert calls < 20


class Side:
    """One end of a tunnel, as far as it is read and written."""

    def __init__(self) -> None:
        self.deadline = 0.0
        self.writable = self.reading = True
        self.took = 0

    def write(self, data: bytes) -> None:
        self.took += len(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    pause_client, resume_client = pause_reading, resume_reading


@pytest.mark.parametrize("sender", ["client", "upstream"])
async def test_a_client_that_sends_without_pause_is_read_in_the_next_turn(sender: str) -> None:
    client, upstream = Side(), Side()
    tunnel = Tunnel(client, upstream, idle=60, expires_at=None, watch=None)  # type: ignore[arg-type]
    feed = tunnel.client_data if sender == "client" else tunnel.upstream_data
    from_, to = (client, upstream) if sender == "client" else (upstream, client)
    feed(b"\x81\x00" * 100)
    assert from_.reading
    feed(b"\x81\x00" * 32768)
    assert not from_.reading
    await asyncio.sleep(0)
    assert from_.reading
    # Not so while the other side does not take what it got.
    feed(b"\x81\x00" * 32768)
    to.writable = False
    await asyncio.sleep(0)
    assert not from_.reading
    assert to.took == 200 + 2 * 65536


@on_both_loops
async def test_a_large_message_passes_both_ways(tmp_path: Path) -> None:
    message = b"\x82\xff" + (4 * 1024 * 1024).to_bytes(8, "big") + b"mask" + bytes(range(256)) * 16384

    async def echo(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCH)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async with (
        running(tmp_path, OPEN, upstream=Upstream(script=echo)) as gateway,
        await Client.connect(gateway.port) as client,
    ):
        assert (await client.ask(get("/open", *UPGRADE))).status == 101
        sending = asyncio.create_task(client.send(message))
        assert await client.reader.readexactly(len(message)) == message
        await sending


@on_both_loops
async def test_data_for_a_stalled_client_stays_with_the_upstream(tmp_path: Path) -> None:
    async def endless(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCH)
        while not writer.is_closing():
            writer.write(bytes(65536))
            await writer.drain()

    async with (
        running(tmp_path, OPEN, upstream=Upstream(script=endless)) as gateway,
        await Client.connect(gateway.port) as client,
    ):
        await client.send(get("/open", *UPGRADE))
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # reads and writes
        (connection,) = gateway.worker.connections
        await until(lambda: connection.unsent)
        assert await at_rest(lambda: connection.unsent) > 0
        # One read, on top of what lets reading pause.
        assert connection.unsent <= 2 * TUNNEL_READ
        client.writer.transport.abort()
