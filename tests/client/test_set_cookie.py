"""Cookies of our names that an upstream sets never arrive: they would end or replace a session of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.running import running
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.wire import Client, Upstream, get, once

ROUTES = "routes: [{path: /**, auth: none}]\n"
OURS = [
    "cognito_gateway=x; Path=/",
    "cognito_gateway_session=x",
    "__Host-cognito_gateway_session_id=; Max-Age=0; Secure; Path=/",
    "__Secure-cognito_gateway=x",
    "Cognito_Gateway=x",
    "cognito.gateway=x",
    # Sent back as `cognito_gateway=x`, since it has no name.
    "=cognito_gateway=x",
    "  =  cognito_gateway=x",
    "\tcognito_gateway=x",
]
THEIRS = ["session=1; Path=/", "cognito=1", "mine=cognito_gateway", "xcognito_gateway=1"]


def answer(cookies: list[str], status: str = "200 OK") -> bytes:
    lines = [f"{'SET-COOKIE' if index % 2 else 'Set-Cookie'}: {each}" for index, each in enumerate(cookies)]
    return "\r\n".join([f"HTTP/1.1 {status}", "X-First: 1", *lines, "Content-Length: 0", "", ""]).encode()


async def test_they_are_dropped_and_all_others_pass_in_their_order(tmp_path: Path) -> None:
    upstream = Upstream(answer=answer([THEIRS[0], *OURS, *THEIRS[1:]]))
    async with running(tmp_path, ROUTES, upstream=upstream) as gateway:
        for _ in range(2):
            reply = await once(gateway.port, get("/"))
            assert reply.status == 200
            assert reply.all("Set-Cookie") == THEIRS
            assert reply.get("X-First") == "1"
        upstream.answer = answer([])
        assert (await once(gateway.port, get("/"))).all("Set-Cookie") == []


async def test_the_configured_name_counts(tmp_path: Path) -> None:
    yaml = ROUTES + "sign_in: {session: {cookie_name: shop}}\n"
    upstream = Upstream(answer=answer(["shop=x", "__Host-shop_session=x", "shopping=1", *OURS]))
    async with running(tmp_path, yaml, upstream=upstream) as gateway:
        assert (await once(gateway.port, get("/"))).all("Set-Cookie") == ["shopping=1"]


@pytest.mark.parametrize("cookie", OURS)
async def test_not_beside_a_handshake_either(tmp_path: Path, cookie: str) -> None:
    switch = SWITCH.replace(b"\r\n\r\n", f"\r\nSet-Cookie: {cookie}\r\nSet-Cookie: a=1\r\n\r\n".encode(), 1)
    async with running(tmp_path, ROUTES, upstream=Upstream(answer=switch)) as gateway:
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/", *UPGRADE))
            assert reply.status == 101
            assert reply.all("Set-Cookie") == ["a=1"]
