"""Heads as long as they may be, made of thousands of members: refused for about what any other refusal costs.

What is counted are calls of functions, of Python's and of C's, in this process: the machine's speed has no
part in it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.support.running import Running, running
from tests.support.wire import Client, get

_FORM = (
    "Content-Type: application/x-www-form-urlencoded",
    "Origin: http://api.test",
    "Content-Length: 28500",
)
COSTLY = {
    "cookies": get("/api", "Cookie: cognito" + ";" * 28_000),
    "cookies of ours": get("/api", "Cookie: " + "cognito_gateway=;" * 1700),
    "cookies beside ours": get("/api", "Cookie: cognito_gateway_session=x; " + "a=b;" * 7000),
    "lines of cookies": get("/api", *["Cookie: cognito_gateway=" + "a;" * 100] * 100),
    "credentials": get("/api", "Authorization: Digest " + ", " * 14_000),
    "quoted strings": get("/api", 'Authorization: Digest a="",' + '"",' * 9000),
    "parameters": get("/api", "Authorization: Digest " + "a=b," * 7000),
    "schemes": get("/api", "Authorization: Basic " + " bearer" * 4000),
    "dots": get("/api", "Authorization: Bearer " + "." * 15_000),
    "escapes": get("/" + "%41" * 9500),
    "escapes of three bytes": get("/" + "%E4%BD%A0" * 3100),
    "segments": get("/" + "a/" * 14_000),
    "encoded segments": get("/" + "%61/" * 7000),
    "parameters of the query": get("/?" + "a=b&" * 7000),
    "ranges": get("/api", "Accept: " + "a," * 14_000),
    "ranges of HTML": get("/api", "Accept: " + "text/htm," * 2000 + "text/html"),
    "options": get("/api", "Connection: " + "a," * 14_000),
    "addresses": get("/api", "X-Forwarded-For: " + "1," * 14_000),
    "odd names": get("/api", *[f"X_{number}: {'y' * 200}" for number in range(110)]),
    "hosts": get("/api", host="a" * 28_000),
    "a navigation": get("/" + "%41" * 9000, "Accept: text/html", "Sec-Fetch-Mode: navigate"),
    "a page's query": get("/oauth2/sign_in?" + "a=b&" * 7000),
    "a way back": get("/oauth2/sign_in?return_to=" + "%41" * 9000),
    "a form of fields": get("/oauth2/sign_in", *_FORM, method="POST") + b"a=b&" * 7125,
    "a form of escapes": get("/oauth2/sign_in", *_FORM, method="POST") + b"a=" + b"%41" * 9499 + b"x",
}


async def work(gateway: Running, request: bytes) -> int:
    """Calls that are made for a request on a connection of its own, the client's among them."""
    count = 0

    def counted(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    async with await Client.connect(gateway.port) as client:
        sys.setprofile(counted)
        try:
            reply = await client.ask(request)
        finally:
            sys.setprofile(None)
    assert reply.status != 200 or b"/oauth2/" in request
    return count


@pytest.mark.parametrize("trusted", ["", "trusted_proxies: [127.0.0.1]"])
async def test_a_long_head_costs_little_more_than_any_refusal(tmp_path: Path, trusted: str) -> None:
    yaml = (
        "routes: [{path: /api/*/x, auth: none}, {path: /x/**, groups: [a]}, {path: /maybe, auth: optional}]\n"
    )
    async with running(tmp_path, yaml, listen_lines=trusted) as gateway:
        for request in (get("/api"), get("/oauth2/sign_in")):  # what is loaded once
            await work(gateway, request)
        plain = await work(gateway, get("/api"))
        costs = {name: await work(gateway, request) / plain for name, request in COSTLY.items()}
        # Before they were bounded, 30 to 90. Interpreters differ by some calls; uvloop's own, which are the
        # larger part of a plain refusal's, are not counted.
        most = 6 if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop) else 8
        assert {name: cost for name, cost in costs.items() if cost > most} == {}
