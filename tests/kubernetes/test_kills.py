"""Processes in pods are killed or hang under load: what they held is lost, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.cluster.node import Node
from tests.support.cluster.shop import Shop, people, shop, sidecar, standalone
from tests.support.figures import Figure
from tests.support.load import Clients, Kind
from tests.support.programs import until

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

# Stops a worker of the gateway: not the supervisor, which is the first process of the container.
STOP = """
import os, pathlib, signal
for each in pathlib.Path("/proc").iterdir():
    if each.name.isdigit() and "gateway.serve.worker_main" in (each / "cmdline").read_text():
        os.kill(int(each.name), signal.SIGSTOP)
        break
else:
    raise SystemExit("no worker is here")
"""


def restarts(made: Shop) -> int:
    return sum(state["restartCount"] for state in made.states())


@pytest.mark.fault("container killed")
async def test_a_killed_container_loses_what_it_held(pods: Node, tmp_path: Path, figure: Figure) -> None:
    """One of two replicas; new connections to its address are refused until readiness has noticed."""
    with shop(pods, "killed", orders=False) as made:
        made.put(sidecar(native=True, replicaCount=2))
        made.rolled_out()
        load = Clients(80, people(8), host=made.address(), pause=0.02, per_connection=50)
        async with load.running() as board:
            # Everybody has had a new connection or two: both replicas hold some.
            await load.more(1000)
            await asyncio.to_thread(made.kill)

            async def back() -> bool:
                return await asyncio.to_thread(restarts, made) == 1

            await until(back, seconds=120)
            await asyncio.to_thread(made.rolled_out)
            good = board.good
            await load.more(200)
        assert {each.kind for each in board.failures} <= {Kind.RESET, Kind.CUT, Kind.REFUSED}
        held = sum(each.kind is not Kind.REFUSED for each in board.failures)
        refused = len(board.failures) - held
        # Each client has one request at a time.
        assert held <= len(load.tokens)
        assert board.good > good
        figure(f"{board.good:,} requests; {held} that it held lost, {refused} connections refused meanwhile")


@pytest.mark.fault("worker stopped in a pod")
async def test_a_hung_worker_is_replaced_within_its_pod(pods: Node, figure: Figure) -> None:
    with shop(pods, "hung") as made:
        made.put(standalone(config={"listen": {"workers": 2}}))
        made.rolled_out()
        load = Clients(80, people(8), host=made.address(), pause=0.02, per_connection=50)
        async with load.running() as board:
            await load.more(100)
            words = ("exec", "deployment/shop-cognito-gateway", "--", "python", "-c", STOP)
            await asyncio.to_thread(made.kubectl, *words)

            async def replaced() -> bool:
                (pod,) = await asyncio.to_thread(made.pods, ready=False)
                lines = await asyncio.to_thread(made.log, pod["metadata"]["name"])
                return any(line["event"] == "worker_exited" and line["cause"] == "hung" for line in lines)

            await until(replaced, seconds=120)
            await load.more(200)
        assert await asyncio.to_thread(restarts, made) == 0
        assert len(board.failures) <= len(load.tokens)
        figure(f"{board.good:,} requests; {len(board.failures)} that it held lost")
