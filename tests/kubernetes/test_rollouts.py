"""Pods come and go under load: whatever was asked is answered, by clients of every habit."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.cluster.node import NODE, Node
from tests.support.cluster.shop import Shop, people, shop, sidecar, standalone
from tests.support.engines import engine
from tests.support.figures import Figure
from tests.support.load import Board, Clients
from tests.support.ports import free_port
from tests.support.programs import started, until
from tests.support.rendering import Object

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

SHAPES: dict[str, Callable[[], Object]] = {
    "standalone": lambda: standalone(replicaCount=2),
    "native": lambda: sidecar(native=True, replicaCount=2),
    "plain": lambda: sidecar(native=False, replicaCount=2),
}

# Of each of a shape's twelve clients, between two requests.
PAUSE = 0.05
# For kubectl: the gateways' pods.
OURS = ("-l", "app.kubernetes.io/instance=shop")

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  upstream gateway {{ server {address}:80; keepalive 16; keepalive_timeout 60s; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      # Whatever is lost is to be seen.
      proxy_next_upstream off;
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def placed(pods: Node) -> Iterator[dict[str, Shop]]:
    """Two replicas of each shape, ready: what happens to one of them happens to all at the same time."""
    from tests.support.cluster.inside import network_of

    with network_of(pods.pid), contextlib.ExitStack() as stack:
        made = {
            name: stack.enter_context(shop(pods, f"rollout-{name}", orders=name == "standalone"))
            for name in SHAPES
        }
        for name, each in made.items():
            each.put(SHAPES[name]())
        for each in made.values():
            each.rolled_out()
        yield made


@contextlib.asynccontextmanager
async def nginx(folder: Path, address: str) -> AsyncIterator[int]:
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, address=address, port=port))
    command: list[str | Path] = [engine("nginx"), "-p", folder, "-c", folder / "nginx.conf"]
    async with started(folder, command, name="nginx") as program:

        async def listening() -> bool:
            assert program.process.poll() is None, program.stderr
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listening, seconds=60)
        yield port


# By shape and by the clients' habit.
Boards: TypeAlias = dict[str, dict[str, Board]]


@contextlib.asynccontextmanager
async def load(folder: Path, placed: Mapping[str, Shop]) -> AsyncIterator[Boards]:
    """Clients that keep connections, those that open one for each request, and POSTs through nginx."""
    known = people(12)
    async with contextlib.AsyncExitStack() as stack:
        every: list[Clients] = []
        boards: Boards = {}
        for name, made in placed.items():
            address, own = made.address(), folder / name
            own.mkdir()
            port = await stack.enter_async_context(nginx(own, address))
            habits = {
                "kept": Clients(80, known[:4], host=address, pause=PAUSE, per_connection=10**9),
                "new": Clients(80, known[4:8], host=address, pause=PAUSE, per_connection=1),
                "nginx": Clients(port, known[8:], pause=PAUSE, per_connection=10**9, method=b"POST"),
            }
            every += habits.values()
            boards[name] = {
                habit: await stack.enter_async_context(each.running()) for habit, each in habits.items()
            }
        await asyncio.gather(*(each.more(20) for each in every))
        yield boards
        # What happened is over: everybody is answered as before.
        await asyncio.gather(*(each.more(20) for each in every))


def nobody_lost(boards: Boards, figure: Figure) -> None:
    seen = {
        name: f"{name} " + ", ".join(f"{board.good:,} {habit}" for habit, board in habits.items())
        for name, habits in boards.items()
    }
    failures = {
        seen[name]: failures[:5]
        for name, habits in boards.items()
        if (failures := [failure for board in habits.values() for failure in board.failures])
    }
    assert failures == {}
    for told in seen.values():
        figure(told)


def uids(pods: Iterable[Object]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


async def gone(made: Shop, before: set[str]) -> None:
    """Those pods have ended, their drain included."""

    async def ended() -> bool:
        return not before & uids(await asyncio.to_thread(made.get, "pods"))

    await until(ended, seconds=180, pause=0.5)


async def all_of(placed: Mapping[str, Shop], each: Callable[[Shop], Awaitable[None]]) -> None:
    await asyncio.gather(*map(each, placed.values()))


async def rolled(made: Shop) -> None:
    before = uids(await asyncio.to_thread(made.pods))
    await asyncio.to_thread(made.kubectl, "rollout", "restart", "deployment/shop-cognito-gateway")
    await asyncio.to_thread(made.rolled_out)
    await gone(made, before)


async def evicted(made: Shop) -> None:
    pod, *_ = await asyncio.to_thread(made.pods)
    name = pod["metadata"]["name"]
    wanted = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": made.space},
    }
    path = f"/api/v1/namespaces/{made.space}/pods/{name}/eviction"
    await asyncio.to_thread(made.kubectl, "create", "--raw", path, "-f", "-", stdin=json.dumps(wanted))
    await gone(made, uids([pod]))
    await asyncio.to_thread(made.rolled_out)


async def scaled_down(made: Shop) -> None:
    before = uids(await asyncio.to_thread(made.pods))
    await asyncio.to_thread(made.kubectl, "scale", "deployment/shop-cognito-gateway", "--replicas=1")

    async def one() -> bool:
        return len(await asyncio.to_thread(made.get, "pods", *OURS)) == 1

    await until(one, seconds=180, pause=0.5)
    assert uids(await asyncio.to_thread(made.pods)) < before


async def scaled_up(made: Shop) -> None:
    await asyncio.to_thread(made.kubectl, "scale", "deployment/shop-cognito-gateway", "--replicas=2")
    await asyncio.to_thread(made.rolled_out)


async def first_gone(made: Shop, before: set[str]) -> None:
    """Of two pods; the other one is left."""

    async def ended() -> bool:
        return len(before & uids(await asyncio.to_thread(made.get, "pods", *OURS))) == 1

    await until(ended, seconds=180, pause=0.5)
    assert len(await asyncio.to_thread(made.pods)) == 1


@pytest.mark.fault("rolling update")
async def test_a_rolling_update_loses_nobody(placed: dict[str, Shop], tmp_path: Path, figure: Figure) -> None:
    async with load(tmp_path, placed) as boards:
        await all_of(placed, rolled)
    nobody_lost(boards, figure)


@pytest.mark.fault("eviction")
async def test_an_eviction_loses_nobody(placed: dict[str, Shop], tmp_path: Path, figure: Figure) -> None:
    async with load(tmp_path, placed) as boards:
        await all_of(placed, evicted)
    nobody_lost(boards, figure)


@pytest.mark.fault("scale-down")
async def test_scaling_down_loses_nobody(placed: dict[str, Shop], tmp_path: Path, figure: Figure) -> None:
    async with load(tmp_path, placed) as boards:
        await all_of(placed, scaled_down)
    await all_of(placed, scaled_up)
    nobody_lost(boards, figure)


@pytest.mark.fault("node drain")
async def test_the_drain_of_the_node_waits_for_a_successor(
    pods: Node, placed: dict[str, Shop], tmp_path: Path, figure: Figure
) -> None:
    """There is one node: until it takes pods again the budgets hold the second ones back."""
    before = {made.space: uids(made.pods()) for made in placed.values()}
    selector = "--pod-selector=app.kubernetes.io/instance=shop"
    async with load(tmp_path, placed) as boards:
        drained = asyncio.create_task(
            asyncio.to_thread(
                pods.kubectl, "drain", NODE, selector, "--delete-emptydir-data", "--timeout=300s", seconds=320
            )
        )
        try:
            await all_of(placed, lambda made: first_gone(made, before[made.space]))
        finally:
            # Again and again: the drain cordons it when it begins.
            await asyncio.to_thread(pods.kubectl, "uncordon", NODE)
        await drained
        await all_of(placed, lambda made: gone(made, before[made.space]))
        await all_of(placed, lambda made: asyncio.to_thread(made.rolled_out))
    nobody_lost(boards, figure)
