"""A client that repeats its head is parsed from the cached one, and judged again each time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.config.load import load
from tests.support.running import running
from tests.support.wire import Client, get

SUBJECT = b"5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"


async def test_each_request_has_its_own_target_body_and_request_id(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        lines = gateway.bearer(), "Transfer-Encoding: chunked", "X-Kept: 1", "Connection: X-Hop", "X-Hop: 1"
        async with await Client.connect(gateway.port) as client:
            for number in range(3):
                body = b"x" * number
                chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
                await client.send(get(f"/{number}?q={number}", *lines, method="POST") + chunks)
                assert (await client.reply()).status == 200
            seen = gateway.upstream.requests
            assert [each.body for each in seen] == [b"", b"x", b"xx"]
            assert [each.target for each in seen] == [b"/0?q=0", b"/1?q=1", b"/2?q=2"]
            assert len({each.get("X-Request-Id") for each in seen}) == 3
            for each in seen:
                assert each.get("X-Auth-Request-User") == SUBJECT
                assert each.get("X-Kept") == b"1"
                assert each.get("X-Hop") is None


async def test_a_different_head_on_the_same_connection_is_parsed(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        bearer, other = gateway.bearer(), gateway.bearer(sub="somebody-else")
        async with await Client.connect(gateway.port) as client:
            for line, status in (
                (bearer, 200),
                (other, 200),
                ("X-Nothing: 1", 401),
                (bearer, 200),
                (bearer[:-4] + "AAAA", 401),
                (bearer, 200),
            ):
                assert (await client.ask(get("/", line))).status == status, line
        users = [each.get("X-Auth-Request-User") for each in gateway.upstream.requests]
        assert users == [SUBJECT, b"somebody-else", SUBJECT, SUBJECT]


async def test_the_same_token_ends_on_time(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        request = get("/", gateway.bearer(lifetime=2))
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(request)).status == 200
            assert (await client.ask(request)).status == 200
            async with asyncio.timeout(10):
                while (await client.ask(request)).status == 200:
                    await asyncio.sleep(0.1)
            assert (await client.ask(request)).status == 401


async def test_large_heads_are_not_kept_for_idle_clients(tmp_path: Path) -> None:
    async with running(tmp_path, "routes: [{path: /**, auth: none}]") as gateway:
        lines = [f"X-{number}: 1" for number in range(100)]
        for request in (get("/"), get("/", "X-Long: " + "l" * 5000), get("/", *lines)):
            async with await Client.connect(gateway.port) as client:
                for _ in range(2):
                    assert (await client.ask(request)).status == 200
                    assert gateway.upstream.last.head.count(b"\nX-") >= request.count(b"\nX-")
                (connection,) = gateway.worker.connections
                assert connection.remembers == (request == get("/"))
            async with asyncio.timeout(10):
                while gateway.worker.connections:
                    await asyncio.sleep(0.01)


async def test_a_new_configuration_parses_the_same_head_again(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        request = get("/", gateway.bearer(), "X-User: mallory")
        async with await Client.connect(gateway.port) as client:
            assert (await client.ask(request)).status == 200
            assert gateway.upstream.last.get("X-User") == b"mallory"  # nothing to this configuration
            path = tmp_path / "gateway.yaml"
            path.write_text(path.read_text() + "identity_headers: {user: X-User}\n")
            await gateway.worker.reload(load(path, {}).config)
            assert (await client.ask(request)).status == 200
            assert gateway.upstream.last.get("X-User") == SUBJECT
