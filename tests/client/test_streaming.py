"""Bodies both ways as they come: framing, order, back-pressure, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from gateway.client import upload
from tests.support.running import running
from tests.support.settling import OPEN, chunked, settled
from tests.support.waiting import at_rest, until
from tests.support.wire import OK, UNDER_WAY, Client, Received, Upstream, get, once, read_body

# Of hundreds of thousands, which are written at once.
LARGE = UNDER_WAY // 100_000 * 200_000
SIZES = [0, 1, 65535, 65536, 65537, 131072, 131073, 262144, 8 * 1024 * 1024]


@pytest.mark.parametrize("size", SIZES)
async def test_bodies_pass_both_ways_whole(tmp_path: Path, size: int) -> None:
    body = hashlib.shake_128(b"seed").digest(size)

    async def echo(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.body = await read_body(received.head, reader)
        framed = b"Transfer-Encoding: chunked\r\n\r\n" if b"chunked" in received.head else b""
        if framed:
            pieces = [received.body[at : at + 50_000] for at in range(0, size, 50_000)]
            writer.write(b"HTTP/1.1 200 OK\r\n" + framed + chunked(*pieces))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, received.body))

    upstream = Upstream(script=echo)
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as client:
            counted = get("/", f"Content-Length: {size}", method="POST") + body
            pieces = [body[at : at + 70_000] for at in range(0, size, 70_000)]
            for sent in (counted, get("/", "Transfer-Encoding: chunked", method="POST") + chunked(*pieces)):
                sending = asyncio.create_task(client.send(sent))
                reply = await client.reply()
                await sending
                assert reply.status == 200
                assert reply.whole
                assert hashlib.sha256(reply.body).digest() == hashlib.sha256(body).digest()
                assert reply.get("connection") is None
        assert upstream.connections == 1
        await settled(gateway)


async def test_a_client_that_does_not_read_stops_the_upstream(tmp_path: Path) -> None:
    written = 0

    async def endless(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        while written < LARGE:
            writer.write(b"x" * 100_000)
            written += 100_000
            await writer.drain()

    async with running(tmp_path, OPEN, upstream=Upstream(script=endless)) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(get("/"))
            held = await at_rest(lambda: written)
            assert 0 < held < UNDER_WAY
            connection = next(iter(gateway.worker.connections))
            assert connection.unsent < 1_000_000
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len((await client.reply()).body) == LARGE
        await settled(gateway)


async def test_an_upstream_that_does_not_read_stops_the_client(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def deaf(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await reader.readexactly(LARGE)
        writer.write(OK)

    async with running(tmp_path, OPEN, upstream=Upstream(script=deaf)) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/", f"Content-Length: {LARGE}", method="POST"))
            sent = 0

            async def upload() -> None:
                nonlocal sent
                while sent < LARGE:
                    await client.send(b"x" * 100_000)
                    sent += 100_000

            task = asyncio.create_task(upload())
            assert 0 < await at_rest(lambda: sent) < UNDER_WAY
            release.set()
            assert (await client.reply()).status == 200
            await task
        await settled(gateway)


async def test_an_event_stream_arrives_as_it_is_sent(tmp_path: Path) -> None:
    step = asyncio.Event()

    async def events(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(3):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await step.wait()
            step.clear()
        writer.write(b"0\r\nX-Trailer: t\r\n\r\n")

    async with running(tmp_path, OPEN, upstream=Upstream(script=events)) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/"))
            await client.reader.readuntil(b"\r\n\r\n")
            for number in range(3):
                assert (
                    await asyncio.wait_for(client.reader.readuntil(b"\n\n\r\n"), 20)
                    == b"9\r\ndata: %d\n\n\r\n" % number
                )
                step.set()
            assert await client.reader.readuntil(b"\r\n\r\n") == b"0\r\nX-Trailer: t\r\n\r\n"
        await settled(gateway)


# --- Expect: 100-continue ---


@pytest.mark.parametrize("word", [True, False])
async def test_a_100_continue_is_relayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: bool) -> None:
    if word:
        monkeypatch.setattr(upload, "CONTINUE_AFTER", 3600.0)

    async def script(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if word:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        received.body = await reader.readexactly(3)
        writer.write(OK)

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            began = time.monotonic()
            reply = await client.ask(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
            assert reply.status == 100
            # Nothing said: after a second it is said for it.
            assert word or time.monotonic() - began > 0.9
            assert (await client.ask(b"abc")).status == 200
            assert gateway.upstream.last.body == b"abc"
            assert (await client.ask(get("/", "Content-Length: 3", method="POST") + b"abc")).status in {
                100,
                200,
            }


async def test_a_final_answer_instead_of_100_spares_the_body(tmp_path: Path) -> None:
    async def script(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
            assert (reply.status, reply.body, reply.get("connection")) == (403, b"no", "close")
            assert await client.closed()
        await settled(gateway)


async def test_an_early_answer_during_an_upload_ends_it(tmp_path: Path) -> None:
    async def script(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/", "Content-Length: 1000", method="POST") + b"x" * 10)
            assert (reply.status, reply.body, reply.get("connection")) == (413, b"no", "close")
            assert await client.closed()
        await settled(gateway)


# --- kinds of answers ---


async def test_103_is_passed_on_but_not_to_http_10(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/"))).get("link") == "</a.css>"
            assert (await client.reply()).status == 200
        assert (await once(gateway.port, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")).status == 200


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_have_none(tmp_path: Path, status: int) -> None:
    upstream = Upstream(answer=b"HTTP/1.1 %d X\r\nETag: a\r\n\r\n" % status)
    async with (
        running(tmp_path, OPEN, upstream=upstream) as gateway,
        await Client.connect(gateway.port) as client,
    ):
        for _ in range(3):
            reply = await client.ask(get("/"))
            assert reply.status == status
            assert reply.get("transfer-encoding") is None
            assert reply.get("content-length") is None


async def test_http_10_clients(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert (reply.status, reply.body) == (200, b"ok")
            assert await client.closed()
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                reply = await client.ask(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
                assert (reply.status, reply.get("connection")) == (200, "keep-alive")
            gateway.upstream.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
                b"ab", b"c"
            )
            reply = await client.ask(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            assert (reply.body, reply.get("transfer-encoding")) == (b"abc", None)


async def test_an_answer_that_ends_with_its_connection(tmp_path: Path) -> None:
    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        writer.close()

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                assert (await client.ask(get("/"))).body == b"hello"
        await settled(gateway)


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async def script(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if received.target == b"/open/0":
            await asyncio.sleep(0.05)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(received.target), received.target)
        )

    routes = "routes: [{path: '/open/**', auth: none}]\n"
    async with running(tmp_path, routes, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            targets = [
                f"/open/{number}" if number % 3 != 1 else f"/private/{number}" for number in range(100)
            ]
            await client.send(b"".join(get(target) for target in targets))
            for target in targets:
                reply = await client.reply()
                if target.startswith("/open"):
                    assert (reply.status, reply.body) == (200, target.encode())
                else:
                    assert reply.status == 401


# --- a client that leaves ---


@pytest.mark.parametrize("phase", ["waiting", "sending", "reading"])
async def test_the_upstream_hears_at_once_that_the_client_left(tmp_path: Path, phase: str) -> None:
    reached = asyncio.Event()

    async def script(_: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if phase == "reading":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
            await writer.drain()
        reached.set()
        await reader.read()
        while await reader.read(1000):
            pass

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        client = await Client.connect(gateway.port)
        if phase == "sending":
            await client.send(get("/", "Content-Length: 1000", method="POST") + b"part")
        else:
            await client.send(get("/"))
        await reached.wait()
        if phase == "reading":
            await client.reader.readuntil(b"part")
        client.writer.transport.abort()
        # The next limit that would end it is minutes away.
        await until(lambda: gateway.upstream.open == 0)
        await settled(gateway)
