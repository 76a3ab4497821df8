"""An upstream that goes, comes back, and misbehaves at random under load: each request gets what its own
fault deserves, and no other request feels it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.load import Clients, Fault, NamingUpstream, tokens, watching
from tests.support.programs import pinned, serving, until
from tests.support.tokens import KeyPair

pytestmark = pytest.mark.slow


@pytest.mark.fault("upstream restarts")
async def test_restarts_are_felt_only_while_it_is_away(tmp_path: Path, figure: Figure) -> None:
    key = KeyPair.generate("key-1")
    async with (
        NamingUpstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key)) as served,
        watching(served),
    ):
        clients = Clients(served.port, tokens(key, 16), tolerated=frozenset({502}))
        away = []
        async with clients.running() as board:
            for _ in range(10):
                await clients.more(200)
                began = time.monotonic()
                upstream.stop()
                await asyncio.sleep(0.1)
                await upstream.start()
                away.append((began, time.monotonic()))
            await clients.more(200)
        print(f"restarts: {board}; {len(board.tolerated)} answers of 502 while it was away")
        assert board.failures == []
        assert board.tolerated
        for began, ended in board.tolerated:
            assert any(began < back and ended > gone for gone, back in away)
        figure(f"502 while it was away, {board.good:,} others")


@pytest.mark.fault("upstream resets")
async def test_connections_it_drops_are_felt_by_nobody(tmp_path: Path, figure: Figure) -> None:
    """Idle ones and such that carry a GET: it is sent again, on a new one."""
    key = KeyPair.generate("key-1")
    async with (
        NamingUpstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, key)) as served,
    ):
        clients = Clients(served.port, tokens(key, 16))
        async with clients.running() as board:
            for _ in range(30):
                await clients.more(50)
                upstream.drop()
        print(f"dropped connections: {board}")
        assert board.failures == []
        figure(f"{board.good:,} requests, sent again on new connections")


@pytest.mark.fault("upstream at random")
async def test_whatever_it_does_hits_only_who_asked_for_it(tmp_path: Path, figure: Figure) -> None:
    key = KeyPair.generate("key-1")
    mix = {Fault.NONE: 60, Fault.DRIP: 15, Fault.RESET: 8, Fault.CUT: 8, Fault.GARBAGE: 8, Fault.HANG: 1}
    async with (
        NamingUpstream().running() as upstream,
        serving(
            tmp_path,
            upstream=f"{upstream.url}', response_timeout: 5s, idle_timeout: '5s",
            pools=pinned(tmp_path, key),
        ) as served,
    ):
        clients = Clients(served.port, tokens(key, 48), mix=mix)
        async with watching(served), clients.running() as board:
            await clients.more(4000)
        print(f"random faults: {board}; {dict(board.faults)}")
        assert board.failures == []
        assert set(board.faults) == set(mix)
        hit = sum(number for fault, number in board.faults.items() if fault is not Fault.NONE)
        figure(f"each of {hit:,} got 504, 502 or a visible cut as its own fault deserves")

        async def nothing_in_flight() -> bool:
            return (await served.samples())["cognito_gateway_requests_in_flight"] == 0

        await until(nothing_in_flight, seconds=60)
        samples = await served.samples()
        counted = sum(value for name, value in samples.items() if "upstream_errors_total{" in name)
        # A cut answer is the upstream's fault as well, though the client was told 200 by then.
        assert counted == sum(board.faults[each] for each in set(mix) - {Fault.NONE, Fault.DRIP})
        assert await served.stop() == 0
        assert "Traceback" not in served.stdout + served.stderr
