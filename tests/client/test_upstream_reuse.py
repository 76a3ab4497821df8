"""Which connections to the upstream are used again, and what ports are left behind by those that are not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.settling import OPEN, settled
from tests.support.tunnels import UPGRADE, echo
from tests.support.upstreams import gunicorn, http_server, node, uvicorn, waiting_ports
from tests.support.waiting import PATIENCE, Lag, until
from tests.support.wire import OK, Client, Received, Upstream, get, read_body

RealServer = Callable[[Path], AbstractAsyncContextManager[int]]
HEAD = get("/", method="HEAD")
# What a careful upstream sends: the head of the answer that a GET would get.
BODYLESS = {
    "HEAD, length": (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    "HEAD, chunked": (HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "HEAD, neither": (HEAD, b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n"),
    "HEAD, 1.0": (HEAD, b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 9\r\n\r\n"),
    "304, length": (get("/"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    "304, neither": (get("/"), b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
    "204": (get("/"), b"HTTP/1.1 204 No Content\r\n\r\n"),
}
CLOSED = {
    "HEAD, close": (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: foo, Close\r\n\r\n"),
    "HEAD, 1.0": (HEAD, b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n"),
    "304, close": (get("/"), b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"),
    "204, length": (get("/"), b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"),
}


@pytest.mark.parametrize(("request_", "answer"), BODYLESS.values(), ids=BODYLESS.keys())
async def test_answers_without_a_body_keep_their_connection(
    tmp_path: Path, request_: bytes, answer: bytes
) -> None:
    upstream = Upstream(answer=answer)
    async with running(tmp_path, OPEN, upstream=upstream) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(12):
                reply = await client.ask(request_, method=request_.split(b" ")[0].decode())
                assert reply.status == int(answer.split(b" ")[1])
                # It rests a moment, for a careless upstream would send its body now.
                await asyncio.sleep(0.03)
            upstream.answer = OK
            assert (await client.ask(get("/"))).body == b"ok"
        assert upstream.connections <= 3, "a busy machine may be late to end a rest"
        await settled(gateway)


@pytest.mark.parametrize(("request_", "answer"), CLOSED.values(), ids=CLOSED.keys())
async def test_those_that_close_or_contradict_themselves_do_not(
    tmp_path: Path, request_: bytes, answer: bytes
) -> None:
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer)) as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                await client.ask(request_, method=request_.split(b" ")[0].decode())
        assert gateway.upstream.connections == 3
        await until(lambda: gateway.upstream.open == 0)


@pytest.fixture
def long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may send what the upstream wrote after 5 ms later than the usual 20 ms."""
    monkeypatch.setattr("gateway.upstream.connection_pool._REST", PATIENCE)


@pytest.mark.usefixtures("long_rest")
@pytest.mark.parametrize("delay", [0.0, 0.005])
async def test_a_body_behind_a_head_that_forbids_it_closes_the_connection(
    tmp_path: Path, delay: float
) -> None:
    """A careless upstream; the attacker chose the body: it must not become another client's response."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

    async def careless(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not received.head.startswith(b"HEAD"):
            writer.write(OK)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(poison))
        await writer.drain()
        await asyncio.sleep(delay)
        writer.write(poison)

    async with running(tmp_path, OPEN, upstream=Upstream(script=careless)) as gateway:
        async with await Client.connect(gateway.port) as one, await Client.connect(gateway.port) as two:
            for _ in range(5):
                assert (await one.ask(HEAD, method="HEAD")).status == 200
                assert (await two.ask(get("/"))).body == b"ok"


async def test_heads_of_one_principal_follow_each_other_on_one_connection(tmp_path: Path) -> None:
    """Without a rest of 20 ms for each, in which only its own principal's bytes could come."""
    async with running(tmp_path, upstream=Upstream(answer=BODYLESS["HEAD, length"][1])) as gateway:
        head = get("/", gateway.bearer(), method="HEAD")
        async with await Client.connect(gateway.port) as client:
            for _ in range(40):
                assert (await client.ask(head, method="HEAD")).status == 200
                await asyncio.sleep(0.004)
        assert gateway.upstream.connections == 1


@pytest.mark.usefixtures("long_rest")
@pytest.mark.parametrize("delay", [0.0, 0.01])
async def test_a_late_body_reaches_no_other_principal(tmp_path: Path, delay: float) -> None:
    poison = b"HTTP/1.1 418 Poison\r\nContent-Length: 6\r\n\r\npoison"

    async def careless(received: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(poison))
        if received.target == b"/mine":
            await writer.drain()
            await asyncio.sleep(delay)
            writer.write(poison)

    async with running(tmp_path, upstream=Upstream(script=careless)) as gateway:
        mine = get("/mine", gateway.bearer(sub="attacker"), method="HEAD")
        theirs = get("/theirs", gateway.bearer(sub="victim"), method="HEAD")
        async with await Client.connect(gateway.port) as one, await Client.connect(gateway.port) as two:
            for _ in range(8):
                await one.ask(mine, method="HEAD")
                await asyncio.sleep(0.004)
                assert (await two.ask(theirs, method="HEAD")).status == 200


async def test_a_thousand_head_requests_and_disconnects_leave_no_port_in_time_wait(tmp_path: Path) -> None:
    """Each would wait for a minute; there are 28,000 to an upstream on another host."""
    async with Upstream(answer=BODYLESS["HEAD, length"][1]).running() as upstream:
        async with running(tmp_path, OPEN, upstream_url=upstream.url) as gateway:
            for _ in range(5):
                clients = [await Client.connect(gateway.port) for _ in range(8)]
                for client in clients:
                    for _ in range(5):
                        await client.ask(HEAD, method="HEAD")
                for client in clients:
                    await client.__aexit__()
            upstream.script = silent
            for number in range(40):
                async with await Client.connect(gateway.port) as client:
                    await client.send(get("/"))
                    await until(lambda so_far=number: len(upstream.requests) > 200 + so_far)  # type: ignore[misc]
            await settled(gateway)
        await until(lambda: upstream.open == 0)
        assert upstream.connections < 100
        assert waiting_ports(upstream.port) <= 8


async def silent(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()


# --- how long an idle one is used ---


@pytest.mark.parametrize(
    ("lines", "announced", "pause", "kept"),
    [
        ("", "", 0.2, True),
        ("keep_alive_timeout: 100ms", "", 0.5, False),
        ("keep_alive_timeout: 0s", "", 0.0, False),
        ("keep_alive_timeout: 100ms", "Keep-Alive: timeout=20", 0.5, True),
        ("keep_alive_timeout: 30s", "keep-alive: max=100, Timeout=1", 0.8, False),
        ("keep_alive_timeout: 100ms", "Keep-Alive: xtimeout=20", 0.5, False),
    ],
)
async def test_an_idle_connection_grows_old(
    tmp_path: Path, lines: str, announced: str, pause: float, kept: bool
) -> None:
    answer = OK.replace(b"\r\n\r\n", f"\r\n{announced}\r\n\r\n".encode()) if announced else OK
    async with running(tmp_path, OPEN, upstream=Upstream(answer=answer), upstream_lines=lines) as gateway:
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(get("/"))).body == b"ok"
            await asyncio.sleep(pause)
            assert (await client.ask(get("/"))).body == b"ok"
        assert gateway.upstream.connections == (1 if kept else 2)
        await settled(gateway)


@pytest.mark.engine
async def test_no_post_is_lost_to_node_closing_an_idle_connection(tmp_path: Path) -> None:
    """Node.js closes after a second here, and says `Keep-Alive: timeout=1`."""
    async with node(tmp_path, keep_alive=1000) as port:
        async with running(tmp_path, OPEN, upstream_url=f"http://127.0.0.1:{port}") as gateway:
            await post_now_and_then(gateway.port)
            async with await Client.connect(gateway.port) as client:
                for _ in range(3):
                    assert (await client.ask(get("/not-modified"))).status == 304


@pytest.mark.engine
@pytest.mark.parametrize("server", [gunicorn, uvicorn], ids=["gunicorn", "uvicorn"])
async def test_no_post_is_lost_to_a_server_that_closes_silently(tmp_path: Path, server: RealServer) -> None:
    """They close after a second here; by default gunicorn does after 2 s, and uvicorn after 5 s."""
    async with server(tmp_path) as port:
        url, lines = f"http://127.0.0.1:{port}", "keep_alive_timeout: 600ms"
        async with running(tmp_path, OPEN, upstream_url=url, upstream_lines=lines) as gateway:
            await post_now_and_then(gateway.port)


async def post_now_and_then(port: int) -> None:
    """With pauses around the second after which the upstream closes."""
    async with await Client.connect(port) as client:
        for wait in (0.0, 0.3, 0.58, 0.62, 0.9, 0.95, 1.0, 1.05, 1.1):
            await asyncio.sleep(wait)
            reply = await client.ask(get("/", "Content-Length: 2", method="POST") + b"ab")
            assert (reply.status, reply.body) == (200, b"POST 2")


@pytest.mark.parametrize("body", ["whole", "coming", "chunked"])
async def test_a_post_that_found_its_connection_closed_is_sent_again(tmp_path: Path, body: str) -> None:
    """The upstream closes while the request is on its way to us: nothing of it was written yet."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with running(tmp_path, OPEN, upstream_url=url) as gateway:
            async with await Client.connect(gateway.port) as client:
                await client.send(get("/first"))
                upstream, _ = await asyncio.wait_for(loop.sock_accept(listening), 20)
                for number in range(5):
                    await asked(upstream, b"GET", b"\r\n\r\n")
                    await loop.sock_sendall(upstream, OK)
                    assert (await client.reply()).body == b"ok"
                    framing = "Transfer-Encoding: chunked" if body == "chunked" else "Content-Length: 4"
                    head = get(f"/{number}", framing, method="POST")
                    rest = {"whole": b"", "coming": b"cd", "chunked": b"0\r\n\r\n"}[body]
                    first = {"whole": b"abcd", "coming": b"ab", "chunked": b"4\r\nabcd\r\n"}[body]
                    end = b"4\r\nabcd\r\n0\r\n\r\n" if body == "chunked" else b"\r\n\r\nabcd"
                    # In this order, and the event loop sees both at once.
                    client.writer.write(head + first)
                    upstream.close()
                    upstream, _ = await asyncio.wait_for(loop.sock_accept(listening), 20)
                    client.writer.write(rest)
                    await asked(upstream, b"POST", end)
                    await loop.sock_sendall(upstream, OK)
                    assert (await client.reply()).status == 200
                    await client.send(get("/next"))
                upstream.close()


async def asked(upstream: socket.socket, method: bytes, end: bytes) -> None:
    """The next request, whole."""
    data = b""
    while not data.endswith(end):
        piece = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(upstream, 65536), 20)
        assert piece, "closed before it had asked"
        data += piece
    assert data.startswith(method)


# --- upstreams that leave bodies unread ---

# Slow, so that its answer arrives when the next client has asked.
HIDDEN = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def before_http_server(folder: Path, lines: str) -> AsyncIterator[int]:
    async with http_server(folder) as port:
        async with running(
            folder, OPEN, upstream_url=f"http://127.0.0.1:{port}", upstream_lines=lines
        ) as gateway:
            yield gateway.port


async def ask_twice(port: int) -> bytes:
    """One client's POST with a request for a body; what the next client's request is answered with."""
    async with await Client.connect(port) as one, await Client.connect(port) as two:
        request = get("/post", f"Content-Length: {len(HIDDEN)}", method="POST") + HIDDEN
        assert (await one.ask(request)).body == b"POST /post"
        return (await two.ask(get("/mine"))).body


async def test_a_server_that_leaves_bodies_unread_needs_a_connection_for_each_request(tmp_path: Path) -> None:
    async with before_http_server(tmp_path, "reuse_connections: false") as port:
        for _ in range(10):
            assert await ask_twice(port) == b"GET /mine"
        async with await Client.connect(port) as client:
            for _ in range(3):
                assert (await client.ask(HEAD, method="HEAD")).status == 200


async def test_its_connections_are_closed_by_the_server(tmp_path: Path) -> None:
    async with running(tmp_path, OPEN, upstream_lines="reuse_connections: false") as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(3):
                assert (await client.ask(get("/"))).body == b"ok"
        assert gateway.upstream.connections == 3
        assert {each.get("connection") for each in gateway.upstream.requests} == {b"close"}
        began = time.monotonic()
        async with Lag() as lag:
            await until(lambda: gateway.upstream.open == 0)
        assert time.monotonic() - began - lag.seconds < 5
        await until(lambda: gateway.worker.app.pool.open == 0)


# --- a machine that vanishes ---


@pytest.mark.parametrize("kind", ["small", "upload", "tunnel"])
async def test_the_kernel_notices_an_upstream_that_vanished(tmp_path: Path, kind: str) -> None:
    """10 s without an acknowledgement; what an upstream may leave unread has the time of silence."""

    async def script(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "tunnel":
            await echo(received, reader, writer)
            return
        received.body = await read_body(received.head, reader)
        writer.write(OK)

    lines = "idle_timeout: 70s, response_timeout: 20s"
    async with running(tmp_path, OPEN, upstream=Upstream(script=script), upstream_lines=lines) as gateway:
        async with await Client.connect(gateway.port) as client:
            if kind != "small":
                head = get("/", "Content-Length: 400000", method="POST") + b"x" * 399_999
                await client.send(get("/", *UPGRADE) if kind == "tunnel" else head)
                await until(lambda: timeouts(gateway.upstream.port) == {70_000})
            await client.send({"small": get("/"), "upload": b"x", "tunnel": b""}[kind])
            assert (await client.reply()).status == (101 if kind == "tunnel" else 200)
            if kind != "tunnel":
                # For the next request on the connection.
                await until(lambda: timeouts(gateway.upstream.port) == {10_000})


def timeouts(port: int) -> set[int]:
    """TCP_USER_TIMEOUT, ms, of this process's connected sockets to the port; 0 without SO_KEEPALIVE."""
    found = set()
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
            if copy.family == socket.AF_INET and copy.getpeername()[1] == port:
                alive = copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                found.add(alive and copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found
