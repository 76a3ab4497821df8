"""Answers as the upstream wrote them: trailers, codings, interim answers, and when the connection ends."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.settling import OPEN, settled
from tests.support.waiting import until
from tests.support.wire import OK, Client, Received, Upstream, get

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("whole", [True, False])
async def test_trailers_of_an_answer_are_passed_on(tmp_path: Path, whole: bool) -> None:
    """RFC 9112 section 7.1.2; the field that frames messages is not one that may stand there."""
    parts = [CHUNKED, b"3\r\nabc\r\n", b"0\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n"]

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in [b"".join(parts)] if whole else parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                await client.send(get("/"))
                answer = await asyncio.wait_for(client.reader.readuntil(b"X-Other: 2\r\n\r\n"), 20)
                assert answer.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n")
        await settled(gateway)
        assert gateway.upstream.connections == 1


@pytest.mark.parametrize("framing", ["counted", "chunked"])
async def test_a_body_is_not_decompressed(tmp_path: Path, framing: str) -> None:
    body = gzip.compress(b"a" * 5000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\n"
    if framing == "counted":
        answer = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    else:
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            sent = get("/", "Content-Encoding: gzip", f"Content-Length: {len(body)}", method="POST") + body
            reply = await client.ask(sent)
        assert (reply.get("content-encoding"), reply.body) == ("gzip", body)
        assert (gateway.upstream.last.get("content-encoding"), gateway.upstream.last.body) == (b"gzip", body)


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", "x, CLOSE"])
async def test_a_client_that_asks_for_the_end_gets_it(tmp_path: Path, value: str) -> None:
    async with running(tmp_path, OPEN) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/", f"Connection: {value}"))
            assert (reply.status, reply.get("connection")) == (200, "close")
            assert await client.closed()
        # The upstream's connection is another matter.
        await until(lambda: gateway.worker.app.pool.idle == 1)


async def test_an_upstream_that_ends_its_connection_does_not_end_the_clients(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                reply = await client.ask(get("/"))
                assert (reply.status, reply.get("connection")) == (200, None)
        assert gateway.upstream.connections == 3


async def test_several_interim_answers_arrive_in_order_before_the_final_one(tmp_path: Path) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n"
    answer = hints % 1 + b"HTTP/1.1 102 Processing\r\n\r\n" + hints % 2 + OK
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                await client.send(get("/"))
                assert [(await client.reply()).status for _ in range(4)] == [103, 102, 103, 200]
        assert gateway.upstream.connections == 1


async def test_a_pipeline_ends_at_the_request_that_asks_for_the_end(tmp_path: Path) -> None:
    """RFC 9112 section 9.6: nothing behind it is served, whenever it comes."""

    go = asyncio.Event()

    async def slow(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    async with running(tmp_path, OPEN, upstream=Upstream(script=slow)) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/1") + get("/2", "Connection: close"))
            await until(lambda: gateway.upstream.requests)
            await client.send(get("/3"))
            go.set()
            assert (await client.reply()).status == 200
            last = await client.reply()
            assert (last.status, last.get("connection")) == (200, "close")
            while rest := await client.reader.read(65536):
                assert b" 200 " not in rest
        assert [each.target for each in gateway.upstream.requests] == [b"/1", b"/2"]
