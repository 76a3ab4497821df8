"""A client that sends its request and then its FIN (scripts, nc): it gets an answer that comes soon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.loops import on_both_loops
from tests.support.running import Running, logged, running
from tests.support.settling import OPEN, settled
from tests.support.waiting import until
from tests.support.wire import OK, Client, Received, Upstream, get, read_body


async def said(gateway: Running, data: bytes) -> bytes:
    """All that comes back for it from a client that closes its sending side at once."""
    async with await Client.connect(gateway.port) as client:
        client.writer.write(data)
        client.writer.write_eof()
        try:
            return await asyncio.wait_for(client.reader.read(), 30)
        except ConnectionError:
            return b"reset"


class Slow:
    """An upstream that answers when it is let, whole or in two parts."""

    def __init__(self, begins: bytes = b"") -> None:
        self._begins = begins
        self.may = asyncio.Event()
        self.asked = asyncio.Event()
        self.left = False

    async def __call__(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        received.body = await read_body(received.head, reader)
        writer.write(self._begins)
        self.asked.set()
        gone = asyncio.create_task(reader.read(1))
        may = asyncio.create_task(self.may.wait())
        await asyncio.wait((gone, may), return_when=asyncio.FIRST_COMPLETED)
        self.left = gone.done()
        gone.cancel()
        may.cancel()
        writer.write(OK)


@on_both_loops
async def test_whole_requests_are_answered(tmp_path: Path) -> None:
    posted = get("/", "Content-Length: 3", method="POST") + b"abc"
    chunked = get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n\r\n"
    async with running(tmp_path, OPEN) as gateway:
        for sent in (get("/"), get("/", "Connection: close"), posted, chunked):
            answer = await said(gateway, sent)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
            assert answer.endswith(b"\r\n\r\nok")
            # Nothing can follow, and the answer says so.
            assert b"Connection: close\r\n" in answer
        answer = await said(gateway, get("/1") + posted + get("/2") * 20)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 22
        await settled(gateway)
        assert gateway.worker.metrics.auth_decisions["refused", "client_gone"] == 0


@on_both_loops
async def test_refusals_and_new_tokens_are_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        assert (await said(gateway, get("/"))).startswith(b"HTTP/1.1 401 ")
        assert (await said(gateway, get("/", gateway.bearer()))).startswith(b"HTTP/1.1 200 ")
        assert (await said(gateway, get("/") * 50)).count(b"HTTP/1.1 401 ") == 50
        await settled(gateway)


@on_both_loops
async def test_an_answer_within_the_grace_arrives(tmp_path: Path) -> None:
    slow = Slow()
    async with running(tmp_path, OPEN, upstream=Upstream(script=slow)) as gateway:
        asking = asyncio.create_task(said(gateway, get("/")))
        await slow.asked.wait()
        await asyncio.sleep(0.1)
        assert not slow.left
        slow.may.set()
        assert (await asking).startswith(b"HTTP/1.1 200 OK\r\n")
        await settled(gateway)


@on_both_loops
async def test_beyond_the_grace_the_client_counts_as_gone(tmp_path: Path) -> None:
    slow = Slow()
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=slow), listen_lines="half_close_grace: 200ms"
    ) as gateway:
        assert await said(gateway, get("/")) in {b"", b"reset"}
        await until(lambda: slow.left)
        await settled(gateway)
        (line,) = await logged(gateway, "request", 1)
        assert (line["status"], line["reason"]) == (499, "client_gone")


@pytest.mark.parametrize("grace", ["0s", "1m"])
async def test_a_stream_whose_head_was_sent_ends_at_once(tmp_path: Path, grace: str) -> None:
    slow = Slow(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=slow), listen_lines=f"half_close_grace: {grace}"
    ) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/events"))
            assert b"first" in await client.reader.readuntil(b"first")
            client.writer.write_eof()
            await until(lambda: slow.left)
        await settled(gateway)


@on_both_loops
async def test_without_grace_every_request_ends_at_once(tmp_path: Path) -> None:
    slow = Slow()
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=slow), listen_lines="half_close_grace: 0s"
    ) as gateway:
        assert await said(gateway, get("/")) in {b"", b"reset"}
        await until(lambda: slow.left or not slow.asked.is_set())
        await settled(gateway)


@on_both_loops
async def test_an_incomplete_request_is_not_answered(tmp_path: Path) -> None:
    counted = get("/", "Content-Length: 10", method="POST") + b"abc"
    chunked = get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n"
    async with running(tmp_path, OPEN, listen_lines="half_close_grace: 1m") as gateway:
        for sent in (b"", get("/")[:-1], counted, chunked):
            assert await said(gateway, sent) in {b"", b"reset"}
            await settled(gateway)
        assert await said(gateway, get("/") + get("/")[:20]) != b""
        await settled(gateway)
