"""Answers that are not quite right, which peers pass on and which can be framed in one way: they pass."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.response_parser import one_length
from tests.support.running import running
from tests.support.settling import OPEN, settled
from tests.support.wire import OK, Client, Received, Script, Upstream, get

REASONS = {
    "UTF-8": "404 Nicht gefunden – ü".encode(),
    "Latin-1": "404 Non trouvé".encode("latin-1"),
    "tab": b"404 Not\tFound",
    "none": b"404 ",
}


@pytest.mark.parametrize("line", REASONS.values(), ids=REASONS.keys())
async def test_a_reason_phrase_in_any_language(tmp_path: Path, line: bytes) -> None:
    answer = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nok" % line
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                reply = await client.ask(get("/"))
                assert (reply.status, reply.body) == (404, b"ok")
                assert reply.head.startswith(b"HTTP/1.1 %b\r\n" % line)
        assert gateway.upstream.connections == 1


HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTHS = {
    "twice": HEAD + b"Content-Length: 2\r\nX-A: b\r\ncontent-length:2 \r\n\r\nok",
    "three times": HEAD + b"Content-Length: 2\r\n" * 3 + b"X-A: b\r\n\r\nok",
    "as a list": HEAD + b"Content-Length: 2, 2\r\nX-A: b\r\n\r\nok",
    "behind a 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    + HEAD
    + b"Content-Length: 2\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok",
}


@pytest.mark.parametrize("pieces", [1, 1000], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("answer", LENGTHS.values(), ids=LENGTHS.keys())
async def test_a_duplicated_equal_content_length(tmp_path: Path, answer: bytes, pieces: int) -> None:
    """RFC 9112 section 6.3 rule 5: one valid value. Towards the client it stands there once."""
    upstream = Upstream(script=in_pieces(answer, pieces))
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                reply = await client.ask(get("/"))
                if b"103" in answer:
                    assert (reply.status, reply.get("link")) == (103, "</a>")
                    reply = await client.reply()
                assert (reply.status, reply.body, reply.get("x-a")) == (200, b"ok", "b")
                assert reply.all("content-length") == ["2"]
        assert upstream.connections == 1
        await settled(gateway)


INTERIM = {
    "103 with a length": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </a>\r\n\r\n",
    "103 with two": b"HTTP/1.1 103 Early Hints\r\n" + b"Content-Length: 5\r\n" * 2 + b"Link: </a>\r\n\r\n",
    "102 with a length": b"HTTP/1.1 102 Processing\r\nContent-Length: 0\r\n\r\n",
    "102 chunked": b"HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n",
    "103 in UTF-8": "HTTP/1.1 103 Frühe Hinweise\r\nLink: </a>\r\n\r\n".encode(),
}


@pytest.mark.parametrize("pieces", [1, 1000], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM.keys())
async def test_a_length_in_an_interim_answer_means_nothing(
    tmp_path: Path, interim: bytes, pieces: int
) -> None:
    """RFC 9112 section 6.3 rule 1: a 1xx "is always terminated by the first empty line after the header
    fields, regardless of the header fields present"."""
    upstream = Upstream(script=in_pieces(interim + OK, pieces))
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                first = await client.ask(get("/"))
                assert first.status == int(interim.split(b" ")[1])
                assert first.all("content-length") == first.all("transfer-encoding") == []
                assert (await client.reply()).body == b"ok"
        assert upstream.connections == 1


def in_pieces(answer: bytes, pieces: int) -> Script:
    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = max(1, len(answer) // pieces)
        for at in range(0, len(answer), size):
            writer.write(answer[at : at + size])
            if pieces > 1:
                await asyncio.sleep(0)

    return script


LINES = [b"Content-Length: 5", b"content-length: 5, 5", b"Content-Length: 6", b"X: y", b"", b"body"]


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_what_follows_the_head_is_never_touched(lines: list[bytes]) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(lines)
    head, whole, rest = raw.partition(b"\r\n\r\n")
    repaired = one_length(raw)
    if not whole:
        assert repaired == b""
    elif b"5" in head and b"6" in head:
        assert repaired is None
    elif repaired is not None:
        assert repaired.partition(b"\r\n\r\n")[2] == rest
        assert repaired.partition(b"\r\n\r\n")[0].count(b"Content-Length: 5") <= 1
