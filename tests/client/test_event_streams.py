"""Event streams end with their token, as WebSockets do, and with an end after which clients reconnect."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.running import logged, running
from tests.support.streams import CHUNKED
from tests.support.waiting import until
from tests.support.wire import Client, Received, Upstream, get

# Cognito's shortest token lives 5 minutes; a second or two does here.
SOON = 3


def events(head: bytes, *, framed: bool = True) -> object:
    """An upstream that sends an event now and then until it is left."""

    async def script(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:
            event = b"data: tick\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(event), event) if framed else event)
            await writer.drain()
            await asyncio.sleep(0.05)

    return script


@pytest.mark.parametrize("kind", [b"text/event-stream", b"Text/Event-Stream;charset=utf-8"])
async def test_a_stream_ends_with_its_token_and_its_connection_stays_open(
    tmp_path: Path, kind: bytes
) -> None:
    head = b"Content-Type: %b\r\nTransfer-Encoding: chunked\r\n" % kind
    upstream = Upstream(script=events(head))  # type: ignore[arg-type]
    async with running(tmp_path, upstream=upstream) as gateway, await Client.connect(gateway.port) as client:
        reply = await client.ask(get("/events", gateway.bearer(exp=int(time.time()) + SOON)))
        assert (reply.status, reply.whole) == (200, True)
        assert reply.body.endswith(b"data: tick\n\n")
        await until(lambda: upstream.open == 0)
        (line,) = await logged(gateway, "request", 1)
        assert line["reason"] == "token_expired"
        upstream.script = None
        assert (await client.ask(get("/", gateway.bearer()))).status == 200


async def test_a_silent_stream_ends_with_its_token_too(tmp_path: Path) -> None:
    async def silent(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n")
        await reader.read()

    upstream = Upstream(script=silent)
    async with running(tmp_path, upstream=upstream) as gateway, await Client.connect(gateway.port) as client:
        reply = await client.ask(get("/events", gateway.bearer(exp=int(time.time()) + SOON)))
        assert (reply.status, reply.whole, reply.body) == (200, True, b"")
        await until(lambda: upstream.open == 0)


async def test_the_silence_of_a_stream_is_limited_before_that(tmp_path: Path) -> None:
    async def silent(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n")
        await reader.read()

    upstream = Upstream(script=silent)
    async with (
        running(tmp_path, upstream=upstream, upstream_lines="idle_timeout: 200ms") as gateway,
        await Client.connect(gateway.port) as client,
    ):
        reply = await client.ask(get("/events", gateway.bearer()))
        assert (reply.status, reply.whole) == (200, False)
        assert gateway.worker.metrics.limits_reached["upstream.idle_timeout"] == 1


@pytest.mark.parametrize("what", ["length", "HTTP/1.0", "no stream", "off", "anonymous"])
async def test_how_each_stream_ends(tmp_path: Path, what: str) -> None:
    length = b"Content-Type: text/event-stream\r\nContent-Length: 1000000\r\n"
    plain = b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
    head = {"length": length, "no stream": plain}.get(what, CHUNKED)
    upstream = Upstream(script=events(head, framed=what != "length"))  # type: ignore[arg-type]
    lines = "streams_end_with_token: false" if what == "off" else ""
    routes = "routes: [{path: /open/**, auth: none}]\n"
    async with running(tmp_path, routes, upstream=upstream, upstream_lines=lines) as gateway:
        async with await Client.connect(gateway.port) as client:
            request = get(
                "/open/a" if what == "anonymous" else "/a", gateway.bearer(exp=int(time.time()) + SOON)
            )
            if what == "HTTP/1.0":
                request = request.replace(b"HTTP/1.1", b"HTTP/1.0")
            await client.send(request)
            head_seen = await client.reader.readuntil(b"\r\n\r\n")
            assert head_seen.startswith(b"HTTP/1.1 200")
            reading = asyncio.create_task(client.reader.read())
            ended, _ = await asyncio.wait((reading,), timeout=SOON + 2.0)
            if what in {"no stream", "off", "anonymous"}:
                assert not ended, "it goes on"
                reading.cancel()
                return
            await asyncio.wait((reading,), timeout=30)
            if what == "HTTP/1.0":
                assert (await reading).endswith(b"data: tick\n\n")
            else:
                # A length is a promise: the client sees that it was not kept.
                with pytest.raises(ConnectionResetError):
                    await reading
