"""From the beginning of shutdown, each response closes its connection: every kind, on every kind of socket.

Otherwise a proxy in front sends its next request on a connection that is about to be closed: a POST is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.serve.worker import Worker
from tests.support.certificates import Authority, calling
from tests.support.tls_serving import install
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.wire import OK, Client, Received, Upstream, get, read_body

WAYS = ("plain", "tls", "unix")
# Name → target, header lines, method, status.
REQUESTS: dict[str, tuple[str, tuple[str, ...], str, int]] = {
    "forwarded": ("/x", ("BEARER",), "GET", 200),
    "without body": ("/x", ("BEARER",), "HEAD", 200),
    "with body": ("/x", ("BEARER", "Content-Length: 0"), "POST", 200),
    "no token": ("/x", (), "GET", 401),
    "not allowed": ("/admin", ("BEARER",), "GET", 403),
    "a page": ("/oauth2/sign_in", ("Accept: text/html",), "GET", 200),
    "its own 404": ("/oauth2/nothing", (), "GET", 404),
    "preflight": (
        "/x",
        ("Origin: https://app.test", "Access-Control-Request-Method: PUT"),
        "OPTIONS",
        204,
    ),
    "malformed": ("/x", ("Content-Length: two",), "POST", 400),
    "no upstream": ("/cut", ("BEARER",), "POST", 502),
    "refused handshake": ("/ws", UPGRADE, "GET", 401),
    "handshake that the API answers": ("/x", ("BEARER", *UPGRADE), "GET", 200),
}


async def api(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    received.body = await read_body(received.head, reader)
    if received.target == b"/cut":
        writer.close()
    elif received.target == b"/ws":
        writer.write(SWITCH)
        await reader.read(1)
    else:
        writer.write(OK if not received.head.startswith(b"HEAD") else OK[: OK.index(b"\r\n\r\n") + 4])


@contextlib.asynccontextmanager
async def leaving(folder: Path, way: str) -> AsyncIterator[tuple[Callable[[], Awaitable[Client]], KeyPair]]:
    """A gateway that serves its last requests, as long as the block lasts: how to connect, and its key."""
    key = KeyPair.generate("key-1")
    (folder / "jwks.json").write_bytes(key_set_document(key))
    address, tls, authority = "127.0.0.1:0", "", Authority(folder)
    if way == "unix":
        address = f"unix:{folder}/g.sock"
    elif way == "tls":
        install(folder, authority.sign("first", "127.0.0.1"))
        tls = f", tls: {{certificate_file: {folder}/live.crt, key_file: {folder}/live.key}}"
    async with Upstream(script=api).running() as upstream:
        (folder / "gateway.yaml").write_text(
            f"listen: {{address: '{address}', drain_delay: 10m{tls}}}\nmetrics: {{address: '127.0.0.1:0'}}\n"
            f"upstream: {{url: '{upstream.url}'}}\ncors: {{allow_origins: [https://app.test]}}\n"
            f"cognito: {{user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_file: jwks.json}}]}}\n"
            "routes: [{path: /admin, groups: [admins]}, {path: /**}]\n"
        )
        worker = Worker(load(folder / "gateway.yaml", {}).config)
        await worker.start()
        while worker.app.unready():
            await asyncio.sleep(0.005)
        now = asyncio.Event()
        stopping = asyncio.create_task(worker.stop(now))
        await asyncio.sleep(0)

        async def connect() -> Client:
            if way == "unix":
                return Client(*await asyncio.open_unix_connection(folder / "g.sock"))
            return await Client.connect(worker.port, calling(authority) if way == "tls" else None)

        try:
            yield connect, key
        finally:
            now.set()
            await stopping


def lines_of(key: KeyPair, lines: tuple[str, ...]) -> list[str]:
    token = sign(key, access_claims()).decode("ascii")
    return [f"Authorization: Bearer {token}" if line == "BEARER" else line for line in lines]


@pytest.mark.parametrize("way", WAYS)
async def test_every_response_closes_its_connection(tmp_path: Path, way: str) -> None:
    seen = {}
    async with leaving(tmp_path, way) as (connect, key):
        for name, (target, lines, method, _) in REQUESTS.items():
            async with await connect() as client:
                asked = get(target, *lines_of(key, lines), method=method)
                reply = await client.ask(asked, method=method)
                seen[name] = (reply.status, reply.get("connection"), await client.closed())
    assert seen == {name: (status, "close", True) for name, (*_, status) in REQUESTS.items()}


@pytest.mark.parametrize("way", WAYS)
async def test_of_requests_sent_at_once_the_first_one_is_the_last(tmp_path: Path, way: str) -> None:
    """The others are unanswered, as RFC 9112 section 9.6 has it: their client sends them again."""
    async with (
        leaving(tmp_path, way) as (connect, key),
        await connect() as client,
    ):
        asked = get("/x", *lines_of(key, ("BEARER",)))
        reply = await client.ask(asked + asked)
        assert (reply.status, reply.get("connection")) == (200, "close")
        assert await client.closed()


@pytest.mark.parametrize("way", WAYS)
async def test_a_handshake_that_succeeds_is_no_http_any_more(tmp_path: Path, way: str) -> None:
    """It is served, and ended with everything else that is open (tests/client/test_tunnel.py)."""
    async with (
        leaving(tmp_path, way) as (connect, key),
        await connect() as client,
    ):
        reply = await client.ask(get("/ws", *lines_of(key, ("BEARER", *UPGRADE))))
        assert (reply.status, (reply.get("connection") or "").lower()) == (101, "upgrade")
