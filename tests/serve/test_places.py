"""Places without a worker: other workers take what is sent there, and readiness says what is missing."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.support.figures import Figure
from tests.support.processes import Fleet, Slow, fleet, held_at_start, state
from tests.support.programs import until
from tests.support.wire import Client, get

MANY = 60


async def answered(gateway: Fleet, status: int = 200) -> None:
    """So many new connections are answered; one in two reaches each of two places."""
    replies = await asyncio.gather(*(gateway.served.ask("/") for _ in range(MANY)))
    assert {reply.status for reply in replies} == {status}


@pytest.mark.fault("place without a worker")
async def test_connections_to_a_place_whose_worker_takes_long_to_start_are_answered(
    tmp_path: Path, figure: Figure
) -> None:
    async with held_at_start(tmp_path, Slow()) as (gateway, (held,)):
        began = time.monotonic()
        await answered(gateway)
        took = time.monotonic() - began
        assert state(held) == "T"
        # The one that took them dies: its successor takes them next.
        os.kill(gateway.workers[1 if gateway.workers[0] == held else 0], signal.SIGKILL)
        await gateway.event("worker_started", 3)
        await answered(gateway)
        assert state(held) == "T"
        os.kill(held, signal.SIGCONT)
        await gateway.serving(2)
        await answered(gateway)
        figure(f"{MANY} new connections answered within {took:.2f} s, by the other one")
        assert await gateway.served.stop() == 0
        assert "Traceback" not in gateway.served.stderr + gateway.served.stdout


async def test_a_stop_while_a_place_is_lent_answers_what_was_sent(tmp_path: Path) -> None:
    async with held_at_start(tmp_path, slow := Slow()) as (gateway, (held,)):
        await answered(gateway)
        asking = asyncio.create_task(gateway.served.ask("/slow"))
        await slow.waiting.wait()
        gateway.served.signal(signal.SIGTERM)
        slow.go.set()
        assert (await asking).status == 200
        os.kill(held, signal.SIGCONT)
        assert await gateway.served.end() == 0


async def test_a_place_is_lent_again_and_again(tmp_path: Path) -> None:
    """As its workers die: each is given its place back, and the next one."""
    async with fleet(tmp_path) as gateway:
        for number in range(3):
            os.kill(gateway.workers[0], signal.SIGKILL)
            await asyncio.gather(*(answered(gateway) for _ in range(2)))
            await gateway.event("worker_started", 3 + number)
            await gateway.serving(2)
        await answered(gateway)


async def test_a_worker_that_cannot_be_started_counts_for_readiness(tmp_path: Path) -> None:
    async with fleet(tmp_path) as gateway, await Client.connect(gateway.served.metrics_port) as probe:
        assert (await probe.ask(get("/readyz"))).status == 200
        supervisor = gateway.served.pid
        _, hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        # Nothing more can be opened, whatever the dead worker's end gives back.
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (3, hard))
        os.kill(gateway.workers[0], signal.SIGKILL)
        failed = await gateway.event("worker_start_failed")
        assert failed["exact"] == "too many open files"
        reply = await probe.ask(get("/readyz"))
        assert reply.status == 503
        assert b"1 of 2 workers cannot be started: too many open files" in reply.body
        # The other one serves what is sent to the place.
        await answered(gateway)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (hard, hard))
        await gateway.serving(2)
        await until(gateway.served.is_ready)
        assert len(gateway.events("worker_start_failed")) == 1
