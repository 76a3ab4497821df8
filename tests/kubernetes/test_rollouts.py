"""Pods come and go under load: whatever was asked is answered, by clients of every habit."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def running(node: Node, name: str) -> Iterator[Shop]:
    """Two replicas of that shape, ready."""
    with shop(node, f"rollout-{name}", orders=name == "standalone") as made:
        made.put(SHAPES[name]())
        made.rolled_out()
        yield made


@pytest.fixture(params=SHAPES, scope="module")
def placed(pods: Node, request: pytest.FixtureRequest) -> Iterator[Shop]:
    from tests.support.cluster.inside import network_of

    with network_of(pods.pid), running(pods, request.param) as made:
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


@contextlib.asynccontextmanager
async def load(folder: Path, made: Shop) -> AsyncIterator[dict[str, Board]]:
    """Clients that keep connections, those that open one for each request, and POSTs through nginx."""
    address, known = made.address(), people(12)
    async with nginx(folder, address) as port, contextlib.AsyncExitStack() as stack:
        habits = {
            "kept": Clients(80, known[:4], host=address, pause=0.02, per_connection=10**9),
            "new": Clients(80, known[4:8], host=address, pause=0.02, per_connection=1),
            "nginx": Clients(port, known[8:], pause=0.02, per_connection=10**9, method=b"POST"),
        }
        boards = {name: await stack.enter_async_context(each.running()) for name, each in habits.items()}
        await asyncio.gather(*(each.more(20) for each in habits.values()))
        yield boards
        # What happened is over: everybody is answered as before.
        await asyncio.gather(*(each.more(20) for each in habits.values()))


async def nobody_lost(boards: dict[str, Board], figure: Figure, what: str, seen: str = "") -> None:
    failures = [failure for board in boards.values() for failure in board.failures]
    told = ", ".join(f"{board.good:,} {name}" for name, board in boards.items())
    assert failures == [], f"{what}: {told}: {failures[:5]}"
    figure(f"{what} {told}{seen}", len(failures))


async def _rolled(made: Shop) -> None:
    before = {pod["metadata"]["uid"] for pod in made.pods()}
    await asyncio.to_thread(made.kubectl, "rollout", "restart", "deployment/shop-cognito-gateway")
    await asyncio.to_thread(made.rolled_out)
    await gone(made, before)


async def gone(made: Shop, before: set[str]) -> None:
    """Those pods have ended, their drain included."""

    async def ended() -> bool:
        found = await asyncio.to_thread(made.get, "pods")
        return not before & {pod["metadata"]["uid"] for pod in found}

    await until(ended, seconds=180, pause=0.5)


@pytest.mark.fault("rolling update")
async def test_a_rolling_update_loses_nobody(placed: Shop, tmp_path: Path, figure: Figure) -> None:
    async with load(tmp_path, placed) as boards:
        await _rolled(placed)
    await nobody_lost(boards, figure, placed.space.removeprefix("rollout-"))


@pytest.mark.fault("eviction")
async def test_an_eviction_loses_nobody(placed: Shop, tmp_path: Path, figure: Figure) -> None:
    async with load(tmp_path, placed) as boards:
        pod, *_ = await asyncio.to_thread(placed.pods)
        name = pod["metadata"]["name"]
        wanted = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": placed.space},
        }
        path = f"/api/v1/namespaces/{placed.space}/pods/{name}/eviction"
        await asyncio.to_thread(placed.kubectl, "create", "--raw", path, "-f", "-", stdin=json.dumps(wanted))
        await gone(placed, {pod["metadata"]["uid"]})
        await asyncio.to_thread(placed.rolled_out)
    await nobody_lost(boards, figure, placed.space.removeprefix("rollout-"))


@pytest.mark.fault("scale-down")
async def test_scaling_down_loses_nobody(placed: Shop, tmp_path: Path, figure: Figure) -> None:
    before = {pod["metadata"]["uid"] for pod in placed.pods()}
    async with load(tmp_path, placed) as boards:
        await asyncio.to_thread(placed.kubectl, "scale", "deployment/shop-cognito-gateway", "--replicas=1")

        async def one() -> bool:
            left = await asyncio.to_thread(placed.get, "pods", "-l", "app.kubernetes.io/instance=shop")
            return len(left) == 1

        await until(one, seconds=180, pause=0.5)
        assert {pod["metadata"]["uid"] for pod in placed.pods()} < before
    await asyncio.to_thread(placed.kubectl, "scale", "deployment/shop-cognito-gateway", "--replicas=2")
    await asyncio.to_thread(placed.rolled_out)
    await nobody_lost(boards, figure, placed.space.removeprefix("rollout-"))


@pytest.mark.fault("node drain")
async def test_the_drain_of_the_node_waits_for_a_successor(
    pods: Node, placed: Shop, tmp_path: Path, figure: Figure
) -> None:
    """There is one node: until it takes pods again the budget holds the second one back."""
    before = {pod["metadata"]["uid"] for pod in placed.pods()}
    selector = "--pod-selector=app.kubernetes.io/instance=shop"
    async with load(tmp_path, placed) as boards:
        drained = asyncio.create_task(
            asyncio.to_thread(
                pods.kubectl, "drain", NODE, selector, "--delete-emptydir-data", "--timeout=300s", seconds=320
            )
        )
        try:

            async def first_gone() -> bool:
                found = await asyncio.to_thread(placed.get, "pods", "-l", "app.kubernetes.io/instance=shop")
                return len(before & {pod["metadata"]["uid"] for pod in found}) == 1

            await until(first_gone, seconds=180, pause=0.5)
            assert len(await asyncio.to_thread(placed.pods)) == 1
        finally:
            # Again and again: the drain cordons it when it begins.
            await asyncio.to_thread(pods.kubectl, "uncordon", NODE)
        await drained
        await gone(placed, before)
        await asyncio.to_thread(placed.rolled_out)
    await nobody_lost(boards, figure, placed.space.removeprefix("rollout-"))
