"""A request through the gateway and its answer back, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.wire import Client, Upstream, get, once


async def test_a_valid_token_reaches_the_upstream(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/api/v1/config?x=1", gateway.bearer()))
        assert (reply.status, reply.body) == (200, b"ok")
        assert gateway.upstream.last.request_line == b"GET /api/v1/config?x=1 HTTP/1.1"
        assert gateway.upstream.last.get("X-Auth-Request-User") == b"5e0d3a9c-70b1-70e4-5f1b-8f7d9c0f2a11"
        assert gateway.upstream.last.get("Authorization") is None


async def test_no_token_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        reply = await once(gateway.port, get("/"))
        assert reply.status == 401
        assert gateway.upstream.requests == []


async def test_a_connection_serves_many_requests(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        bearer = gateway.bearer()
        async with await Client.connect(gateway.port) as client:
            for number in range(5):
                reply = await client.ask(get(f"/{number}", bearer))
                assert reply.status == 200
        assert gateway.upstream.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_the_clients_to_follow(tmp_path: Path, status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\nLocation: http://evil.test/x\r\nContent-Length: 0\r\n\r\n".encode()
    async with running(tmp_path, upstream=Upstream(answer=answer)) as gateway:
        reply = await once(gateway.port, get("/", gateway.bearer()))
        assert (reply.status, reply.get("location")) == (status, "http://evil.test/x")
        assert len(gateway.upstream.requests) == 1
