"""Framing from hostile clients: where a request ends is never in doubt, and a doubt ends the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.running import Running, running
from tests.support.waiting import until
from tests.support.wire import Client, Reply, get, once

HOST = b"Host: api.test\r\n"
# What every attack below tries to get through as a request of its own. MARK must not be echoed.
SMUGGLED = b"GET /public/smuggled HTTP/1.1\r\n" + HOST + b"X-Mark: MARK\r\n\r\n"


@contextlib.asynccontextmanager
async def gateway_of(tmp_path: Path, listen_lines: str = "") -> AsyncIterator[Running]:
    """`/public/**` is open, everything else needs a token; nothing that happens may reach the error log."""
    yaml = "routes: [{path: '/public/**', auth: none}]\n"
    async with running(tmp_path, yaml, listen_lines=listen_lines) as gateway:
        yield gateway
    assert [each for each in gateway.log() if each["event"] == "log"] == []


async def everything(client: Client) -> list[Reply]:
    """All answers until the gateway closes the connection."""
    replies = []
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            replies.append(await client.reply())
    return replies


def is_ours(reply: Reply) -> bool:
    """A refusal of this gateway: RFC 9457, no software named, nothing of the request in it."""
    assert reply.head.startswith(b"HTTP/1.1 ")
    assert reply.get("content-type") == "application/problem+json"
    assert reply.get("server") is None
    assert json.loads(reply.body)["status"] == reply.status
    everything = (reply.head + reply.body).lower()
    assert not any(word in everything for word in (b"mark", b"aiohttp", b"python", b"cognito-gateway/"))
    return True


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    head = b"POST /public/mark HTTP/" + version + b"\r\n" + HOST
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def line(request_line: bytes, *lines: bytes) -> bytes:
    return request_line + b"\r\n" + HOST + b"".join(each + b"\r\n" for each in lines) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"

REFUSED = {
    # two framings
    "CL and TE": post(b"Content-Length: 5", CHUNKED, body=LAST + SMUGGLED),
    "TE and CL": post(CHUNKED, b"Content-Length: 5", body=LAST + SMUGGLED),
    "CL 0 and TE": post(b"Content-Length: 0", CHUNKED, body=SMUGGLED),
    "two different CL": post(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
    "two equal CL": post(b"Content-Length: 2", b"Content-Length: 2", body=b"ok" + SMUGGLED),
    "two TE": post(CHUNKED, CHUNKED, body=LAST + SMUGGLED),
    "two TE, identity first": post(b"Transfer-Encoding: identity", CHUNKED, body=LAST + SMUGGLED),
    # Content-Length that is no run of digits
    "CL +3": post(b"Content-Length: +3", body=b"abc" + SMUGGLED),
    "CL -1": post(b"Content-Length: -1", body=SMUGGLED),
    "CL 3,3": post(b"Content-Length: 3,3", body=b"abc" + SMUGGLED),
    "CL 3 3": post(b"Content-Length: 3 3", body=b"abc" + SMUGGLED),
    "CL 0x3": post(b"Content-Length: 0x3", body=b"abc" + SMUGGLED),
    "CL 3.0": post(b"Content-Length: 3.0", body=b"abc" + SMUGGLED),
    "CL 1_0": post(b"Content-Length: 1_0", body=b"0123456789" + SMUGGLED),
    "CL empty": post(b"Content-Length:", body=SMUGGLED),
    "CL in Arabic digits": post(b"Content-Length: \xd9\xa3", body=b"abc" + SMUGGLED),
    "CL quoted": post(b'Content-Length: "3"', body=b"abc" + SMUGGLED),
    "CL beyond 64 bits": post(b"Content-Length: 99999999999999999999999", body=SMUGGLED),
    "CL of 5000 digits": post(b"Content-Length: " + b"9" * 5000, body=SMUGGLED),
    "CL with vertical tab": post(b"Content-Length: \x0b3", body=b"abc" + SMUGGLED),
    "CL space before colon": post(b"Content-Length : 3", body=b"abc" + SMUGGLED),
    # Transfer-Encoding that is not `chunked`
    "TE space before colon": post(b"Transfer-Encoding : chunked", body=LAST + SMUGGLED),
    "TE tab before colon": post(b"Transfer-Encoding\t: chunked", body=LAST + SMUGGLED),
    "TE xchunked": post(b"Transfer-Encoding: xchunked", body=LAST + SMUGGLED),
    "TE chunkedx": post(b"Transfer-Encoding: chunkedx", body=LAST + SMUGGLED),
    "TE gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=LAST + SMUGGLED),
    "TE chunked, gzip": post(b"Transfer-Encoding: chunked, gzip", body=LAST + SMUGGLED),
    "TE chunked, chunked": post(b"Transfer-Encoding: chunked, chunked", body=LAST + SMUGGLED),
    "TE identity": post(b"Transfer-Encoding: identity", body=SMUGGLED),
    "TE empty": post(b"Transfer-Encoding:", body=SMUGGLED),
    "TE quoted": post(b'Transfer-Encoding: "chunked"', body=LAST + SMUGGLED),
    "TE with vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=LAST + SMUGGLED),
    "TE with a parameter": post(b"Transfer-Encoding: chunked;q=1", body=LAST + SMUGGLED),
    "TE with Kelvin sign": post(b"Transfer-Encoding: chun\xe2\x84\xaaed", body=LAST + SMUGGLED),
    "TE in HTTP/1.0": post(CHUNKED, version=b"1.0", body=LAST + SMUGGLED),
    "TE in HTTP/1.0 with keep-alive": post(
        CHUNKED, b"Connection: keep-alive", version=b"1.0", body=LAST + SMUGGLED
    ),
    # lines
    "obs-fold": post(b"X-Mark: a", b" b", b"Content-Length: 0") + SMUGGLED,
    "obs-fold of TE": post(b"Transfer-Encoding:", b" chunked", body=LAST + SMUGGLED),
    "first header folded": b"GET /public/ HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n",
    "bare LF everywhere": b"GET /public/mark HTTP/1.1\nHost: api.test\n\n",
    "bare LF in the head": b"GET /public/mark HTTP/1.1\r\nHost: api.test\nX-Mark: 1\r\n\r\n",
    "bare LF ends the head": b"GET /public/mark HTTP/1.1\r\nHost: api.test\r\n\n" + SMUGGLED,
    "bare CR in a value": line(b"GET /public/ HTTP/1.1", b"X-Mark: a\rX-Mark: b"),
    "bare CR ends a line": b"GET /public/mark HTTP/1.1\rHost: api.test\r\r",
    "CR CR LF": b"GET /public/mark HTTP/1.1\r\r\nHost: api.test\r\n\r\n",
    "NUL in a value": line(b"GET /public/ HTTP/1.1", b"X-Mark: a\0b"),
    "NUL in a name": line(b"GET /public/ HTTP/1.1", b"X-Ma\0rk: a"),
    "NUL in the target": line(b"GET /public/\0mark HTTP/1.1"),
    "DEL in a value": line(b"GET /public/ HTTP/1.1", b"X-Mark: a\x7fb"),
    "escape in a value": line(b"GET /public/ HTTP/1.1", b"X-Mark: \x1b[2J"),
    "no colon": line(b"GET /public/ HTTP/1.1", b"X-Mark"),
    "no name": line(b"GET /public/ HTTP/1.1", b": mark"),
    "name with a space": line(b"GET /public/ HTTP/1.1", b"X Mark: a"),
    "name with a bracket": line(b"GET /public/ HTTP/1.1", b"X(Mark): a"),
    "name not ASCII": line(b"GET /public/ HTTP/1.1", b"X-M\xc3\xa4rk: a"),
    # Host
    "no Host": b"GET /public/mark HTTP/1.1\r\n\r\n",
    "two Hosts": line(b"GET /public/mark HTTP/1.1", b"Host: api.test"),
    "two different Hosts": line(b"GET /public/mark HTTP/1.1", b"Host: other.test"),
    "Host with a space": b"GET /public/mark HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host list": b"GET /public/mark HTTP/1.1\r\nHost: a,b\r\n\r\n",
    "Host with a path": b"GET /public/mark HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with userinfo": b"GET /public/mark HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "Host with a query": b"GET /public/mark HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "Host with a fragment": b"GET /public/mark HTTP/1.1\r\nHost: a#b\r\n\r\n",
    "Host with a quote": b'GET /public/mark HTTP/1.1\r\nHost: a"b\r\n\r\n',
    "Host with a semicolon": b"GET /public/mark HTTP/1.1\r\nHost: a;b\r\n\r\n",
    "Host not ASCII": b"GET /public/mark HTTP/1.1\r\nHost: \xc3\xa9.test\r\n\r\n",
    "Host with a word as port": b"GET /public/mark HTTP/1.1\r\nHost: api.test:http\r\n\r\n",
    "Host with a port there is none of": b"GET /public/mark HTTP/1.1\r\nHost: api.test:65536\r\n\r\n",
    # request lines
    "HTTP/0.9": b"GET /public/mark\r\n\r\n",
    "HTTP/1.2": line(b"GET /public/mark HTTP/1.2"),
    "HTTP/2.0": line(b"GET /public/mark HTTP/2.0"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "http/1.1 in lower case": line(b"GET /public/mark http/1.1"),
    "HTTP/1.10": line(b"GET /public/mark HTTP/1.10"),
    "HTTP/11": line(b"GET /public/mark HTTP/11"),
    "no target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab as space": line(b"GET\t/public/mark\tHTTP/1.1"),
    "space in the target": line(b"GET /public/a mark HTTP/1.1"),
    "target not ASCII": line("GET /public/märk HTTP/1.1".encode()),
    "fragment": line(b"GET /public/mark#x HTTP/1.1"),
    "TLS ClientHello": bytes.fromhex("1603010200010001fc0303") + bytes(range(64)),
    "words": b"mark mark mark\r\n\r\n",
    "colons": b":::::\r\n\r\n",
    "SSH": b"SSH-2.0-mark\r\n",
    # forms of the target
    "absolute form, other host": line(b"GET http://mark.test/public/ HTTP/1.1"),
    "absolute form, other port": line(b"GET http://api.test:81/public/ HTTP/1.1"),
    "absolute form, userinfo": line(b"GET http://u:mark@api.test/public/ HTTP/1.1"),
    "absolute form, no host": line(b"GET http:///public/mark HTTP/1.1"),
    "absolute form, ftp": line(b"GET ftp://api.test/public/mark HTTP/1.1"),
    "absolute form, backslash": line(b"GET http:\\\\api.test/public/mark HTTP/1.1"),
    "authority form": line(b"GET api.test:80 HTTP/1.1"),
    "relative": line(b"GET public/mark HTTP/1.1"),
    "OPTIONS *": line(b"OPTIONS * HTTP/1.1"),
    "GET *": line(b"GET * HTTP/1.1"),
    # methods
    "CONNECT": b"CONNECT mark.test:443 HTTP/1.1\r\nHost: mark.test:443\r\n\r\n" + SMUGGLED,
    "CONNECT to a path": line(b"CONNECT /public/mark HTTP/1.1") + SMUGGLED,
    "TRACE": line(b"TRACE /public/mark HTTP/1.1"),
    "get": line(b"get /public/mark HTTP/1.1"),
    "Get": line(b"Get /public/mark HTTP/1.1"),
    "method with a bracket": line(b"GE(T /public/mark HTTP/1.1"),
    "very long method": line(b"A" * 100_000 + b" /public/mark HTTP/1.1"),
}  # fmt: skip


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
async def test_a_doubtful_head_is_refused_and_ends_the_connection(tmp_path: Path, sent: bytes) -> None:
    async with gateway_of(tmp_path, "header_timeout: 300ms") as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(sent)
            replies = await everything(client)
        # Requests that came whole before the doubt may have been served; here there is none.
        assert [reply.status in {400, 405, 408, 413, 431, 505} for reply in replies] == [True]
        assert is_ours(replies[0])
        assert replies[0].get("connection") == "close"
        assert gateway.upstream.requests == []
        assert gateway.upstream.connections == 0


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
async def test_byte_by_byte_makes_no_difference(tmp_path: Path, sent: bytes) -> None:
    async with gateway_of(tmp_path, "header_timeout: 300ms") as gateway:
        async with await Client.connect(gateway.port) as client:
            for at in range(min(len(sent), 400)):
                await client.send(sent[at : at + 1])
                if at % 16 == 0:
                    await asyncio.sleep(0)
            await client.send(sent[400:])
            replies = await everything(client)
        assert [reply.status in {400, 405, 408, 413, 431, 505} for reply in replies] == [True]
        assert is_ours(replies[0])
        assert gateway.upstream.requests == []


BROKEN_BODIES = {
    "no size": b"\r\n" + SMUGGLED,
    "letters": b"xyz\r\nMARK\r\n0\r\n\r\n",
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "size with +": b"+3\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "size with -": b"-1\r\n\r\n" + SMUGGLED,
    "space before the size": b" 3\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "space behind the size": b"3 \r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "underscore in the size": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n" + SMUGGLED,
    "no CRLF behind a chunk": b"3\r\nabc0\r\n\r\n" + SMUGGLED,
    "LF behind a chunk": b"3\r\nabc\n0\r\n\r\n" + SMUGGLED,
    "LF behind a size": b"3\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "LF in an extension": b"3;a=b\nc\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "CR in an extension": b"3;a=b\rc\r\nabc\r\n0\r\n\r\n" + SMUGGLED,
    "LF behind the last chunk": b"0\n\n" + SMUGGLED,
    "trailer folded": b"0\r\nX-Mark: a\r\n b\r\n\r\n" + SMUGGLED,
    "trailer without colon": b"0\r\nMARK\r\n\r\n" + SMUGGLED,
    "trailer with a space before the colon": b"0\r\nX-Mark : a\r\n\r\n" + SMUGGLED,
    "request as trailer": b"0\r\n" + SMUGGLED,
    "endless trailers": b"0\r\n" + b"X-Mark: a\r\n" * 5000 + b"\r\n" + SMUGGLED,
    "one endless trailer": b"0\r\nX-Mark: " + b"a" * 200_000 + b"\r\n\r\n" + SMUGGLED,
}  # fmt: skip


@pytest.mark.parametrize("piece", [10**9, 1000])
@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_a_broken_chunked_body_ends_the_connection(tmp_path: Path, body: bytes, piece: int) -> None:
    sent = post(CHUNKED) + body
    async with gateway_of(tmp_path) as gateway:
        async with await Client.connect(gateway.port) as client:
            for at in range(0, len(sent), piece):
                await client.send(sent[at : at + piece])
            replies = await everything(client)
        assert len(replies) <= 1
        for reply in replies:
            assert reply.status in {400, 431, 408}
            assert is_ours(reply)
            assert reply.get("connection") == "close"
        # Nothing smuggled; and what went ahead of the doubt is cut off, not ended.
        assert [each.target for each in gateway.upstream.requests] in ([], [b"/public/mark"])
        assert [each.body for each in gateway.upstream.requests] in ([], [b""])
        await until(lambda: gateway.upstream.open == 0)


@pytest.mark.parametrize("queued", [True, False])
async def test_a_body_that_breaks_while_another_request_is_served(tmp_path: Path, queued: bool) -> None:
    """The doubt is remembered until its request's turn comes, and is not sent to the upstream."""
    async with gateway_of(tmp_path) as gateway:
        async with await Client.connect(gateway.port) as client:
            first = get("/public/first") if queued else b""
            await client.send(first + post(CHUNKED) + b"3\r\nabc\r\n")
            await client.send(b"zz\r\n" + SMUGGLED)
            replies = await everything(client)
        assert len(replies) <= 1 + queued
        assert b"/public/smuggled" not in [each.target for each in gateway.upstream.requests]
        await until(lambda: gateway.upstream.open <= 1 and gateway.worker.metrics.requests_in_flight == 0)


@pytest.mark.parametrize(
    ("sent", "target"),
    [
        (b"\r\n\r\n" + get("/public/a"), b"/public/a"),
        (line(b"GET http://api.test/public/b?c HTTP/1.1"), b"/public/b?c"),
        (line(b"GET HTTP://API.test/public/b HTTP/1.1"), b"/public/b"),
        (line(b"OPTIONS /public/x HTTP/1.1"), b"/public/x"),
        (line(b"PROPFIND /public/x HTTP/1.1"), b"/public/x"),
        (line(b"GET /public/?a=//x/../y;z\\{}|\"<>^` HTTP/1.1"), b"/public/?a=//x/../y;z\\{}|\"<>^`"),
        (b"GET /public/a HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", b"/public/a"),
        (b"GET /public/a HTTP/1.1\r\nHost:\r\n\r\n", b"/public/a"),
        (b"GET /public/a HTTP/1.0\r\n\r\n", b"/public/a"),
        (post(b"Content-Length:   3  ", body=b"abc"), b"/public/mark"),
        (post(b"transfer-encoding: Chunked", body=b"3\r\nabc\r\n" + LAST), b"/public/mark"),
        (line(b"GET /public/a HTTP/1.1", b"X-Latin: \xe9", b"X-Tab: a\tb", b"X-Empty:"), b"/public/a"),
    ],
)  # fmt: skip
async def test_unusual_but_unambiguous_framing_passes(tmp_path: Path, sent: bytes, target: bytes) -> None:
    async with gateway_of(tmp_path) as gateway:
        reply = await once(gateway.port, sent)
        assert reply.status == 200
        assert gateway.upstream.last.target == target
        assert len(gateway.upstream.requests) == 1


async def test_a_body_that_looks_like_a_request_stays_a_body(tmp_path: Path) -> None:
    async with gateway_of(tmp_path) as gateway, await Client.connect(gateway.port) as client:
        for framed in (
            post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
            post(CHUNKED, body=b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST),
            get("/public/mark", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
            get("/public/mark", f"Content-Length: {len(SMUGGLED)}", method="DELETE") + SMUGGLED,
        ):
            assert (await client.ask(framed)).status == 200
            assert gateway.upstream.last.target == b"/public/mark"
            assert gateway.upstream.last.body == SMUGGLED


async def test_a_refused_requests_body_is_discarded(tmp_path: Path) -> None:
    """A body that nobody reads must not be read as the next request."""
    async with gateway_of(tmp_path) as gateway:
        for framing in (b"Content-Length: %d" % len(SMUGGLED), CHUNKED):
            async with await Client.connect(gateway.port) as client:
                head = b"POST /private HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n"
                await client.send(head)
                await asyncio.sleep(0.01)
                await client.send(SMUGGLED)
                replies = await everything(client)
                assert [reply.status for reply in replies] == [401]
        assert gateway.upstream.requests == []


async def test_an_upgrade_with_a_body_hides_no_request(tmp_path: Path) -> None:
    """aiohttp CVE-2026-69243: bytes behind an upgrade request that is refused are no request."""
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    async with gateway_of(tmp_path) as gateway:
        counted = b"Content-Length: %d" % len(SMUGGLED)
        for sent in (
            line(b"GET /public/mark HTTP/1.1", *upgrade, counted) + SMUGGLED,
            line(b"GET /public/mark HTTP/1.1", *upgrade, CHUNKED) + LAST + SMUGGLED,
            line(b"GET /public/mark HTTP/1.1", *upgrade) + SMUGGLED,
            line(b"POST /public/mark HTTP/1.1", *upgrade, counted) + SMUGGLED,
        ):
            async with await Client.connect(gateway.port) as client:
                await client.send(sent)
                replies = await everything(client)
            assert len(replies) == 1
        assert b"/public/smuggled" not in [each.target for each in gateway.upstream.requests]


@pytest.mark.parametrize("protocol", [b"h2c", b"tcp", b"TLS/1.2", b"h2c, websocket"])
@pytest.mark.parametrize("piece", [10**9, 7])
async def test_behind_an_upgrade_that_is_ignored_the_next_request_begins_where_the_body_ends(
    tmp_path: Path, protocol: bytes, piece: int
) -> None:
    """RFC 9110 section 7.8. Java's HttpClient offers h2c with every request, Apache's TLS/1.2."""
    lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABk")
    counted = b"Content-Length: %d" % len(SMUGGLED)
    chunk = b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)
    sent = (
        line(b"GET /public/1 HTTP/1.1", *lines)
        + line(b"GET /public/2 HTTP/1.1", *lines, counted)
        + SMUGGLED
        + line(b"POST /public/3 HTTP/1.1", *lines, CHUNKED)
        + chunk
        + LAST
        + line(b"POST /public/4 HTTP/1.1", *lines, b"Content-Length: 0")
        + line(b"GET /public/5 HTTP/1.1")
    )
    async with gateway_of(tmp_path) as gateway, await Client.connect(gateway.port) as client:
        for at in range(0, len(sent), piece):
            await client.send(sent[at : at + piece])
        replies = [await client.reply() for _ in range(5)]
        assert [(reply.status, reply.get("connection")) for reply in replies] == [(200, None)] * 5
        seen = [(each.target, each.body) for each in gateway.upstream.requests]
        bodies = [b"", SMUGGLED, SMUGGLED, b"", b""]
        assert seen == [(b"/public/%d" % number, body) for number, body in enumerate(bodies, 1)]
        assert {each.get("Upgrade") for each in gateway.upstream.requests} == {None}


async def test_ten_thousand_tiny_chunks_arrive(tmp_path: Path) -> None:
    async with gateway_of(tmp_path) as gateway:
        body = b"1\r\na\r\n" * 10_000 + LAST
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(post(CHUNKED, body=body))
            assert reply.status == 200
        assert gateway.upstream.last.body == b"a" * 10_000


async def test_trailers_and_extensions_go_no_further(tmp_path: Path) -> None:
    async with gateway_of(tmp_path) as gateway:
        body = b"3;ext=1\r\nabc\r\n0;x\r\nX-Auth-Request-User: mallory\r\n\r\n"
        async with await Client.connect(gateway.port) as client:
            for _ in range(2):
                assert (await client.ask(post(CHUNKED, body=body))).status == 200
                assert gateway.upstream.last.body == b"abc"
                assert gateway.upstream.last.get("X-Auth-Request-User") is None


async def test_a_refusal_after_good_requests_is_answered_in_order(tmp_path: Path) -> None:
    async with gateway_of(tmp_path) as gateway:
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/public/1"))
            assert (await client.reply()).status == 200
            await client.send(b"MARK\r\n\r\n" + SMUGGLED)
            replies = await everything(client)
        assert [reply.status for reply in replies] == [400]
        assert len(gateway.upstream.requests) == 1
