"""Strangers' tokens with kids nobody has: they cost two fetches and nobody's time."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import pytest

from tests.support.key_server import KeyServer
from tests.support.programs import Served, serving, until
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.waiting import until as until_true
from tests.support.wire import Client, Upstream, get

STRANGERS = 500
CONNECTIONS = 25


def pools(server: KeyServer) -> str:
    return f"  user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}], jwks_url: '{server.url}'}}]"


async def flood(served: Served, number: int) -> list[int]:
    """The statuses for so many tokens, each with a kid of its own, sent on all connections at once."""
    stranger = KeyPair.generate("stranger")
    tokens = [
        sign(stranger, access_claims(), {"kid": f"unknown-{index}"}).decode() for index in range(number)
    ]

    async def send(share: list[str]) -> list[int]:
        async with await Client.connect(served.port) as client:
            return [(await client.ask(get("/", f"Authorization: Bearer {token}"))).status for token in share]

    shares = [tokens[begin::CONNECTIONS] for begin in range(CONNECTIONS)]
    return [status for share in await asyncio.gather(*map(send, shares)) for status in share]


async def honest(served: Served, token: str, stop: asyncio.Event) -> list[float]:
    """Seconds that each of an honest client's requests took until it was told to stop."""
    seconds = []
    async with await Client.connect(served.port) as client:
        while not stop.is_set():
            begun = time.monotonic()
            reply = await client.ask(get("/", f"Authorization: Bearer {token}"))
            assert reply.status == 200
            seconds.append(time.monotonic() - begun)
            await asyncio.sleep(0.01)
    return seconds


async def test_a_burst_of_unknown_kids_costs_two_fetches(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    server = KeyServer(key_set_document(key))
    async with (
        server.running(),
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools(server)) as served,
    ):
        assert server.fetches == 1, "one at start"
        token, stop = sign(key, access_claims()).decode(), asyncio.Event()
        client = asyncio.create_task(honest(served, token, stop))
        await until_true(lambda: upstream.requests)
        server.mode, server.slowness = "slow", 2.5
        statuses = await flood(served, STRANGERS)
        stop.set()
        seconds = await client
        median = statistics.median(seconds)
        print(f"{server.fetches - 1} fetches; honest requests: median {median * 1000:.1f} ms")
        assert statuses == [401] * STRANGERS
        assert server.fetches - 1 <= 2
        # A valid token waits for no fetch.
        assert median < server.slowness / 2
        assert len(upstream.requests) == len(seconds)


@pytest.mark.slow
async def test_a_new_key_works_soon_after_a_flood(tmp_path: Path) -> None:
    old, new = KeyPair.generate("key-1"), KeyPair.generate("key-2")
    server = KeyServer(key_set_document(old))
    async with (
        server.running(),
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools(server)) as served,
    ):
        assert set(await flood(served, STRANGERS)) == {401}
        server.document = key_set_document(old, new)
        token = sign(new, access_claims()).decode()

        async def works() -> bool:
            # The flood goes on, smaller: it may use up what was saved, and delays nobody by it.
            await flood(served, CONNECTIONS)
            return (await served.bearer(token)).status == 200

        took = await until(works, pause=0.5)
        print(f"a new key works {took:.1f} s after the flood, {server.fetches} fetches in all")
        assert (await served.bearer(sign(old, access_claims()))).status == 200
