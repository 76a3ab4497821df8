"""The end of a gateway: what is in flight is finished, in Kubernetes' order, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.serve.worker import Worker
from tests.support.ports import is_free
from tests.support.processes import OPEN, Fleet, Slow, fleet, held_at_start, state
from tests.support.programs import until
from tests.support.waiting import until as until_true
from tests.support.wire import Client, Upstream, get

each_way = pytest.mark.parametrize("workers", [1, 2])


async def refused(running: Fleet) -> bool:
    try:
        await running.served.ask("/")
    except (ConnectionError, asyncio.IncompleteReadError):
        return True
    return False


@each_way
async def test_requests_in_flight_are_finished(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers) as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        running.served.signal(signal.SIGTERM)
        draining = await running.event("draining")
        assert draining["in_flight"] == 1
        await until(lambda: refused(running))
        probe = await running.served.probe()
        assert (probe.status, b"shutting down" in probe.body) == (503, True)
        assert (await running.served.probe("/healthz")).status == 200
        assert not asking.done()
        running.slow.go.set()
        reply = await asking
        assert (reply.status, reply.whole, reply.get("Connection")) == (200, True, "close")
        assert await running.served.end() == 0
        assert running.events("stopped")
        assert running.events("worker_exited") == []


async def test_requests_in_flight_while_a_worker_still_starts_are_finished(tmp_path: Path) -> None:
    """In the worker that serves, and in the queue of the one that does not yet."""
    slow = Slow()
    async with held_at_start(tmp_path, slow) as (running, held), contextlib.AsyncExitStack() as clients:
        # The kernel spreads them.
        asking = [
            await clients.enter_async_context(await Client.connect(running.served.port)) for _ in range(16)
        ]
        for client in asking:
            await client.send(get("/slow"))
        await slow.waiting.wait()
        running.served.signal(signal.SIGTERM)
        await running.event("draining")
        os.kill(held[0], signal.SIGCONT)
        await until(lambda: refused(running))
        slow.go.set()
        assert [(await client.reply()).status for client in asking] == [200] * len(asking)
        assert await running.served.end() == 0
        assert running.events("stopped")


async def test_the_second_signal_ends_workers_that_still_start(tmp_path: Path) -> None:
    async with held_at_start(tmp_path, Slow()) as (running, held):
        running.served.signal(signal.SIGTERM)
        await running.event("draining")
        running.served.signal(signal.SIGTERM)
        assert await running.served.end() == 0
        assert not Path(f"/proc/{held[0]}").exists()


async def test_nothing_is_waited_for_before_the_first_worker_serves(tmp_path: Path) -> None:
    async with held_at_start(tmp_path, Slow(), workers=2) as (running, held):
        running.served.signal(signal.SIGTERM)
        assert await running.served.end() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in held)
        assert running.events("draining") == []


async def test_what_came_while_the_process_stood_still_is_read_before_the_end(tmp_path: Path) -> None:
    """After it had stopped listening, so that all the time for what is on its way passes unused.

    Whether the loop finds the bytes or the end of that time first is chance: hence more than once.
    """
    counted = 0
    while counted < 4:
        async with (
            fleet(tmp_path, 1) as running,
            await Client.connect(running.served.port) as client,
        ):
            running.served.signal(signal.SIGTERM)
            await until_true(lambda: is_free(running.served.port))
            await asyncio.sleep(0.03)
            running.served.signal(signal.SIGSTOP)
            try:
                await until_true(lambda: state(running.served.pid) == "T")
            except FileNotFoundError:
                # It ended before the signal, as it may on a slow machine.
                continue
            await asyncio.sleep(0.01)
            # On a slow machine the connection may be closed by now, as it should: that says nothing.
            in_time = not client.reader.at_eof()
            await client.send(get("/"))
            await asyncio.sleep(0.1)
            running.served.signal(signal.SIGCONT)
            if in_time:
                counted += 1
                assert (await client.reply()).status == 200


@each_way
async def test_new_requests_are_served_during_the_delay(tmp_path: Path, workers: int) -> None:
    async with (
        fleet(tmp_path, workers, drain_delay="4s") as running,
        await Client.connect(running.served.port) as idle,
    ):
        assert (await idle.ask(get("/"))).get("connection") is None
        begun = time.monotonic()
        running.served.signal(signal.SIGTERM)
        await running.event("draining")
        assert (await running.served.probe()).status == 503
        # Clients that keep connections, as proxies do, have to open another one elsewhere.
        reply = await idle.ask(get("/"))
        assert (reply.status, reply.get("connection")) == (200, "close")
        assert await idle.closed()
        while time.monotonic() - begun < 1.5:
            reply = await running.served.ask("/")
            assert (reply.status, reply.get("connection")) == (200, "close")
            await asyncio.sleep(0.05)
        await until(lambda: refused(running))
        assert time.monotonic() - begun >= 4
        assert await running.served.end() == 0


@each_way
async def test_the_second_signal_ends_it_now(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers, drain_timeout="60s", drain_delay="60s") as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        running.served.signal(signal.SIGTERM)
        await running.event("draining")
        running.served.signal(signal.SIGINT)
        assert await running.served.end(50) == 0
        # Cut, and visibly so.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asking


@each_way
async def test_requests_that_outlast_the_drain_are_cut(tmp_path: Path, workers: int) -> None:
    async with fleet(tmp_path, workers, drain_timeout="300ms") as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        running.served.signal(signal.SIGTERM)
        assert await running.served.end(50) == 0
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asking


@each_way
async def test_idle_and_silent_connections_delay_nothing(tmp_path: Path, workers: int) -> None:
    async with (
        fleet(tmp_path, workers, drain_timeout="60s") as running,
        await Client.connect(running.served.port) as idle,
        await Client.connect(running.served.port) as silent,
    ):
        assert (await idle.ask(get("/"))).status == 200
        running.served.signal(signal.SIGTERM)
        assert await running.served.end(50) == 0
        assert await idle.closed()
        assert await silent.closed()


async def test_a_worker_that_dies_during_the_delay_is_replaced(tmp_path: Path) -> None:
    async with fleet(tmp_path, 2, drain_delay="60s") as running:
        running.served.signal(signal.SIGTERM)
        await running.event("draining")
        os.kill(running.workers[0], signal.SIGKILL)
        await running.event("worker_started", 3)
        await running.serving(2)
        for _ in range(8):
            assert (await running.served.ask("/")).status == 200
        running.served.signal(signal.SIGTERM)
        assert await running.served.end(50) == 0


async def test_ctrl_c_reaches_the_supervisor_alone(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        asking = asyncio.create_task(running.served.ask("/slow"))
        await running.slow.waiting.wait()
        running.served.interrupt()
        await running.event("draining")
        running.slow.go.set()
        assert (await asking).status == 200
        assert await running.served.end() == 0
        assert "Traceback" not in running.served.stderr


async def test_a_successor_on_the_same_unix_socket_keeps_it(tmp_path: Path) -> None:
    """It starts while the one before finishes a request."""
    path, slow = tmp_path / "g.sock", Slow()
    async with Upstream(script=slow).running() as upstream:
        (tmp_path / "gateway.yaml").write_text(
            f"listen: {{address: 'unix:{path}'}}\nmetrics: {{address: '127.0.0.1:0'}}\n"
            f"upstream: {{url: '{upstream.url}'}}\nsign_in: {{enabled: false}}\n{OPEN}\n"
        )
        config = load(tmp_path / "gateway.yaml", {}).config
        before, after = Worker(config), Worker(config)
        await before.start()
        async with Client(*await asyncio.open_unix_connection(path)) as client:
            asking = asyncio.create_task(client.ask(get("/slow")))
            await slow.waiting.wait()
            stopping = asyncio.create_task(before.stop())
            await until_true(lambda: not path.exists())
            await after.start()
            slow.go.set()
            assert (await asking).status == 200
        await stopping
        async with Client(*await asyncio.open_unix_connection(path)) as client:
            assert (await client.ask(get("/"))).status == 200
        await after.stop()
        assert not path.exists()
