"""An upstream that answers before it has read the body, and closes: its answer reaches the client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.settling import OPEN, settled
from tests.support.wire import Client, get

REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large"
BODY = b"x" * 8 * 2**20


@contextlib.asynccontextmanager
async def refusing(answer: bytes, pause: float) -> AsyncIterator[str]:
    """Reads a few bytes, answers and closes with the rest unread: a reset follows (RFC 9112 section 9.6)."""
    loop = asyncio.get_running_loop()

    async def serve(listening: socket.socket) -> None:
        while True:
            connection, _ = await loop.sock_accept(listening)
            with connection, contextlib.suppress(ConnectionError):
                await loop.sock_recv(connection, 100)
                await asyncio.sleep(pause)
                await loop.sock_sendall(connection, answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        task = asyncio.create_task(serve(listening))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_the_answer_arrives_although_the_body_was_refused(
    tmp_path: Path, framing: str, pause: float
) -> None:
    async with refusing(REFUSAL, pause) as url, running(tmp_path, OPEN, upstream_url=url) as gateway:
        for _ in range(25):
            async with await Client.connect(gateway.port) as client:
                if framing == "chunked":
                    head = get("/", "Transfer-Encoding: chunked", method="POST")
                    client.writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
                else:
                    head = get("/", f"Content-Length: {len(BODY)}", method="POST")
                    client.writer.write(head + BODY)
                reply = await client.reply()
                assert (reply.status, reply.body) == (413, b"too large")
                assert reply.get("connection") == "close"
        assert gateway.worker.metrics.upstream_errors == {}
        await settled(gateway)


async def test_no_answer_at_all_is_still_broken(tmp_path: Path) -> None:
    async with refusing(b"", 0.0) as url, running(tmp_path, OPEN, upstream_url=url) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.writer.write(get("/", f"Content-Length: {len(BODY)}", method="POST") + BODY)
            assert (await client.reply()).status == 502
        await settled(gateway)


async def test_half_an_answer_is_still_cut(tmp_path: Path) -> None:
    half = REFUSAL.replace(b"Content-Length: 9", b"Content-Length: 90")
    async with refusing(half, 0.0) as url, running(tmp_path, OPEN, upstream_url=url) as gateway:
        async with await Client.connect(gateway.port) as client:
            client.writer.write(get("/", f"Content-Length: {len(BODY)}", method="POST") + BODY)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                reply = await client.reply()
                assert reply.status == 413
                assert not reply.whole
        await settled(gateway)
