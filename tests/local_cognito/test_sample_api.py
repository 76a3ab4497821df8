"""The sample API over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from local_cognito import sample_api


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner = web.AppRunner(sample_api.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_config_shows_the_identity_from_the_gateway(url: str, http: aiohttp.ClientSession) -> None:
    headers = {"X-Auth-Request-User": "sub-1", "X-Auth-Request-Groups": "admins,users", "X-Other": "x"}
    async with http.get(URL(url + "/api/v1/config?a=%2F", encoded=True), headers=headers) as answer:
        body = await answer.json()
    assert body["identity"] == {"user": "sub-1", "groups": "admins,users"}
    assert body["path"] == "/api/v1/config?a=%2F"


async def test_status(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(url + "/api/v1/status") as answer:
        assert await answer.json() == {"status": "ok"}


async def test_echo_sends_back_while_it_still_receives(url: str, http: aiohttp.ClientSession) -> None:
    received_first = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(received_first.wait(), 30)
        yield b"second" * 200_000

    headers = {"Content-Type": "text/csv"}
    async with http.post(url + "/api/v1/echo", data=body(), headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert await answer.content.readexactly(5) == b"first"
        received_first.set()
        assert await answer.read() == b"second" * 200_000


async def test_events_arrive_one_by_one(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(url + "/api/v1/events?count=3&interval=0.01") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        text = (await answer.read()).decode()
    assert [block.splitlines()[1] for block in text.split("\n\n") if block] == [
        'data: {"number": 1}',
        'data: {"number": 2}',
        'data: {"number": 3}',
    ]
    async with http.get(url + "/api/v1/events?count=x") as answer:
        assert answer.status == 400


async def test_headers_shows_every_line(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(url + "/headers", headers=[("X-A", "1"), ("X-A", "2")]) as answer:
        lines = (await answer.json())["headers"]
    assert [value for name, value in lines if name == "X-A"] == ["1", "2"]
