"""An upstream that breaks the rules: a clean 502 or 504, or a visible cut; no byte of it goes elsewhere."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.settling import OPEN, settled
from tests.support.waiting import Lag, until
from tests.support.wire import OK, Client, Received, Script, Upstream, get, once


def saying(data: bytes, *, close: bool = False, reset: bool = False, pause: float = 0) -> Script:
    """An upstream that answers each request with these bytes."""

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(pause)
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif close:
            writer.close()

    return script


H = b"HTTP/1.1 200 OK\r\n"
BROKEN_HEADS = {
    "CL and TE": H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": H + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two CL": H + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "CL +2": H + b"Content-Length: +2\r\n\r\nok",
    "CL 2,3": H + b"Content-Length: 2,3\r\n\r\nok!",
    "CL 2, 02": H + b"Content-Length: 2\r\nContent-Length: 02\r\n\r\nok",
    "three CL": H + b"Content-Length: 2\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "CL, folded": H + b"Content-Length: 2\r\nContent-Length: 2\r\n 3\r\n\r\nok!",
    "CL twice and TE": H + b"Content-Length: 2\r\n" * 2 + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CL empty": H + b"Content-Length:\r\n\r\n",
    "TE gzip, chunked": H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE identity": H + b"Transfer-Encoding: identity\r\n\r\nok",
    "CR in a header": H + b"X-A: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "LF in a header": H + b"X-A: a\nSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
    "NUL in a header": H + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "folded header": H + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "space before colon": H + b"Content-Length : 2\r\n\r\nok",
    "no colon": H + b"nonsense\r\nContent-Length: 2\r\n\r\nok",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
    "escape in the reason": b"HTTP/1.1 200 O\x1bK\r\nContent-Length: 2\r\n\r\nok",
    "status 99": b"HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\nok" + OK,
    "status 1000": b"HTTP/1.1 1000 No\r\nContent-Length: 2\r\n\r\nok",
    "status of letters": b"HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nok",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\n\r\nraw",
    "101 with upgrade": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw",
    "one huge header": H + b"X-A: " + b"a" * 200_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "many headers": H + b"X-A: aaaaaaaaaa\r\n" * 20_000 + b"\r\n",
    "endless 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 5000,
}  # fmt: skip


@pytest.mark.parametrize("answer", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
async def test_a_broken_head_is_a_502_of_ours(tmp_path: Path, answer: bytes) -> None:
    upstream = Upstream(script=saying(answer))
    async with running(tmp_path, OPEN, upstream=upstream, upstream_lines="response_timeout: 20s") as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/"))
            while reply.status == 103:
                reply = await client.reply()
            assert reply.status == 502
            assert reply.get("content-type") == "application/problem+json"
            assert b"evil" not in reply.head + reply.body
            upstream.script = None
            assert (await client.ask(get("/"))).body == b"ok"
        await settled(gateway)
        assert gateway.worker.metrics.upstream_errors == {"upstream_broken": 1}


CUT = {
    "short body": saying(H + b"Content-Length: 10\r\n\r\n12345", close=True),
    "short body, reset": saying(H + b"Content-Length: 10\r\n\r\n12345", reset=True, pause=0.02),
    "no last chunk": saying(H + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", close=True),
    "cut inside a chunk": saying(H + b"Transfer-Encoding: chunked\r\n\r\n9\r\n12345", close=True),
    "garbage for a chunk": saying(H + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n", pause=0.01),
    "until close, reset": saying(H + b"\r\n12345", reset=True, pause=0.02),
    "silence inside the body": saying(H + b"Content-Length: 10\r\n\r\n12345"),
}


@pytest.mark.parametrize("http10", [False, True])
@pytest.mark.parametrize("script", CUT.values(), ids=CUT.keys())
async def test_an_answer_cut_short_never_looks_whole(tmp_path: Path, script: Script, http10: bool) -> None:
    async with running(
        tmp_path, OPEN, upstream=Upstream(script=script), upstream_lines="idle_timeout: 100ms"
    ) as gateway:
        request = b"GET / HTTP/1.0\r\n\r\n" if http10 else get("/")
        async with await Client.connect(gateway.port) as client:
            await client.send(request)
            data, reset = b"", False
            try:
                while piece := await asyncio.wait_for(client.reader.read(1000), 20):
                    data += piece
                    if data.startswith(b"HTTP/1.1 502"):
                        return
            except ConnectionResetError:
                reset = True
        # The end is a reset, or the framing says that there was to be more.
        assert not data.endswith(b"0\r\n\r\n")
        assert reset or b"Content-Length: 10\r\n" in data or b"chunked" in data
        await settled(gateway)


@pytest.mark.parametrize("moment", ["head", "nothing"])
async def test_a_reset_before_the_head_is_a_502(tmp_path: Path, moment: str) -> None:
    script = saying(b"HTTP/1.1 20" if moment == "head" else b"", reset=True, pause=0.01)
    async with running(tmp_path, OPEN, upstream=Upstream(script=script)) as gateway:
        assert (await once(gateway.port, get("/"))).status == 502
        await settled(gateway)


async def test_bytes_behind_an_answer_never_reach_anybody(tmp_path: Path) -> None:
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    upstream = Upstream(script=saying(OK + extra))
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as one, await Client.connect(gateway.port) as two:
            for client in (one, two, one, two):
                assert (await client.ask(get("/"))).body == b"ok"
        assert upstream.connections == 4
        await settled(gateway)


async def test_an_unrequested_response_closes_the_idle_connection(tmp_path: Path) -> None:
    async def late(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(OK.replace(b"ok", b"no"))

    async with running(tmp_path, OPEN, upstream=Upstream(script=late)) as gateway:
        for _ in range(3):
            assert (await once(gateway.port, get("/"))).body == b"ok"
            await until(lambda: gateway.worker.app.pool.open == 0)


async def test_a_head_answer_with_a_body_does_not_poison_the_next(tmp_path: Path) -> None:
    upstream = Upstream(script=saying(H + b"Content-Length: 6\r\n\r\npoison"))
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                reply = await client.ask(get("/", method="HEAD"), method="HEAD")
                assert (reply.status, reply.get("content-length")) == (200, "6")
            upstream.script = None
            assert (await client.ask(get("/"))).body == b"ok"


async def test_silence_is_a_504(tmp_path: Path) -> None:
    async def silent(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with running(
        tmp_path, OPEN, upstream=Upstream(script=silent), upstream_lines="response_timeout: 150ms"
    ) as gateway:
        began = time.monotonic()
        async with Lag() as lag:
            assert (await once(gateway.port, get("/"))).status == 504
        assert time.monotonic() - began - lag.seconds < 20  # by default it is 60 s
        await settled(gateway)
        await until(lambda: gateway.upstream.open == 0)


async def test_connection_refused_is_a_502(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: a connection to it is refused.
        taken.bind(("127.0.0.1", 0))
        upstream = Upstream()
        async with running(tmp_path, OPEN, upstream=upstream) as gateway:
            object.__setattr__(gateway.worker.app.config.upstream, "port", taken.getsockname()[1])
            assert (await once(gateway.port, get("/"))).status == 502
            assert gateway.worker.metrics.upstream_errors == {"upstream_unreachable": 1}
            await settled(gateway)


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        (get("/"), 2),
        (get("/", method="DELETE"), 2),
        (get("/", "Content-Length: 2", method="PUT") + b"ab", 2),
        (get("/", "Content-Length: 2", method="POST") + b"ab", 1),
        (get("/", method="POST"), 1),
        (get("/", "Content-Length: 2", method="PATCH") + b"ab", 1),
    ],
)
async def test_only_repeatable_requests_are_retried(tmp_path: Path, request_: bytes, times: int) -> None:
    """The kept-alive connection dies just as the request is on its way."""
    seen: list[bytes] = []

    async def dying(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(received.target)
        if len(seen) == 2:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with running(tmp_path, OPEN, upstream=Upstream(script=dying)) as gateway:
        assert (await once(gateway.port, get("/first"))).status == 200
        reply = await once(gateway.port, request_)
        assert reply.status == (200 if times == 2 else 502)
        assert len(seen) == 1 + times
        await settled(gateway)


async def test_a_head_answer_that_names_a_length_does_not_swallow_the_next(tmp_path: Path) -> None:
    async def correct(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:-2] if received.head.startswith(b"HEAD") else OK)

    async with running(tmp_path, OPEN, upstream=Upstream(script=correct)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                reply = await client.ask(get("/", method="HEAD"), method="HEAD")
                assert (reply.status, reply.get("content-length")) == (200, "2")
                assert (await client.ask(get("/"))).body == b"ok"
